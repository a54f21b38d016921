"""Receipts as files, in the formats that tax offices, employers and customers can open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count
import os
from pathlib import Path

from .const import DOMAIN
from .export.parties import Parties
from .export.safe_xml import safe_xml
from .export.table import sessions_csv
from .session import Account


class ExportFormat(StrEnum):
    """What can be made of receipts."""

    SAFE_XML = "safe_xml"
    CSV = "csv"
    PDF = "pdf"
    ZIP = "zip"


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A file, and which sessions its format cannot express."""

    name: str
    content_type: str
    content: bytes
    left_out: tuple[str, ...] = ()

    def write_into(self, folder: Path) -> Path:
        """Write the file, never over another, for its owner alone. Raises ``OSError``."""
        name = Path(self.name)
        for number in count(2):
            try:
                descriptor = os.open(
                    folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600
                )
            except FileExistsError:
                name = name.with_stem(f"{Path(self.name).stem}-{number}")
            else:
                break
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.content)
            file.flush()
            os.fsync(descriptor)
        return folder / name


def export(
    kind: ExportFormat, accounts: Sequence[Account], parties: Parties, now: datetime
) -> Export:
    """Make the file. Made for a worker thread: a long statement takes its time."""
    name, content_type, make = _FORMATS[kind]
    content, left_out = make(accounts, parties, now)
    return Export(
        name=f"{DOMAIN}-{now:%Y%m%dT%H%M%S}.{name}",
        content_type=content_type,
        content=content,
        left_out=left_out,
    )


type _Made = tuple[bytes, tuple[str, ...]]


def _xml(accounts: Sequence[Account], parties: Parties, now: datetime) -> _Made:
    made = safe_xml(accounts)
    return made.content, made.left_out


def _csv(accounts: Sequence[Account], parties: Parties, now: datetime) -> _Made:
    return sessions_csv(accounts, parties, dialect=parties.language), ()


# What sets type is large, and few ever ask for it: it is loaded when somebody does.


def _pdf(accounts: Sequence[Account], parties: Parties, now: datetime) -> _Made:
    from .export.pdf import statement

    return statement(accounts, parties, created_at=now, with_receipts=True), ()


def _zip(accounts: Sequence[Account], parties: Parties, now: datetime) -> _Made:
    from .export.bundle import bundle

    return bundle(accounts, parties, created_at=now), ()


_FORMATS: dict[
    ExportFormat,
    tuple[str, str, Callable[[Sequence[Account], Parties, datetime], _Made]],
] = {
    ExportFormat.SAFE_XML: ("xml", "application/xml", _xml),
    ExportFormat.CSV: ("csv", "text/csv", _csv),
    ExportFormat.PDF: ("pdf", "application/pdf", _pdf),
    ExportFormat.ZIP: ("zip", "application/zip", _zip),
}
