"""What 100,000 receipts cost: to add one, to find a month's, to show the newest, to export all."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
import os
from pathlib import Path
from statistics import median
import tempfile
import time

from custom_components.dc_meter.archive import Archive, RecordKind
from custom_components.dc_meter.export.parties import Parties
from custom_components.dc_meter.exports import ExportFormat, export
from custom_components.dc_meter.receipts import Query, Receipts, page
from custom_components.dc_meter.session import Account, encode
from tests.export.accounts import dct1_account, ocmf_account

from .disk import disk
from .result import Must, Result, percentile

RECEIPTS = 100_000
FEW = 10_000
"""An archive to hold the memory of the large one against."""

STEP = timedelta(days=365 * 8) / RECEIPTS
"""Between two sessions: a month has a thousand."""

APPENDS = 200
PAGE = 100
PAUSE_S = 0.05
"""Between appends while an export runs."""

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = Query(since=BEGIN + timedelta(days=240), until=BEGIN + timedelta(days=270))
"""Of which an archive of 10,000 has as many: it ends after 292 days."""

KINDS = (RecordKind.STARTED, RecordKind.STOPPED)


def fill(path: Path, number: int) -> None:
    """Write so many sessions."""
    accounts = [ocmf_account(), dct1_account()]
    archive = Archive.open(path)
    # No commit waits for the disk. Only while it is filled: this goes with the connection.
    archive._connection.execute("PRAGMA synchronous = OFF")  # noqa: SLF001
    for index in range(number):
        append(archive, accounts[index % 2], index, BEGIN + index * STEP)
    archive.close()
    # What still has to be written would keep those waiting who are measured.
    with path.open("rb") as file:
        os.fsync(file.fileno())


def append(archive: Archive, account: Account, number: int, at: datetime) -> None:
    """Write the begin and the end of a session."""
    transaction_id = f"{number:08}"
    session = account.session
    session = replace(
        session, request=replace(session.request, transaction_id=transaction_id)
    )
    body = encode(replace(account, session=session))
    for kind in KINDS:
        archive.append(
            meter=session.meter.serial_number,
            transaction_id=transaction_id,
            kind=kind,
            written_at=at,
            body=body,
        )


def milliseconds(what: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def appends_ms(
    archive: Archive, until: Callable[[int], bool] = APPENDS.__le__
) -> list[float]:
    """Return what each of some appends takes, the disk included."""
    body = encode(dct1_account())
    took: list[float] = []
    while not until(len(took)):
        took.append(
            milliseconds(
                lambda: archive.append(
                    meter="BY0000000001L",
                    transaction_id="appended",
                    kind=RecordKind.STOPPED,
                    written_at=BEGIN,
                    body=body,
                )
            )
        )
    return took


def syncs_ms(folder: Path) -> list[float]:
    """Return what it takes to write as much to the disk, without a database."""
    data = bytes(4096)
    with (folder / "sync").open("wb", buffering=0) as file:

        def write() -> None:
            file.write(data)
            os.fsync(file.fileno())

        return [milliseconds(write) for _ in range(APPENDS)]


def everyday(path: Path) -> float:
    """Add, look for a month, show a page; return the most memory this took, in MB."""
    before_mb = _most_mb()
    archive = Archive.open(path)
    appends_ms(archive)
    for _ in range(3):
        month(archive)
        page(archive, Query(), limit=PAGE)
    archive.close()
    return _most_mb() - before_mb


def month(archive: Archive) -> tuple[Account, ...]:
    """Return all receipts of a month."""
    return page(archive, MONTH, limit=RECEIPTS).accounts


def export_all(path: Path) -> tuple[float, float, float, int]:
    """Export every receipt as CSV.

    Return seconds, those of the processor, the most memory this took in MB, and bytes.
    """
    before_mb = _most_mb()
    archive = Archive.open(path)
    began, worked = time.perf_counter(), time.process_time()
    size = as_csv(archive, path.parent)
    took_s, worked_s = time.perf_counter() - began, time.process_time() - worked
    archive.close()
    return took_s, worked_s, _most_mb() - before_mb, size


def as_csv(archive: Archive, folder: Path) -> int:
    """Export every receipt into a file of this folder; return its bytes."""
    receipts = Receipts(archive, Query())
    made = export(ExportFormat.CSV, receipts, Parties(time_zone=UTC), BEGIN, folder)
    with made.file as file:
        return file.seek(0, os.SEEK_END)


def appends_meanwhile_ms(path: Path) -> tuple[list[float], list[float]]:
    """Export every receipt; return what appends take meanwhile, and how late a thread wakes."""
    archive = Archive.open(path)
    appended, late = [], []
    with ThreadPoolExecutor(1) as thread:
        exported = thread.submit(as_csv, archive, path.parent)
        while not exported.done():
            late.append(milliseconds(lambda: time.sleep(PAUSE_S)) - PAUSE_S * 1000)
            appended += appends_ms(archive, (1).__le__)
    archive.close()
    return appended, late


def _most_mb() -> float:
    # getrusage() counts what the parent had before this process became another.
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def in_fresh_process[T](what: Callable[[Path], T], path: Path) -> T:
    """Do something in a process that has used no memory yet."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(what, path).result()


