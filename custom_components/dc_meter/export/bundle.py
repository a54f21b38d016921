"""Everything at once: a ZIP with each session's receipt, what was signed, and the means to check it."""

from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import datetime
import json
from pathlib import Path
import re
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from custom_components.dc_meter.events import account_data
from custom_components.dc_meter.metering.ecdsa import SignatureScheme, parse_public_key
from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.ocmf import parse
from custom_components.dc_meter.metering.receipt_file import RECEIPT_IN_ZIP
from custom_components.dc_meter.metering.verdict import OCMF
from custom_components.dc_meter.session import Account

from .entry import Entry
from .parties import Parties
from .pdf import receipt, statement
from .readme import readme
from .safe_xml import is_expressible, safe_xml
from .table import sessions_csv

_VERIFIER = Path(__file__).with_name("verify_dct1.py")
_LONGEST_NAME = 40


def bundle(
    accounts: Iterable[Account],
    parties: Parties,
    file: BinaryIO,
    *,
    created_at: datetime,
) -> None:
    """Write the ZIP. The same input gives the same bytes.

    The accounts are gone through several times, so that no more than a few are in memory.
    """
    with ZipFile(file, "w") as zip_file:
        for name, content in _files(accounts, parties, created_at):
            # An entry without a date of its own has the first one ZIP knows.
            entry = ZipInfo(name)
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            with zip_file.open(entry, "w") as part:
                part.writelines(content)


def _files(
    accounts: Iterable[Account], parties: Parties, created_at: datetime
) -> Iterator[tuple[str, Iterable[bytes]]]:
    has_ocmf = has_blocks = False
    left_out = 0
    for account in accounts:
        if is_expressible(account):
            has_ocmf = True
        else:
            left_out += 1
        has_blocks |= any(
            value.encoding_method != OCMF for value in Entry.of(account).signed_values
        )
    yield (
        "README.txt",
        [
            readme(
                parties.language,
                has_blocks=has_blocks,
                has_ocmf=has_ocmf,
                left_out=left_out,
            )
        ],
    )
    yield "sessions.csv", sessions_csv(accounts, parties, dialect=parties.language)
    yield "statement.pdf", [statement(accounts, parties, created_at=created_at)]
    if has_ocmf:
        yield "safe.xml", safe_xml(accounts, [])
    if has_blocks:
        yield _VERIFIER.name, [_VERIFIER.read_bytes()]
    for number, account in enumerate(accounts, 1):
        folder = f"sessions/{number:04}_{_name(account.session.transaction_id)}"
        yield (
            f"{folder}/receipt.pdf",
            [receipt(account, parties, created_at=created_at)],
        )
        if account.session.receipt is not None:
            yield (
                f"{folder}/{RECEIPT_IN_ZIP}",
                [json.dumps(account_data(account), indent=2).encode()],
            )
        for name, content in _signed(account):
            yield f"{folder}/{name}", [content]


def _name(transaction_id: str) -> str:
    """Return what can be in a file's name of an id: no path, on no system."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", transaction_id)[:_LONGEST_NAME].strip("_")


def _signed(account: Account) -> Iterator[tuple[str, bytes]]:
    """Return what was signed, byte for byte, and the keys."""
    session = account.session
    for name, snapshot in (("begin", session.start), ("end", session.end)):
        if snapshot is not None and snapshot.signed_value is not None:
            yield _value(name, snapshot.signed_value)
    values = Entry.of(account).signed_values
    keys = {value.public_key: value for value in reversed(values) if value.public_key}
    for name, value in zip(
        ("public_key", "other_public_key"), keys.values(), strict=False
    ):
        yield f"{name}.txt", _bytes(value.public_key)
        if pem := _pem(value):
            yield f"{name}.pem", pem


def _value(name: str, value: SignedMeterValue) -> tuple[str, bytes]:
    if value.encoding_method == OCMF:
        return f"{name}.ocmf.txt", _bytes(value.signed_meter_data)
    try:
        return f"{name}.bin", b64decode(value.signed_meter_data, validate=True)
    except ValueError:
        return f"{name}.damaged.txt", _bytes(value.signed_meter_data)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _pem(value: SignedMeterValue) -> bytes | None:
    """Return the key as other programs read it; None where it cannot be read."""
    try:
        algorithm = (
            parse(value.signed_meter_data).algorithm
            if value.encoding_method == OCMF
            else value.signing_method
        )
        key = parse_public_key(value.public_key, SignatureScheme.named(algorithm)).key
    except ValueError:
        return None
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
