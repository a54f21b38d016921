"""Receipts as files, in the formats that tax offices, employers and customers can open."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count
import os
from pathlib import Path
from shutil import copyfileobj
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import BinaryIO

from .archive import sync_names_in
from .const import DOMAIN
from .export.parties import Parties
from .export.safe_xml import safe_xml
from .export.table import sessions_csv
from .receipts import Receipts

_MOST_PAGES = 5_000
"""Each session is set on a page, for 12 ms of a fast processor. Until the number of the last is
known, a PDF keeps 12 kB of each page in memory, a ZIP 4 kB of each session."""


class ExportFormat(StrEnum):
    """What can be made of receipts."""

    SAFE_XML = "safe_xml"
    CSV = "csv"
    PDF = "pdf"
    ZIP = "zip"

    @property
    def most(self) -> int | None:
        """How many sessions it takes; None where there may be any number."""
        return _MOST_PAGES if self in (ExportFormat.PDF, ExportFormat.ZIP) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A file, and which sessions its format cannot express."""

    name: str
    content_type: str
    file: BinaryIO
    """Without a name on the disk: it is gone when nobody has it open, whatever happens."""

    left_out: tuple[str, ...] = ()

    def write_into(self, folder: Path) -> Path:
        """Write the file, never over another, for its owner alone. Raises ``OSError``.

        Under its name there is all of it, once it is on the disk, or an empty file.
        """
        path = self._reserve(folder)
        try:
            with NamedTemporaryFile(dir=folder, prefix=f".{path.name}-") as beside:
                self.file.seek(0)
                copyfileobj(self.file, beside)
                beside.flush()
                os.fsync(beside.fileno())
                Path(beside.name).replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        sync_names_in(folder)
        return path

    def _reserve(self, folder: Path) -> Path:
        path = folder / self.name
        for number in count(2):
            try:
                path.touch(mode=0o600, exist_ok=False)
            except FileExistsError:
                path = path.with_stem(f"{Path(self.name).stem}-{number}")
            else:
                break
        return path


def export(
    kind: ExportFormat,
    receipts: Receipts,
    parties: Parties,
    now: datetime,
    folder: Path,
) -> Export:
    """Make the file, on the disk of this folder. Raises ``ArchiveError`` and ``OSError``.

    Made for a worker thread: a long statement takes its time.
    """
    suffix, content_type, write = _FORMATS[kind]
    file = TemporaryFile(dir=folder)
    left_out = write(receipts, parties, now, file)
    file.flush()
    return Export(
        name=f"{DOMAIN}-{now:%Y%m%dT%H%M%S}.{suffix}",
        content_type=content_type,
        file=file,
        left_out=tuple(left_out),
    )


def _xml(
    receipts: Receipts, parties: Parties, now: datetime, file: BinaryIO
) -> list[str]:
    left_out: list[str] = []
    file.writelines(safe_xml(receipts, left_out))
    return left_out


def _csv(
    receipts: Receipts, parties: Parties, now: datetime, file: BinaryIO
) -> list[str]:
    file.writelines(sessions_csv(receipts, parties, dialect=parties.language))
    return []


# What sets type is large, and few ever ask for it: it is loaded when somebody does.


def _pdf(
    receipts: Receipts, parties: Parties, now: datetime, file: BinaryIO
) -> list[str]:
    from .export.pdf import statement

    file.write(statement(receipts, parties, created_at=now, with_receipts=True))
    return []


def _zip(
    receipts: Receipts, parties: Parties, now: datetime, file: BinaryIO
) -> list[str]:
    from .export.bundle import bundle

    bundle(receipts, parties, file, created_at=now)
    return []


_FORMATS: dict[
    ExportFormat,
    tuple[str, str, Callable[[Receipts, Parties, datetime, BinaryIO], list[str]]],
] = {
    ExportFormat.SAFE_XML: ("xml", "application/xml", _xml),
    ExportFormat.CSV: ("csv", "text/csv", _csv),
    ExportFormat.PDF: ("pdf", "application/pdf", _pdf),
    ExportFormat.ZIP: ("zip", "application/zip", _zip),
}