def measure(folder: Path, *, quick: bool) -> Iterable[Result]:
    """Fill archives and measure what is asked of them every day."""
    runs, exported = (3, 1) if quick else (7, 3)
    large, small = folder / "large.db", folder / "small.db"
    fill(large, RECEIPTS)
    fill(small, FEW)
    archive = Archive.open(large)
    first_month = milliseconds(lambda: month(archive))
    appended = [percentile(appends_ms(archive), 99) for _ in range(runs)]
    months = [milliseconds(lambda: month(archive)) for _ in range(runs)]
    counted = [
        milliseconds(
            lambda: (len(Receipts(archive, MONTH)), page(archive, MONTH, limit=PAGE))
        )
        for _ in range(runs)
    ]
    pages = [
        milliseconds(lambda: page(archive, Query(), limit=PAGE)) for _ in range(runs)
    ]
    found = len(month(archive))
    archive.close()
    disk = syncs_ms(folder)
    yield Result.of(
        "archive of 100,000: append, p99",
        appended,
        "ms",
        limit=percentile(disk, 99),
        must=Must(bound=20),
    )
    yield Result.of(
        f"archive of 100,000: all {found} receipts of a month",
        months,
        "ms",
        must=Must(bound=50),
    )
    yield Result.of(
        "archive of 100,000: ... as the first thing after it was opened",
        [first_month],
        "ms",
    )
    yield Result.of(
        f"archive of 100,000: how many there are of a month, and the last {PAGE}",
        counted,
        "ms",
        must=Must(bound=50),
    )
    yield Result.of(
        f"archive of 100,000: newest page of {PAGE}", pages, "ms", must=Must(bound=50)
    )
    appended, late = in_fresh_process(appends_meanwhile_ms, large)
    yield Result.of(
        "archive of 100,000: append while an export runs, p99",
        [percentile(appended, 99)],
        "ms",
        must=Must(bound=20),
    )
    yield Result.of(
        "archive of 100,000: how late a thread wakes while an export runs, p99",
        [percentile(late, 99)],
        "ms",
    )
    yield Result.of(
        "archive of 100,000: memory for what is asked every day, that of 10,000 as its limit",
        [in_fresh_process(everyday, large)],
        "MB",
        limit=in_fresh_process(everyday, small),
        must=Must(bound=1.2, of="limit"),
    )
    exports = [in_fresh_process(export_all, large) for _ in range(exported)]
    took, worked, memory, sizes = zip(*exports, strict=True)
    yield Result.of(
        f"archive of 100,000: export of all as CSV ({sizes[0] / 1e6:.0f} MB)",
        took,
        "s",
        must=Must(bound=10),
    )
    yield Result.of(
        "archive of 100,000: processor time of the export of all", worked, "s"
    )
    few = [in_fresh_process(export_all, small)[2] for _ in range(exported)]
    yield Result.of(
        "archive of 100,000: memory an export takes, that of 10,000 as its limit",
        memory,
        "MB",
        limit=median(few),
        must=Must(bound=1.2, of="limit"),
    )


async def ask(*, quick: bool) -> list[Result]:
    """Measure in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="dc-meter-bench-", dir=disk()) as folder:
        return await asyncio.to_thread(lambda: list(measure(Path(folder), quick=quick)))
