"""What happened and what was signed, on disk: append-only, each record chained to the last."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
import hashlib
import json
from pathlib import Path
import sqlite3
import threading
from typing import Any, Self

SCHEMA_VERSION = 1

_SCHEMA = """
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
"""


class RecordKind(StrEnum):
    """What a record says about its transaction.

    An intention (``STARTING``, ``STOPPING``) is written before the meter is asked, so that
    whatever dies in between leaves a trace to go on from.
    """

    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One line of the archive."""

    number: int
    meter: str
    transaction_id: str
    kind: RecordKind
    written_at: datetime
    body: Mapping[str, Any]


class ArchiveError(Exception):
    """The archive cannot be read or written; the reason is in the message."""


class Archive:
    """The archive of all meters in one SQLite file.

    Made to be called from worker threads; calls are serialized. Every method may raise
    ``ArchiveError``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take an open connection; use ``open`` instead."""
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the archive at this path, made when missing."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, OSError, ArchiveError) as err:
            raise ArchiveError(f"{path}: {err}") from err
        return cls(connection)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def append(
        self,
        *,
        meter: str,
        transaction_id: str,
        kind: RecordKind,
        written_at: datetime,
        body: Mapping[str, Any],
    ) -> None:
        """Write a record; it is on disk when this returns."""
        text = json.dumps(body, ensure_ascii=False, sort_keys=True)
        written = written_at.isoformat()
        try:
            with self._lock, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                row = self._connection.execute(
                    "SELECT hash FROM record ORDER BY number DESC LIMIT 1"
                ).fetchone()
                previous = row[0] if row else ""
                self._connection.execute(
                    "INSERT INTO record"
                    " (meter, transaction_id, kind, written_at, body, previous, hash)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        meter,
                        transaction_id,
                        kind,
                        written,
                        text,
                        previous,
                        _digest(previous, meter, transaction_id, kind, written, text),
                    ),
                )
        except (sqlite3.Error, OSError) as err:
            raise ArchiveError(str(err)) from err

    def latest(self, meter: str) -> Record | None:
        """Return the newest record of a meter."""
        return next(
            self._records(
                "SELECT * FROM record WHERE meter = ? ORDER BY number DESC LIMIT 1",
                meter,
            ),
            None,
        )

    def latest_of_kind(self, meter: str, kind: RecordKind) -> Record | None:
        """Return the newest record of this kind of a meter."""
        return next(
            self._records(
                "SELECT * FROM record WHERE meter = ? AND kind = ?"
                " ORDER BY number DESC LIMIT 1",
                meter,
                kind,
            ),
            None,
        )

    def of_transaction(self, meter: str, transaction_id: str) -> tuple[Record, ...]:
        """Return the records of one transaction, oldest first."""
        return tuple(
            self._records(
                "SELECT * FROM record WHERE meter = ? AND transaction_id = ?"
                " ORDER BY number",
                meter,
                transaction_id,
            )
        )

    def check_chain(self) -> int | None:
        """Walk the chain; return the number of the first record that does not fit."""
        previous = ""
        try:
            with (
                self._lock,
                closing(
                    self._connection.execute(
                        "SELECT number, previous, meter, transaction_id, kind,"
                        " written_at, body, hash FROM record ORDER BY number"
                    )
                ) as rows,
            ):
                for number, claimed, *fields, digest in rows:
                    if claimed != previous or digest != _digest(previous, *fields):
                        return int(number)
                    previous = digest
        except sqlite3.Error as err:
            raise ArchiveError(str(err)) from err
        return None

    def _records(self, query: str, *values: str) -> Iterator[Record]:
        try:
            with self._lock:
                rows = self._connection.execute(query, values).fetchall()
        except sqlite3.Error as err:
            raise ArchiveError(str(err)) from err
        for number, meter, transaction_id, kind, written_at, body, *_ in rows:
            yield Record(
                number=number,
                meter=meter,
                transaction_id=transaction_id,
                kind=RecordKind(kind),
                written_at=datetime.fromisoformat(written_at),
                body=json.loads(body),
            )


def _prepare(connection: sqlite3.Connection) -> None:
    """Make every commit durable and the schema present."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
        )
    elif version > SCHEMA_VERSION:
        raise ArchiveError(f"written by a newer version ({version})")


def _digest(previous: str, *fields: str) -> str:
    """Chain a record to the one before; JSON keeps the fields apart."""
    return hashlib.sha256(
        json.dumps([previous, *fields], ensure_ascii=False).encode()
    ).hexdigest()
