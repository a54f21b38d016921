"""Power may fail at any moment: what an append has answered for is there when it comes back.

A writer runs under ``strace``. After each of its calls the disk is put into states that it may be
found in when power fails there: what was synced is certain; of the rest anything may be missing,
files and folders included, and a write may be there in part, in sectors of any order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

from custom_components.dc_meter.archive import Archive, RecordKind

from .test_archive import VERSION_1

SECTOR = 512

# The log is folded into the file as often as can be.
WRITER = """
import os, sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from custom_components.dc_meter.archive import Archive, RecordKind

def opened():
    archive = Archive.open(Path(sys.argv[1]))
    archive._connection.execute("PRAGMA wal_autocheckpoint = 9")
    return archive

def append(times, size):
    for _, number in zip(range(times), numbers):
        archive.append(meter="M", transaction_id=f"T{number}", kind=RecordKind.STOPPED,
                       written_at=datetime.now(UTC), body={"value": "x" * size})
        os.write(1, b"answered")

numbers = count()
archive = opened()
append(2, 300)
archive.quiesce()
append(2, 9000)
archive.resume()
archive.close()
archive = opened()
append(5, 300)
"""

CALL = re.compile(r"(\w+)\((.*)\) += \d+(?:<|$)")
TEXT = re.compile(r"(?:\\x[0-9a-f]{2})+")


@dataclass
class Folder:
    """A folder; what it contains are names of its disk."""


@dataclass
class File:
    """A file: what of it is certain, and what was written since."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Place and bytes, or a length that the file was cut or extended to."""

    def sync(self) -> None:
        self.content = self.left(lambda: True)
        self.pending.clear()

    def left(self, is_kept: Callable[[], bool]) -> bytearray:
        """Return what is found of it when power fails."""
        content = bytearray(self.content)
        for place, data in self.pending:
            if data is None:
                if is_kept():
                    content = content[:place].ljust(place, b"\0")
                continue
            for start in range(0, len(data), SECTOR):
                sector = data[start : start + SECTOR]
                if is_kept():
                    end = place + start + len(sector)
                    content = content.ljust(end, b"\0")
                    content[place + start : end] = sector
        return content


@dataclass
class Disk:
    """What a disk is told, call by call."""

    names: dict[Path, list[Folder | File | None]] = field(default_factory=dict)
    """What each name certainly stands for, and then what it was made to since."""

    answered: int = 0

    def now(self, path: Path) -> Folder | File | None:
        return self.names.get(path, [None])[-1]

    def make(self, path: Path, what: Folder | File | None) -> None:
        self.names.setdefault(path, [None]).append(what)

    def sync(self, path: Path) -> None:
        if isinstance(file := self.now(path), File):
            file.sync()
            return
        for name, meanings in self.names.items():
            if name.parent == path:
                del meanings[:-1]

    def obey(self, call: str, arguments: str) -> None:
        """Do as one call did."""
        texts = [bytes.fromhex(t.replace(r"\x", "")) for t in TEXT.findall(arguments)]
        path = Path(texts[call == "openat"].decode())
        file, last = self.now(path), arguments.rpartition(", ")[2]
        match call:
            case "mkdir":
                self.make(path, Folder())
            case "unlink":
                self.make(path, None)
            case "openat" if "O_CREAT" in arguments and file is None:
                self.make(path, File())
            case "pwrite64" if isinstance(file, File):
                file.pending.append((int(last), texts[1]))
            case "ftruncate" if isinstance(file, File):
                file.pending.append((int(last), None))
            case "fsync" | "fdatasync":
                self.sync(path)
            case "write" if texts[1:] == [b"answered"]:
                self.answered += 1

    def left(self, is_kept: Callable[[], bool]) -> dict[Path, bytes | None]:
        """Return what is found when power fails: folders, and files with their bytes."""
        found: dict[Path, bytes | None] = {}
        for name, meanings in self.names.items():
            chosen = 0
            while chosen + 1 < len(meanings) and is_kept():
                chosen += 1
            match meanings[chosen]:
                case Folder():
                    found[name] = None
                case File() as file if name.parent in found:
                    found[name] = bytes(file.left(is_kept))
        return found


def calls_of_a_writer(path: Path, log: Path) -> Iterator[tuple[str, str]]:
    """Run the writer; return what it told the disk."""
    strace = shutil.which("strace")
    if (
        strace is None
        or subprocess.run([strace, "-o", log, "true"], check=False).returncode
    ):
        pytest.skip("strace is not installed, or may not trace here")
    traced = "openat,mkdir,unlink,write,pwrite64,ftruncate,fsync,fdatasync"
    options = ["-y", "-xx", "-s", "1000000", "-o", log, "-e", f"trace={traced}"]
    subprocess.run(
        [strace, *options, sys.executable, "-c", WRITER, path],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for line in log.read_text().splitlines():
        if call := CALL.search(line):
            yield call[1], call[2]


def put(found: dict[Path, bytes | None], root: Path, place: Path) -> None:
    """Lay a disk's content out in a place of its own."""
    for name, content in found.items():
        path = place / name.relative_to(root.parent)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)


@pytest.mark.parametrize("version", [0, 1])
def test_what_was_answered_for_survives_a_power_loss(
    tmp_path: Path, version: int
) -> None:
    """From an empty disk or an archive of an older version on, at every call of the writer."""
    root, place = tmp_path / "disk", tmp_path / "after"
    path = root / "dc_meter" / "receipts.db"
    root.mkdir()
    disk = Disk(names={root: [Folder()]})
    if version:
        path.parent.mkdir()
        older = sqlite3.connect(path)
        older.executescript(VERSION_1)
        older.close()
        disk.names |= {
            path.parent: [Folder()],
            path: [File(content=bytearray(path.read_bytes()))],
        }
    dice = Random(version)
    states: set[tuple[int, frozenset[tuple[Path, bytes | None]]]] = set()
    for call, arguments in calls_of_a_writer(path, tmp_path / "calls"):
        disk.obey(call, arguments)
        for often in (0.0, 0.5, 0.9, 1.0):
            found = disk.left(lambda often=often: dice.random() < often)
            states.add((disk.answered, frozenset(found.items())))
    assert disk.answered == 9
    assert len(states) > 300
    for answered, found in states:
        place.mkdir()
        put(dict(sorted(found)), root, place)
        archive = Archive.open(place / root.name / "dc_meter" / "receipts.db")
        kept = [archive.of_transaction("M", f"T{number}") for number in range(answered)]
        assert all(kept)
        archive.append(
            meter="M",
            transaction_id="after",
            kind=RecordKind.STOPPED,
            written_at=datetime.now(UTC),
            body={},
        )
        assert archive.check_chain() is None
        archive.close()
        shutil.rmtree(place)
