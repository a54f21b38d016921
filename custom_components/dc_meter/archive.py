"""What happened and what was signed, on disk: append-only, each record chained to the last."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
import hashlib
import json
import os
from pathlib import Path
import sqlite3
import threading
from typing import Any, Self, override

_VERSIONS = (
    """
CREATE TABLE record (
    number INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    written_at TEXT NOT NULL,
    body TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX record_of_transaction ON record (meter, transaction_id, number);
CREATE TRIGGER record_is_never_changed BEFORE UPDATE ON record
    BEGIN SELECT RAISE(ABORT, 'a record is never changed'); END;
CREATE TRIGGER record_is_never_removed BEFORE DELETE ON record
    BEGIN SELECT RAISE(ABORT, 'a record is never removed'); END;
""",
    """
CREATE INDEX record_of_kind ON record (meter, kind, number);
CREATE INDEX record_stopped ON record (number, meter, transaction_id, unixepoch(written_at))
    WHERE kind = 'stopped';
""",
    """
CREATE INDEX record_stopped_at ON record (unixepoch(written_at)) WHERE kind = 'stopped';
""",
)
"""What each version of the schema adds to the one before; never changed once released."""

SCHEMA_VERSION = len(_VERSIONS)

MAX_NUMBER = 2**63 - 1
"""More than any record's number: what SQLite can count."""

_AT_ONCE = 100
"""Records in memory together, however many are gone through."""


class RecordKind(StrEnum):
    """What a record says, most of them about their transaction.

    An intention (``STARTING``, ``STOPPING``) is written before the meter is asked, so that
    whatever dies in between leaves a trace to go on from.
    """

    STARTING = "starting"
    STARTED = "started"
    GAP = "gap"
    """A part of the session was not watched; it goes on."""

    PAUSED = "paused"
    """Home Assistant stops watching; the session goes on."""

    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    KEY = "key"
    """The meter is trusted by another key from here on; no session's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A record's place in the chain; its hash speaks for every record up to it.

    Whoever holds one can prove that the record was written.
    """

    number: int
    hash: str

    @override
    def __str__(self) -> str:
        """Write it as exports name it and ``scripts/verify`` takes it."""
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One line of the archive."""

    link: Link
    meter: str
    transaction_id: str
    kind: RecordKind
    written_at: datetime
    text: str
    """JSON."""

    @property
    def body(self) -> Any:
        """What it says. Raises ``DamagedRecordError``."""
        try:
            return json.loads(self.text)
        except (TypeError, ValueError, RecursionError) as err:
            raise DamagedRecordError(self.link.number) from err


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveSummary:
    """How much there is."""

    records: int
    size_bytes: int
    schema_version: int
    last_stopped_at: datetime | None
    """When the newest finished session was kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which finished sessions; None is any."""

    meter: str | None = None
    transaction_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """When its end was recorded, to the second; ``until`` itself does not count."""

    says: tuple[Mapping[str, str], ...] = ()
    """JSON paths into the body and texts: of each mapping, one path leads to its text."""


class ArchiveError(Exception):
    """The archive cannot be read or written; the reason is in the message."""


class DamagedRecordError(ArchiveError):
    """A record cannot be read any more; what it says may tell who charged, so it is not said."""

    def __init__(self, number: int) -> None:
        """Name the record."""
        super().__init__(f"record {number} is damaged")


class Archive:
    """The archive of all meters in one SQLite file.

    Made to be called from worker threads; calls are serialized, but whoever looks through
    many records keeps nobody from writing one. Every method may raise ``ArchiveError``.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, searching: sqlite3.Connection
    ) -> None:
        """Take open connections, the second to look through it; use ``open`` instead."""
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()
        self._searching = searching
        self._searching_lock = threading.Lock()
        self._is_open = True
        self.failure: str | None = None
        """Why the last record could not be written; None when it was."""
        self.damaged: set[int] = set()
        """Records that were left aside because they cannot be read; each is told once."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the archive at this path, made when missing."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Who charged is for its owner alone. SQLite gives its own files the same mode.
            path.touch(mode=0o600)
            with suppress(PermissionError):
                path.chmod(0o600)
            sync_names_in(path.parent.parent)
            return cls(path, *_open(path))
        except (sqlite3.Error, OSError, ArchiveError) as err:
            raise ArchiveError(f"{path}: {err}") from err

    def close(self) -> None:
        """Close the file."""
        with self._searching_lock, self._lock:
            self._searching.close()
            self._connection.close()

    def quiesce(self) -> None:
        """Leave the main file alone until ``resume``, so that it can be copied.

        What is written meanwhile goes into the write-ahead log, whose checksums keep a copy
        of it sound wherever the copy breaks off.
        """
        self._execute(
            "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_autocheckpoint = 0"
        )

    def resume(self) -> None:
        """Fold the log into the main file again from here on.

        All is opened anew: who has copied the file in this process let go, when it closed it, of
        every lock that SQLite held here on it, for POSIX locks belong to a process. Another
        program that opened and closed the archive would take itself for the last to have it, and
        delete the log that is written to.
        """
        try:
            with self._searching_lock, self._lock:
                # Both are closed first: SQLite has its locks once for all connections of a process.
                self._is_open = False
                self._searching.close()
                self._connection.close()
                self._connection, self._searching = _open(self._path)
                self._is_open = True
        except (sqlite3.Error, OSError, ArchiveError) as err:
            self.failure = str(err)
            raise ArchiveError(f"{self._path}: {err}") from err

    def _execute(self, *statements: str) -> None:
        try:
            with self._lock:
                for statement in statements:
                    self._connection.execute(statement).fetchall()
        except sqlite3.Error as err:
            raise ArchiveError(str(err)) from err

    def append(
        self,
        *,
        meter: str,
        transaction_id: str,
        kind: RecordKind,
        written_at: datetime,
        body: Mapping[str, Any],
    ) -> Link:
        """Write a record; it is on disk when this returns."""
        written = written_at.isoformat()
        try:
            text = json.dumps(body, ensure_ascii=False, sort_keys=True)
            with self._lock, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                row = self._connection.execute(
                    "SELECT hash FROM record ORDER BY number DESC LIMIT 1"
                ).fetchone()
                previous = row[0] if row else ""
                digest = _digest(previous, meter, transaction_id, kind, written, text)
                number = self._connection.execute(
                    "INSERT INTO record"
                    " (meter, transaction_id, kind, written_at, body, previous, hash)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (meter, transaction_id, kind, written, text, previous, digest),
                ).lastrowid
        except (sqlite3.Error, OSError) as err:
            self.failure = str(err)
            raise ArchiveError(str(err)) from err
        except (ValueError, RecursionError) as err:
            raise ArchiveError(str(err)) from err
        self.failure = None
        assert number is not None
        return Link(number=number, hash=digest)

    def try_to_write(self) -> None:
        """Find out whether a record could be written, without writing one.

        An archive that could not be opened anew by ``resume`` is, where it can be by now.
        A disk that is full can take what needs no more room than there was: so as many bytes are
        written as all but few records have.
        """
        try:
            if not self._is_open:
                self.resume()
            self._execute(
                "DROP TABLE IF EXISTS room",
                "CREATE TABLE room (bytes)",
                "INSERT INTO room VALUES (zeroblob(65536))",
                "DROP TABLE room",
            )
        except ArchiveError as err:
            self.failure = str(err)
            raise
        self.failure = None

    def summary(self) -> ArchiveSummary:
        """Return how much there is."""
        ((records, size_bytes, schema_version, last),) = self._search(
            "SELECT (SELECT COUNT(*) FROM record),"
            " (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size),"
            " (SELECT user_version FROM pragma_user_version),"
            " (SELECT written_at FROM record WHERE kind = 'stopped'"
            " ORDER BY number DESC LIMIT 1)"
        )
        try:
            last_stopped_at = None if last is None else datetime.fromisoformat(last)
        except (TypeError, ValueError) as err:
            raise ArchiveError(str(err)) from err
        return ArchiveSummary(
            records=records,
            size_bytes=size_bytes,
            schema_version=schema_version,
            last_stopped_at=last_stopped_at,
        )

    def latest(self, meter: str, kinds: Collection[RecordKind]) -> Record | None:
        """Return the newest record of these kinds of a meter."""
        return next(
            self._records(
                "SELECT * FROM record WHERE meter = ?"
                " AND kind IN (SELECT value FROM json_each(?))"
                " ORDER BY number DESC LIMIT 1",
                (meter, json.dumps(sorted(kinds))),
            ),
            None,
        )

    def stopped(
        self,
        selection: Selection,
        *,
        before: int = MAX_NUMBER,
        oldest_first: bool = False,
    ) -> Iterator[Record]:
        """Go through the finished sessions before a record's number, newest first.

        They are read a few at a time, so it takes no more memory when there are many, and
        nothing is held open in between.
        """
        named = self._named(selection, before)
        bound, order = ("after", "ASC") if oldest_first else ("before", "DESC")
        query = f"SELECT * {_STOPPED} ORDER BY number {order} LIMIT {_AT_ONCE}"
        while rows := self._search(query, named):
            for row in rows:
                yield _record(row)
            if len(rows) < _AT_ONCE:
                break
            named[bound] = rows[-1][0]

    def count_stopped(self, selection: Selection, *, before: int = MAX_NUMBER) -> int:
        """Return how many finished sessions there are before a record's number."""
        ((count,),) = self._search(
            f"SELECT count(*) {_STOPPED}", self._named(selection, before)
        )
        return int(count)

    def _named(self, selection: Selection, before: int) -> dict[str, str | int | None]:
        since, until = selection.since, selection.until
        named: dict[str, str | int | None] = {
            "meter": selection.meter,
            "transaction_id": selection.transaction_id,
            "since": -MAX_NUMBER if since is None else int(since.timestamp()),
            "until": MAX_NUMBER if until is None else int(until.timestamp()),
            "says": json.dumps(selection.says),
            "after": 0,
            "before": before,
        }
        if since is not None or until is not None:
            # A month's records lie together, or nearly so: no others need be looked at.
            ((first, last),) = self._search(_SPAN, named)
            named.update(after=first - 1, before=min(before, last + 1))
        return named

    def last_number(self) -> int:
        """Return the newest record's number; 0 when there is none."""
        ((number,),) = self._rows("SELECT coalesce(max(number), 0) FROM record")
        return int(number)

    def texts(
        self, meter: str, kind: RecordKind, path: str
    ) -> list[tuple[int, str | None]]:
        """Return what a meter's records of one kind say at a JSON path, oldest first.

        With the numbers of the records; None is for what is damaged.
        """
        return self._rows(
            "SELECT number, CASE WHEN json_valid(body) THEN"
            " CASE json_type(body, :path) WHEN 'text' THEN body ->> :path END END"
            " FROM record WHERE meter = :meter AND kind = :kind ORDER BY number",
            {"path": path, "meter": meter, "kind": kind},
        )

    def keeps(self, meter: str, signed_meter_data: str) -> bool:
        """Tell whether a finished session of a meter was kept with this; read as text, damaged or not."""
        written = json.dumps(signed_meter_data, ensure_ascii=False)
        newest = self.latest(meter, (RecordKind.STOPPED,))
        return newest is not None and (
            written in newest.text
            or bool(
                self._search(
                    "SELECT 1 FROM record WHERE kind = 'stopped' AND meter = :meter"
                    " AND instr(body, :written) LIMIT 1",
                    {"meter": meter, "written": written},
                )
            )
        )

    def of_transaction(self, meter: str, transaction_id: str) -> tuple[Record, ...]:
        """Return the records of one transaction, oldest first."""
        return tuple(
            self._records(
                "SELECT * FROM record WHERE meter = ? AND transaction_id = ?"
                " ORDER BY number",
                (meter, transaction_id),
            )
        )

    def has(self, link: Link) -> bool:
        """Tell whether a record is there as it was written.

        The chain alone cannot: it holds as well without its last records.
        """
        return bool(
            self._rows(
                "SELECT 1 FROM record WHERE number = :number AND hash = :hash",
                {"number": link.number, "hash": link.hash},
            )
        )

    def check_chain(self) -> int | None:
        """Walk the chain; return the number of the first record that does not fit."""
        previous = ""
        try:
            with (
                self._searching_lock,
                closing(
                    self._searching.execute(
                        "SELECT number, previous, meter, transaction_id, kind,"
                        " written_at, body, hash FROM record ORDER BY number"
                    )
                ) as rows,
            ):
                for number, claimed, *fields, digest in rows:
                    # A file of somebody else's may hold anything in place of a text.
                    if (
                        claimed != previous
                        or not all(isinstance(field, str) for field in fields)
                        or digest != _digest(previous, *fields)
                    ):
                        return int(number)
                    previous = digest
        except sqlite3.Error as err:
            raise ArchiveError(str(err)) from err
        return None

    def _rows(self, query: str, values: _Values = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return _all(self._connection, query, values)

    def _search(self, query: str, values: _Values = ()) -> list[tuple[Any, ...]]:
        with self._searching_lock:
            return _all(self._searching, query, values)

    def _records(self, query: str, values: _Values) -> Iterator[Record]:
        return map(_record, self._rows(query, values))


type _Values = Mapping[str, str | int | None] | tuple[str, ...]

# The index alone answers all but what a record says, so that old sessions cost no reading. The
# planner would rather read the records.
_STOPPED = """
FROM record INDEXED BY record_stopped
WHERE kind = 'stopped'
    AND number > :after
    AND number < :before
    AND meter = coalesce(:meter, meter)
    AND transaction_id = coalesce(:transaction_id, transaction_id)
    AND unixepoch(written_at) >= :since
    AND unixepoch(written_at) < :until
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:says) AS one
        WHERE NOT EXISTS (
            SELECT 1 FROM json_each(one.value) AS way
            WHERE json_extract(body, way.key) = way.value))
"""


_SPAN = """
SELECT coalesce(min(number), 0), coalesce(max(number), 0)
FROM record INDEXED BY record_stopped_at
WHERE kind = 'stopped'
    AND unixepoch(written_at) >= :since
    AND unixepoch(written_at) < :until
"""


def _all(
    connection: sqlite3.Connection, query: str, values: _Values
) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.Error as err:
        raise ArchiveError(str(err)) from err


def _record(row: tuple[Any, ...]) -> Record:
    number, meter, transaction_id, kind, written_at, text, _, hash_ = row
    try:
        return Record(
            link=Link(number=number, hash=hash_),
            meter=meter,
            transaction_id=transaction_id,
            kind=RecordKind(kind),
            written_at=datetime.fromisoformat(written_at),
            text=text,
        )
    except (TypeError, ValueError) as err:
        raise DamagedRecordError(number) from err


def _open(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    with ExitStack() as opened:
        connection, searching = (
            opened.enter_context(closing(_connect(path))) for _ in range(2)
        )
        _prepare(connection)
        opened.pop_all()
    return connection, searching


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def sync_names_in(folder: Path) -> None:
    """Let a new folder outlast a power loss, as SQLite lets its files.

    File systems that cannot are left to do as well as they can, as SQLite does.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make every commit durable and the schema present."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise ArchiveError(f"written by a newer version ({version})")
    if version < SCHEMA_VERSION:
        # In one transaction: whatever stops it leaves the file as it was, so none is copied.
        connection.executescript(
            f"BEGIN IMMEDIATE;{''.join(_VERSIONS[version:])}"
            f"PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
        )


def _digest(previous: str, *fields: str) -> str:
    """Chain a record to the one before; JSON keeps the fields apart."""
    return hashlib.sha256(
        json.dumps([previous, *fields], ensure_ascii=False).encode()
    ).hexdigest()
