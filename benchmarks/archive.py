"""What 100,000 receipts cost: to add one, to find a month's, to show the newest, to export all."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
import os
from pathlib import Path
import shutil
from statistics import median
import tempfile
import time

from custom_components.dc_meter.archive import Archive, RecordKind
from custom_components.dc_meter.export.parties import Parties
from custom_components.dc_meter.exports import ExportFormat, export
from custom_components.dc_meter.receipts import Query, Receipts, page
from custom_components.dc_meter.session import Account, encode
from tests.export.accounts import dct1_account, ocmf_account

from .result import Must, Result, percentile

RECEIPTS = 100_000
FEW = 10_000
"""An archive to hold the memory of the large one against."""

YEARS = 8
APPENDS = 200
RUNS = 7
EXPORTS = 3
PAGE = 100
PAUSE_S = 0.05
"""Between appends while an export runs."""

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = Query(since=BEGIN + timedelta(days=360), until=BEGIN + timedelta(days=390))
KINDS = (RecordKind.STARTED, RecordKind.STOPPED)


def fill(path: Path, number: int) -> None:
    """Write so many sessions, spread evenly over eight years, in a folder without a disk."""
    accounts = [ocmf_account(), dct1_account()]
    step = timedelta(days=365 * YEARS) / number
    # Where a commit costs nothing; what is measured afterwards lies on a disk.
    memory = Path("/dev/shm")  # noqa: S108  # the folder in it has a name nobody can guess
    with tempfile.TemporaryDirectory(
        prefix="dc-meter-bench-", dir=memory if memory.is_dir() else None
    ) as folder:
        archive = Archive.open(Path(folder, path.name))
        for index in range(number):
            append(archive, accounts[index % 2], index, BEGIN + index * step)
        archive.close()
        shutil.copy(Path(folder, path.name), path)


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
    archive = Archive.open(path)
    appends_ms(archive)
    for _ in range(3):
        month(archive)
        page(archive, Query(), limit=PAGE)
    archive.close()
    return _most_mb()


def month(archive: Archive) -> tuple[Account, ...]:
    """Return all receipts of a month."""
    return page(archive, MONTH, limit=RECEIPTS).accounts


def export_all(path: Path) -> tuple[float, float, float, int]:
    """Export every receipt as CSV.

    Return seconds, those of the processor, the most memory this took in MB, and bytes.
    """
    archive = Archive.open(path)
    before_mb = _most_mb()
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


def measure(folder: Path) -> Iterable[Result]:
    """Fill archives and measure what is asked of them every day."""
    large, small = folder / "large.db", folder / "small.db"
    fill(large, RECEIPTS)
    fill(small, FEW)
    archive = Archive.open(large)
    first_month = milliseconds(lambda: month(archive))
    appended = [percentile(appends_ms(archive), 99) for _ in range(RUNS)]
    months = [milliseconds(lambda: month(archive)) for _ in range(RUNS)]
    counted = [
        milliseconds(
            lambda: (len(Receipts(archive, MONTH)), page(archive, MONTH, limit=PAGE))
        )
        for _ in range(RUNS)
    ]
    pages = [
        milliseconds(lambda: page(archive, Query(), limit=PAGE)) for _ in range(RUNS)
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
        "archive of 100,000: most memory in use, that of 10,000 as its limit",
        [in_fresh_process(everyday, large)],
        "MB",
        limit=in_fresh_process(everyday, small),
        must=Must(bound=1.2, of="limit"),
    )
    exports = [in_fresh_process(export_all, large) for _ in range(EXPORTS)]
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
    few = [in_fresh_process(export_all, small)[2] for _ in range(EXPORTS)]
    yield Result.of(
        "archive of 100,000: memory an export takes, that of 10,000 as its limit",
        memory,
        "MB",
        limit=median(few),
        must=Must(bound=1.2, of="limit"),
    )


async def ask(*, quick: bool) -> list[Result]:
    """Measure in a folder on the disk that holds temporary files."""
    with tempfile.TemporaryDirectory(prefix="dc-meter-bench-") as folder:
        return await asyncio.to_thread(lambda: list(measure(Path(folder))))
