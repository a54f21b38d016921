"""Receipts for the S.A.F.E. transparency software: OCMF in its XML.

What its parser (version 1.4.1) asks for and this file gives:

- ``transactionId`` is a number and only pairs a begin with an end. A value that holds its whole
  transaction goes without: with one, the program looks for two values and finds no start.
- ``signedData`` is taken as plain text whatever its ``encoding`` says. The key is recognised as
  hex or base64 by trial, and has to be a SubjectPublicKeyInfo.
- The signature has to be DER. Of the unpadded DER that IEM-DCR-125 firmware writes it rejects
  one in a hundred, and r s without DER always. The part with the signature is not signed
  itself, so it is written anew as strict DER. What is signed stays as it is, byte for byte.
- Format versions up to 1.3; it refuses a receipt that calls itself OCMF 1.4.
- The signed part is taken in the character set of the system it runs on: a receipt with a euro
  sign verifies only where that is UTF-8 (``-Dfile.encoding=UTF-8``).
"""

from collections.abc import Iterable, Iterator
from itertools import count
import json
import re
from xml.sax.saxutils import escape, quoteattr  # it writes # nosec B406

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from custom_components.dc_meter.metering.ecdsa import (
    PublicKey,
    SignatureScheme,
    is_strict_der,
    parse_public_key,
    parse_signature,
    verify,
)
from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.ocmf import OcmfReceipt, parse
from custom_components.dc_meter.metering.verdict import OCMF
from custom_components.dc_meter.session import Account

from .entry import Entry, a_few_at_a_time

_BEGIN, _END = "Transaction.Begin", "Transaction.End"

_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry in any way."""


def is_expressible(account: Account) -> bool:
    """Tell whether the XML has a form for a session: not for a DCT1's, nor an unsigned one."""
    return account.session.receipt is not None and all(
        value.encoding_method == OCMF
        and not _NOT_IN_XML.search(value.signed_meter_data)
        for value in Entry.of(account).signed_values
    )


def safe_xml(accounts: Iterable[Account], left_out: list[str]) -> Iterator[bytes]:
    """Yield the file, with the OCMF receipts among these.

    ``left_out`` gets the transaction ids of the sessions that it cannot express.
    """
    # Nothing but ASCII: it reads the same in whatever character set a program assumes.
    for line in _lines(accounts, left_out):
        yield f"{line}\n".encode("ascii", "xmlcharrefreplace")


def _lines(accounts: Iterable[Account], left_out: list[str]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield "<values>"
    numbers = count(1)
    for account in a_few_at_a_time(accounts):
        if is_expressible(account):
            yield from _values(Entry.of(account), number=next(numbers))
        else:
            left_out.append(account.session.transaction_id)
    yield "</values>"


def _values(entry: Entry, *, number: int) -> Iterator[str]:
    values = entry.signed_values
    if len(values) == 1:
        name = _NOT_IN_XML.sub("\ufffd", entry.transaction_id)
        yield _value(values[0], f"context={quoteattr(name)}")
        return
    for value, context in zip(values, (_BEGIN, _END), strict=True):
        yield _value(value, f'transactionId="{number}" context="{context}"')


def _value(value: SignedMeterValue, attributes: str) -> str:
    text, key = _readable(value)
    # A parser would take a carriage return for a line feed, which is not what was signed.
    data = escape(text, {"\r": "&#13;"})
    lines = [
        f"  <value {attributes}>",
        f'    <signedData format="OCMF" encoding="plain">{data}</signedData>',
        "  </value>",
    ]
    if key is not None:
        written = key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        lines.insert(
            2, f'    <publicKey encoding="plain">{written.hex().upper()}</publicKey>'
        )
    return "\n".join(lines)


def _readable(value: SignedMeterValue) -> tuple[str, PublicKey | None]:
    """Return the OCMF text with its signature in strict DER, and the key.

    What cannot be read is left as it is: it is for the verifier to say so.
    """
    try:
        record = parse(value.signed_meter_data)
        scheme = SignatureScheme.named(record.algorithm)
        key = parse_public_key(value.public_key, scheme) if value.public_key else None
    except ValueError:
        return value.signed_meter_data, None
    if is_strict_der(record.signature):
        return record.text, key
    try:
        signature = _strict(record, key, scheme)
    except ValueError:
        return record.text, key
    section = {"SA": record.algorithm, "SD": signature.hex().upper()}
    signed = record.text.split("|")[1]
    return f"OCMF|{signed}|{json.dumps(section, separators=(',', ':'))}", key


def _strict(
    record: OcmfReceipt, key: PublicKey | None, scheme: SignatureScheme
) -> bytes:
    """Return the signature in strict DER: of its readings the genuine one, if any is.

    Raises ``ValueError`` for what is no signature.
    """
    readings = [
        encode_dss_signature(r, s) for r, s in parse_signature(record.signature, scheme)
    ]
    if key is None or len(readings) == 1:
        return readings[0]
    return next(
        (
            signature
            for signature in readings
            if verify(record.signed_bytes, signature, key, scheme)
        ),
        readings[0],
    )
