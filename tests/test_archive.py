"""The archive keeps what it was given, in order, through anything, and shows tampering."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
import hashlib
import json
from pathlib import Path
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from custom_components.dc_meter.archive import (
    SCHEMA_VERSION,
    Archive,
    ArchiveError,
    RecordKind,
    Selection,
)

METER = "BY0520001002L"
NOW = datetime(2026, 7, 1, 14, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the archive is, in a folder that does not exist yet."""
    return tmp_path / "dc_meter" / "receipts.db"


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    """Open an empty archive."""
    archive = Archive.open(path)
    yield archive
    archive.close()


def write(
    archive: Archive,
    transaction_id: str,
    kind: RecordKind = RecordKind.STARTED,
    meter: str = METER,
) -> None:
    """Append a record whose body tells it apart."""
    archive.append(
        meter=meter,
        transaction_id=transaction_id,
        kind=kind,
        written_at=NOW,
        body={"of": transaction_id, "text": "Größe | \u2028"},
    )


def test_a_record_comes_back_as_it_was_written(archive: Archive, path: Path) -> None:
    """Also from a file that was closed in between."""
    write(archive, "T")
    archive.close()
    again = Archive.open(path)
    record = again.latest(METER, RecordKind)
    again.close()
    assert record is not None
    assert record.transaction_id == "T"
    assert record.kind is RecordKind.STARTED
    assert record.written_at == NOW
    assert record.body == {"of": "T", "text": "Größe | \u2028"}


def test_records_are_found_by_meter_transaction_and_kind(archive: Archive) -> None:
    """Meters share the file and do not see each other."""
    write(archive, "A", RecordKind.STARTED)
    write(archive, "A", RecordKind.STOPPED)
    write(archive, "B", RecordKind.STARTED)
    write(archive, "A", RecordKind.FAILED, meter="another")
    kinds = [record.kind for record in archive.of_transaction(METER, "A")]
    assert kinds == [RecordKind.STARTED, RecordKind.STOPPED]
    stopped = archive.latest(METER, [RecordKind.STOPPED])
    assert stopped is not None
    assert stopped.transaction_id == "A"
    latest = archive.latest(METER, RecordKind)
    assert latest is not None
    assert latest.transaction_id == "B"
    assert archive.latest("nobody", RecordKind) is None


@pytest.mark.parametrize(
    "statement", ["UPDATE record SET body = '{}'", "DELETE FROM record"]
)
def test_a_record_is_never_changed_or_removed(
    archive: Archive, path: Path, statement: str
) -> None:
    """The file itself refuses."""
    write(archive, "T")
    other = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        other.execute(statement)
    other.close()


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ('UPDATE record SET body = \'{"of": "X"}\' WHERE number = 2', 2),
        ("UPDATE record SET written_at = '2020-01-01T00:00:00' WHERE number = 3", 3),
        ("UPDATE record SET kind = 'failed' WHERE number = 1", 1),
        ("DELETE FROM record WHERE number = 2", 3),
        ("DELETE FROM record WHERE number = 1", 2),
        ("UPDATE record SET transaction_id = meter || transaction_id, meter = ''", 1),
        ("UPDATE record SET previous = '' WHERE number = 2", 2),
        ("DELETE FROM record WHERE number < 2; UPDATE record SET previous = ''", 2),
    ],
)
def test_tampering_shows(
    archive: Archive, path: Path, tampering: str, broken: int
) -> None:
    """Whoever gets past the triggers breaks the chain at that record."""
    for transaction_id in "ABCD":
        write(archive, transaction_id)
    assert archive.check_chain() is None
    other = sqlite3.connect(path)
    other.executescript(
        "DROP TRIGGER record_is_never_changed; DROP TRIGGER record_is_never_removed;"
        + tampering
    )
    other.close()
    assert archive.check_chain() == broken


