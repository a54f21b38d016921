"""Receipts out of what a user hands in: OCMF text, JSON in any wrapping, S.A.F.E. XML, our ZIP."""

from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # no document type, so no entities # nosec B405
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, is_zipfile
import zlib

from .exact_json import InexactJsonError, loads
from .meter import SignedMeterValue
from .ocmf import MalformedOcmfError, parse
from .verdict import OCMF, Receipt

MAX_BYTES = 16 * 1024 * 1024
"""Ten thousand receipts."""

MAX_ZIP_BYTES = 128 * 1024 * 1024
"""As many, each with its keys and session; only they are unpacked."""

RECEIPT_IN_ZIP = "receipt.json"
"""What an export of ours calls the answer to a stop, one in each session's folder."""

_COMPRESSIONS = (ZIP_STORED, ZIP_DEFLATED)
"""Of the others some take memory by the gigabyte for a few bytes, whatever comes out of them."""

_VALUE = "signed_meter_data"
_BEGIN, _END = "start_signed_meter_value", "signed_meter_value"
_BEGIN_CONTEXT, _END_CONTEXT = "Transaction.Begin", "Transaction.End"


class UnusableFileError(ValueError):
    """There is no receipt in it; the reason is in the message."""


def read_receipts(path: Path) -> tuple[Receipt, ...]:
    """Return the receipts in a file, in its order, at least one.

    Raises ``UnusableFileError``.
    """
    try:
        if is_zipfile(path):
            return tuple(_in_zip(path))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise UnusableFileError(err.strerror or str(err)) from err
    except ValueError as err:  # A path that cannot be one.
        raise UnusableFileError(str(err)) from err
    if len(data) > MAX_BYTES:
        raise UnusableFileError(f"larger than {MAX_BYTES} bytes")
    try:
        return receipts_in(data.decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise UnusableFileError(f"not UTF-8: {err}") from err


def receipts_in(text: str) -> tuple[Receipt, ...]:
    """Return the receipts in a text, in its order, at least one.

    Raises ``UnusableFileError``.
    """
    if text.lstrip().startswith("<"):
        receipts = tuple(_in_xml(text))
    else:
        receipts = tuple(_in_plain(text))
    if not receipts:
        raise UnusableFileError("no signed value in it")
    return receipts


def _in_zip(path: Path) -> Iterator[Receipt]:
    """Read an export of ours; raises ``UnusableFileError`` for any other ZIP."""
    for text in _unpacked(path):
        yield from receipts_in(text)


def _unpacked(path: Path) -> list[str]:
    texts = []
    left = MAX_ZIP_BYTES
    try:
        with ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.rpartition("/")[2] == RECEIPT_IN_ZIP and left >= 0:
                    if entry.compress_type not in _COMPRESSIONS:
                        raise UnusableFileError("a ZIP packed in another way than ours")
                    with archive.open(entry) as file:
                        data = file.read(left + 1)
                    left -= len(data)
                    texts.append(data.decode())
    except (BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as err:
        raise UnusableFileError(f"a damaged ZIP: {err}") from err
    if left < 0:
        raise UnusableFileError(f"unpacks to more than {MAX_ZIP_BYTES} bytes")
    if not texts:
        raise UnusableFileError(f"a ZIP without any {RECEIPT_IN_ZIP}")
    return texts


def _in_plain(text: str) -> Iterator[Receipt]:
    if _is_ocmf(text):
        # A payload may be laid out in lines; several texts are one a line.
        lines = text.split("\n")
        several = len(lines) > 1 and all(
            _is_ocmf(line) for line in lines if line.strip()
        )
        for line in lines if several else [text]:
            if line.strip():
                yield Receipt(end=_ocmf(line))
        return
    try:
        yield from _in_json(loads(text))
    except InexactJsonError as whole:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise UnusableFileError(f"neither OCMF nor JSON: {whole}") from whole
        for line in lines:
            try:
                yield from _in_json(loads(line))
            except InexactJsonError as err:
                raise UnusableFileError(f"neither OCMF nor JSON: {whole}") from err


def _in_json(document: Any) -> Iterator[Receipt]:
    """Find stop responses, signed values and OCMF texts wherever they are."""
    left = [document]
    while left:
        match node := left.pop():
            case {"signed_meter_value": dict() as end}:
                begin = node.get(_BEGIN)
                yield Receipt(
                    begin=_signed_value(begin) if isinstance(begin, dict) else None,
                    end=_signed_value(end),
                )
            case {"signed_meter_data": _}:
                yield Receipt(end=_signed_value(node))
            case dict():
                left.extend(reversed(node.values()))
            case list():
                left.extend(reversed(node))
            case str() if _is_ocmf(node):
                yield Receipt(end=_ocmf(node))


def _signed_value(members: dict[str, Any]) -> SignedMeterValue:
    """Read a signed value; raises ``UnusableFileError`` for one that is none."""
    texts = {
        name: members.get(name) or ""
        for name in (_VALUE, "signing_method", "encoding_method", "public_key")
    }
    for name, text in texts.items():
        if not isinstance(text, str):
            raise UnusableFileError(f"{name} is not a text")
    return SignedMeterValue(**texts)


def _in_xml(text: str) -> Iterator[Receipt]:
    """Read the XML of the S.A.F.E. transparency software."""
    # Entities are declared in a document type, which this format has none of.
    if "<!DOCTYPE" in text:
        raise UnusableFileError("XML with a document type")
    parser: ET.XMLPullParser[Any] = ET.XMLPullParser(("end",))
    try:
        parser.feed(text)
        parser.close()
        values = [
            element
            for *_, element in parser.read_events()
            if isinstance(element, ET.Element) and _name(element) == "value"
        ]
    except (ET.ParseError, ValueError) as err:
        raise UnusableFileError(f"not XML: {err}") from err
    yield from _paired(values)


def _paired(elements: Iterable[ET.Element]) -> Iterator[Receipt]:
    """Put the begin and the end of a transaction together where they are two values."""
    begins: dict[str | None, SignedMeterValue] = {}
    ends: dict[str, SignedMeterValue] = {}
    for element in elements:
        value = _xml_value(element)
        context, transaction = element.get("context"), element.get("transactionId")
        if context not in (_BEGIN_CONTEXT, _END_CONTEXT) or _spans_transaction(value):
            yield Receipt(end=value)
        elif context == _BEGIN_CONTEXT:
            if transaction in begins:
                yield Receipt(end=begins[transaction])
            begins[transaction] = value
        elif transaction in begins or transaction is None:
            yield Receipt(begin=begins.pop(transaction, None), end=value)
        else:
            if transaction in ends:
                yield Receipt(end=ends[transaction])
            ends[transaction] = value
    # What was not found before an end may stand behind it.
    for transaction, value in ends.items():
        yield Receipt(begin=begins.pop(transaction, None), end=value)
    for value in begins.values():
        yield Receipt(end=value)


def _xml_value(element: ET.Element) -> SignedMeterValue:
    parts = {_name(part): part for part in element}
    data, key = parts.get("signedData"), parts.get("publicKey")
    if data is None:
        raise UnusableFileError("a value without signedData")
    return SignedMeterValue(
        signed_meter_data=_plain(data),
        signing_method="",
        encoding_method=(data.get("format") or OCMF).strip().upper(),
        public_key="" if key is None else (key.text or "").strip(),
    )


def _plain(element: ET.Element) -> str:
    """Return signed data as text; as it stands where its encoding is not what it says."""
    text = (element.text or "").strip()
    try:
        match element.get("encoding"):
            case "hex":
                return bytes.fromhex(text).decode()
            case "base64":
                return b64decode("".join(text.split()), validate=True).decode()
    except ValueError:
        pass
    return text


def _name(element: ET.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _is_ocmf(text: str) -> bool:
    return text.lstrip(" \t\r\n\"'").startswith("OCMF|")


def _ocmf(text: str) -> SignedMeterValue:
    return SignedMeterValue(
        signed_meter_data=text, signing_method="", encoding_method=OCMF, public_key=""
    )


def _spans_transaction(value: SignedMeterValue) -> bool:
    try:
        return parse(value.signed_meter_data).spans_transaction
    except MalformedOcmfError:
        return False
