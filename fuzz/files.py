"""What is in a file that somebody hands in."""

from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
import io
import json
import sqlite3
from typing import Any

from custom_components.dc_meter.archive import ArchiveError, Link, RecordKind
from custom_components.dc_meter.export import verify_dct1
from custom_components.dc_meter.metering.__main__ import run
from custom_components.dc_meter.metering.receipt_file import (
    UnusableFileError,
    read_receipts,
    receipts_in,
)
from custom_components.dc_meter.metering.verdict import Verdict
from custom_components.dc_meter.receipts import Query, Receipts, page

from .loose_archive import loose_archive
from .target import CORPUS, Target, folder, text_of
from .values import Source


def _receipts(data: bytes) -> None:
    assert receipts_in(text_of(data))


def _zip(data: bytes) -> None:
    with folder() as place:
        file = place / "receipts.zip"
        file.write_bytes(data)
        assert read_receipts(file)


def _verify(data: bytes) -> None:
    """Take a first line with the key that is given, whose first byte asks for JSON."""
    line, _, content = data.partition(b"\n")
    options = Namespace(json=line[:1] == b"j", public_key=text_of(line[1:]) or None)
    said = io.StringIO()
    with folder() as place, redirect_stdout(said), redirect_stderr(said):
        options.file = place / "receipt"
        options.file.write_bytes(content)
        assert run(options) in (0, 1, 2)
    if options.json:
        json.loads(said.getvalue())
    assert all(text.isprintable() for text in said.getvalue().split("\n"))


def _verify_dct1(data: bytes) -> None:
    """Two signed values and their key, a byte with its length before each."""
    with folder() as place:
        for name in ("end.bin", "begin.bin", "public_key.txt"):
            length = data[0] if data else 0
            content, data = data[1 : 1 + length], data[1 + length :]
            if content:
                (place / name).write_bytes(content)
        assert verify_dct1.check_session(place, "").isprintable()


_WORDS = ("M", "1", "", "2026-07-01T12:00:00+00:00", "public_key", "null", *RecordKind)


@cache
def _account() -> Any:
    """Return what the archive keeps of a session."""
    return json.loads((CORPUS / "account.json").read_bytes())


def _body(source: Source) -> Any:
    if source.below(4) == 0:
        return source.plain()
    account = _account()
    for _ in range(source.below(4)):
        account = source.changed(account)
    return json.dumps(account, default=str)


def _archive(data: bytes) -> None:
    """Let the bytes change records that are as they should be."""
    source = Source(data, _WORDS)
    rows: list[list[Any]] = []
    while source and len(rows) < 5:
        row = [None, "M", "1", "stopped", _WORDS[3], _body(source), "", str(len(rows))]
        for _ in range(source.below(3)):
            row[source.below(8)] = source.plain()
        rows.append(row)
    loose = loose_archive()
    try:
        loose.fill(rows)
    except sqlite3.Error, OverflowError, UnicodeEncodeError:
        return  # No file can hold that.
    archive = loose.archive
    looks: tuple[Callable[[], object], ...] = (
        archive.check_chain,
        archive.summary,
        lambda: archive.has(Link(number=1, hash="0")),
        lambda: archive.latest("M", RecordKind),
        lambda: archive.of_transaction("M", "1"),
        lambda: len(Receipts(archive, Query(verdict=Verdict.VALID, user="U"))),
        lambda: page(archive, Query(), limit=2),
    )
    for look in looks:
        with suppress(ArchiveError):
            look()


FILES = {
    "json": Target(take=_receipts, refusals=(UnusableFileError,)),
    "xml": Target(take=_receipts, refusals=(UnusableFileError,)),
    "zip": Target(take=_zip, refusals=(UnusableFileError,)),
    "verify": Target(take=_verify, refusals=()),
    "verify_dct1": Target(
        take=_verify_dct1, refusals=(verify_dct1.Unusable, verify_dct1.Wrong)
    ),
    "archive": Target(take=_archive, refusals=()),
}