def test_a_record_is_there_only_as_it_was_written(archive: Archive) -> None:
    """Another one under its number is not it: the end may have been cut off, and gone on from."""
    for transaction_id in "AB":
        write(archive, transaction_id)
    first, second = (archive.of_transaction(METER, id_)[0].link for id_ in "AB")
    assert archive.has(first)
    assert not archive.has(replace(second, hash=first.hash))
    assert not archive.has(replace(second, hash="0" * 64))


def test_a_file_that_is_no_archive_is_refused_and_left_alone(path: Path) -> None:
    """Nothing is overwritten."""
    path.parent.mkdir()
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(ArchiveError):
        Archive.open(path)
    assert path.read_bytes() == b"something else entirely" * 100


def test_an_archive_of_a_newer_version_is_refused(path: Path) -> None:
    """What is not understood is not written to."""
    Archive.open(path).close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    with pytest.raises(ArchiveError, match="newer"):
        Archive.open(path)


VERSION_1 = """
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
PRAGMA user_version = 1;
"""


@pytest.fixture
def version_1(path: Path) -> Path:
    """Make an archive of a thousand records as the first version wrote them."""
    path.parent.mkdir()
    file = sqlite3.connect(path)
    file.execute("PRAGMA journal_mode = WAL")
    file.executescript(VERSION_1)
    link = ""
    for number in range(1000):
        fields = (METER, f"T{number}", "stopped", NOW.isoformat(), '{"of": "Größe"}')
        text = json.dumps([link, *fields], ensure_ascii=False)
        previous, link = link, hashlib.sha256(text.encode()).hexdigest()
        file.execute(
            "INSERT INTO record VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
            (*fields, previous, link),
        )
    file.commit()
    file.close()
    return path


def made_of(path: Path) -> tuple[int, list[str]]:
    """Return a file's version, and the names of all it is made of."""
    file = sqlite3.connect(path)
    (version,) = file.execute("PRAGMA user_version").fetchone()
    names = file.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
    file.close()
    return version, [name for (name,) in names]


def test_an_archive_of_an_older_version_is_brought_up_to_date(
    version_1: Path, tmp_path: Path
) -> None:
    """With every record as it was, and made of the same as a new one."""
    archive = Archive.open(version_1)
    assert archive.check_chain() is None
    (record,) = archive.of_transaction(METER, "T999")
    assert record.link.number == 1000
    assert record.body == {"of": "Größe"}
    write(archive, "next")
    assert archive.check_chain() is None
    archive.close()
    Archive.open(tmp_path / "new.db").close()
    assert made_of(version_1) == made_of(tmp_path / "new.db")


MIGRATION = """
import itertools, os, signal, sqlite3, sys
from pathlib import Path
from custom_components.dc_meter.archive import Archive
connect = sqlite3.connect
instructions = itertools.count(1)
def perish():
    if next(instructions) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
def connect_perishably(*args, **options):
    connection = connect(*args, **options)
    connection.set_progress_handler(perish, 1)
    return connection
sqlite3.connect = connect_perishably
Archive.open(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("instructions", [1, 100, 10_000, 20_000, 25_000])
def test_an_update_that_is_killed_leaves_the_version_before(
    version_1: Path, instructions: int
) -> None:
    """However far it had come, the file is as it was and can be brought up to date."""
    before = made_of(version_1)
    killed = subprocess.run(
        [sys.executable, "-c", MIGRATION, str(version_1), str(instructions)],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert made_of(version_1) == before
    archive = Archive.open(version_1)
    assert archive.check_chain() is None
    assert archive.of_transaction(METER, "T999")
    archive.close()
    assert made_of(version_1)[0] == SCHEMA_VERSION


def test_nobody_else_on_the_machine_reads_who_charged(path: Path) -> None:
    """Neither a new archive nor one from before, nor what SQLite puts beside it."""
    for _ in range(2):
        archive = Archive.open(path)
        archive.append(
            meter=METER,
            transaction_id="T1",
            kind=RecordKind.STARTED,
            written_at=NOW,
            body={},
        )
        files = list(path.parent.iterdir())
        assert len(files) == 3
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        archive.close()
        path.chmod(0o644)


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    """The reason is in the error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="file"):
        Archive.open(tmp_path / "file" / "receipts.db")


def test_a_disk_is_full_until_there_is_room_for_a_record(archive: Archive) -> None:
    """What is small may still find a place, and proves nothing."""
    connection = archive._connection  # noqa: SLF001  # the disk behind it
    write(archive, "before")
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    write(archive, "small")
    with pytest.raises(ArchiveError, match="full"):
        archive.try_to_write()
    assert archive.failure is not None
    with pytest.raises(ArchiveError, match="full"):
        write(archive, "x" * 50_000)
    connection.execute("PRAGMA max_page_count = 1073741823")
    archive.try_to_write()
    assert archive.failure is None
    assert not connection.execute(
        "SELECT * FROM sqlite_schema WHERE name = 'room'"
    ).fetchall()
    write(archive, "after")
    assert archive.check_chain() is None


def test_an_archive_that_could_not_be_opened_anew_is_as_soon_as_it_can(
    archive: Archive, path: Path
) -> None:
    """After a backup, say, for want of memory or of files."""
    write(archive, "A")
    archive.quiesce()
    aside = path.with_name("aside")
    path.rename(aside)
    path.mkdir()
    with pytest.raises(ArchiveError):
        archive.resume()
    assert archive.failure is not None
    with pytest.raises(ArchiveError):
        archive.try_to_write()
    path.rmdir()
    aside.rename(path)
    archive.try_to_write()
    assert archive.failure is None
    write(archive, "B")
    assert archive.summary().records == 2


def test_a_closed_archive_says_so(path: Path) -> None:
    """Every call reports what it could not do."""
    archive = Archive.open(path)
    archive.close()
    for call in (
        lambda: write(archive, "T"),
        lambda: archive.latest(METER, RecordKind),
        archive.check_chain,
    ):
        with pytest.raises(ArchiveError):
            call()


def test_threads_take_turns(archive: Archive) -> None:
    """However many write at once, the chain holds and nothing is missing."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write(archive, f"T{number}"), range(80)))
    assert archive.check_chain() is None
    links = {archive.of_transaction(METER, f"T{n}")[0].link for n in range(80)}
    assert {link.number for link in links} == set(range(1, 81))


def test_a_record_is_written_while_somebody_looks_through_many(
    archive: Archive,
) -> None:
    """A session that ends does not wait for an export, nor for a search that finds nothing."""
    write(archive, "T", RecordKind.STOPPED)
    written = threading.Event()
    waited = []

    def wait_until_written() -> bool:
        """Break the search off when it has waited in vain."""
        waited.append(written.wait(timeout=5))
        return not waited[-1]

    archive._searching.set_progress_handler(wait_until_written, 1)  # noqa: SLF001  # what searches
    with ThreadPoolExecutor(1) as thread:
        search = thread.submit(lambda: list(archive.stopped(Selection())))
        write(archive, "next")
        written.set()
        assert [record.transaction_id for record in search.result()] == ["T"]
    assert all(waited)


WRITER = """
import sys
from datetime import UTC, datetime
import hashlib
import json
from pathlib import Path
from custom_components.dc_meter.archive import Archive, RecordKind
archive = Archive.open(Path(sys.argv[1]))
for number in range(1_000_000):
    archive.append(meter="M", transaction_id=f"T{number}", kind=RecordKind.STOPPED,
                   written_at=datetime.now(UTC), body={"number": number, "value": "x" * 500})
    print(number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [0, 1, 7, 40])
def test_what_was_acknowledged_survives_kill_9(path: Path, acknowledged: int) -> None:
    """A killed process leaves every record it was told is written, and a whole chain."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    last = -1
    while last < acknowledged:
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    said = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    last = int(said[-1]) if said else last
    archive = Archive.open(path)
    assert archive.check_chain() is None
    assert archive.of_transaction("M", f"T{last}")
    archive.close()
