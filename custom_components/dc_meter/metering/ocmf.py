"""OCMF, the Open Charge Metering Format (1.4): text in, typed record out.

``OCMF|<payload JSON>|<signature JSON>``. The payload is signed as it stands, byte for byte;
nothing here writes it anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
import re
from typing import Any

from .ecdsa import OCMF_DEFAULT, decode_base64
from .exact_json import InexactJsonError, loads
from .meter import ClockState

BEGIN = "B"
ENDS = frozenset("ELRAP")
"""Reading reasons (TX) that close a transaction: ended, locally, remotely, aborted, power failure."""

EXCEPTION = "X"
"""The reading reason of an error in between; EF says whether it is of the energy."""

MAX_LENGTH = 256 * 1024
"""Characters; more than a day of readings each minute, less than a nuisance."""

MAX_READINGS = 5000
"""As many as there is room for when each says its time and value, and no more that say nothing."""

MAX_DIGITS = 24
"""Of a number, before and after the point together; no register of a meter comes near."""

OCMF_HEADER = "OCMF|"
_WRAPPING = " \t\r\n\"'"
_CLOCK_STATES = {
    "U": ClockState.UNSYNCHRONIZED,
    "I": ClockState.INFORMATIVE,
    "S": ClockState.SYNCHRONIZED,
    "R": ClockState.RELATIVE,
}
_TIME = re.compile(
    r"(?P<local>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(?P<milliseconds>\d{3})"
    r"(?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>[0-5]\d)(?: (?P<state>[UISR]))?",
    re.ASCII,
)
_OBIS = re.compile(
    r"(?P<a>[0-9a-f]{1,2})-(?P<b>[0-9a-f]{1,2}):(?P<c>[0-9a-f]{1,2})\.(?P<d>[0-9a-f]{1,2})"
    r"\.(?P<e>[0-9a-f]{1,3})([.*](?P<f>[0-9a-f]{1,3}))?",
    re.ASCII | re.IGNORECASE,
)
_ELECTRICITY = 1
_ENERGY = 8
_IMPORTS = frozenset((0x01, 0x98, 0x9E, *range(0xB0, 0xC0), *range(0xC4, 0xC8)))
_EXPORTS = frozenset((0x02, *range(0xC0, 0xC4)))  # C0 to C3: OCMF 1.4.1, table 25
_WITHOUT_LOSSES = frozenset(("98", "b1", "b3", "c1", "c3"))
_TOTALS = frozenset(("0", "255", "e", "f", "ff"))
"""What stands last for a register that counts on; ``1-b:1.8.e`` says it with nothing."""

_READING = ("TM", "TX", "RV", "RI", "RU", "RT", "EF", "ST")
"""What is taken over from one reading to the next, and nothing else: it may be a lot."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_HEX = re.compile(r"([0-9A-Fa-f]{2})+")


class MalformedOcmfError(ValueError):
    """The text is not OCMF, or cannot be read in one way only."""


class NoDateError(MalformedOcmfError):
    """What is written as a time is in no calendar."""


class Direction(StrEnum):
    """Which way a register counts energy. Import is what is billed."""

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """An energy register that counts for billing, or its like for export."""

    direction: Direction
    groups: tuple[str, ...]
    """B, C and E of its OBIS code: what tells two of them apart."""

    @property
    def is_compensated(self) -> bool:
        """Whether it counts what reached the car, without what the cable lost."""
        return self.groups[1] in _WITHOUT_LOSSES


@dataclass(frozen=True, kw_only=True, slots=True)
class OcmfReading:
    """One reading (RD), with what it left out taken from the reading before."""

    time: datetime
    """TM with its offset."""

    clock_state: ClockState
    reason: str | None
    """TX: why the reading was taken."""

    value: Decimal | None
    """RV exactly as written, in ``unit``; None for an event without a value."""

    obis: str | None
    """RI."""

    unit: str | None
    """RU."""

    current_type: str | None
    """RT."""

    error_flags: str
    """EF: E energy, t time not usable for billing."""

    status: str | None
    """ST: G is good."""

    @property
    def energy_wh(self) -> Decimal | None:
        """The value in Wh; None when there is none or it is no energy."""
        if self.value is None or self.unit is None:
            return None
        return energy_wh(self.value, self.unit)

    @property
    def register(self) -> Register | None:
        """Which energy register was read; None for all that neither is nor mirrors a billed one."""
        match = _OBIS.fullmatch(self.obis or "")
        if match is None or self.energy_wh is None:
            return None
        if (int(match["a"], 16), int(match["d"], 16)) != (_ELECTRICITY, _ENERGY):
            return None
        if ((match["f"] or "").lower().lstrip("0") or "0") not in _TOTALS:
            return None
        quantity = int(match["c"], 16)
        if quantity not in _IMPORTS | _EXPORTS:
            return None
        return Register(
            direction=Direction.IMPORT if quantity in _IMPORTS else Direction.EXPORT,
            groups=tuple(match[group].lower().lstrip("0") for group in "bce"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class OcmfReceipt:
    """An OCMF record. None is what the payload does not say."""

    text: str
    """From ``OCMF|`` to the end of the signature, wrapping removed."""

    signed_bytes: bytes
    """What the signature was made over."""

    algorithm: str
    """SA."""

    signature: bytes
    """SD, decoded."""

    format_version: str | None
    """FV."""
    gateway: str | None
    """GI."""
    gateway_serial: str | None
    """GS."""
    gateway_version: str | None
    """GV."""
    pagination: str | None
    """PG."""
    meter_vendor: str | None
    """MV."""
    meter_model: str | None
    """MM."""
    meter_serial: str | None
    """MS."""
    meter_firmware: str | None
    """MF."""
    identification_status: bool | None
    """IS."""
    identification_level: str | None
    """IL."""
    identification_flags: tuple[str, ...]
    """IF."""
    identification_type: str | None
    """IT."""
    identification_data: str | None
    """ID."""
    tariff_text: str | None
    """TT."""
    charge_point_type: str | None
    """CT."""
    charge_point_id: str | None
    """CI."""
    readings: tuple[OcmfReading, ...]
    """RD, at least one."""

    @property
    def spans_transaction(self) -> bool:
        """Whether both the begin and an end of a transaction are among the readings."""
        reasons = {reading.reason for reading in self.readings}
        return BEGIN in reasons and not ENDS.isdisjoint(reasons)


def parse(text: str) -> OcmfReceipt:
    """Read an OCMF record, also one wrapped in whitespace, quotes or a JSON string.

    Raises ``MalformedOcmfError`` for everything that is not OCMF.
    """
    if len(text) > MAX_LENGTH:
        raise MalformedOcmfError(f"longer than {MAX_LENGTH} characters")
    text = _unwrap(text)
    if not text.startswith(OCMF_HEADER):
        raise MalformedOcmfError(f"does not begin with {OCMF_HEADER}")
    sections = text.split("|")
    if len(sections) != 3:
        raise MalformedOcmfError("not three sections")
    try:
        signed_bytes = sections[1].encode()
        payload, signature = _object(loads(sections[1])), _object(loads(sections[2]))
    except (InexactJsonError, UnicodeEncodeError) as err:
        raise MalformedOcmfError(str(err)) from err
    return OcmfReceipt(
        text=text,
        signed_bytes=signed_bytes,
        algorithm=_text(signature, "SA") or OCMF_DEFAULT,
        signature=_signature(signature),
        format_version=_text(payload, "FV"),
        gateway=_text(payload, "GI"),
        gateway_serial=_text(payload, "GS"),
        gateway_version=_text(payload, "GV"),
        pagination=_text(payload, "PG"),
        meter_vendor=_text(payload, "MV"),
        meter_model=_text(payload, "MM"),
        meter_serial=_text(payload, "MS"),
        meter_firmware=_text(payload, "MF"),
        identification_status=_boolean(payload, "IS"),
        identification_level=_text(payload, "IL"),
        identification_flags=_texts(payload, "IF"),
        identification_type=_text(payload, "IT"),
        identification_data=_text(payload, "ID"),
        tariff_text=_text(payload, "TT"),
        charge_point_type=_text(payload, "CT"),
        charge_point_id=_text(payload, "CI"),
        readings=_readings(payload),
    )


def parse_time(text: str) -> tuple[datetime, ClockState | None]:
    """Read ``2024-12-16T19:00:22,000+0200 U``; the state is None when there is no letter.

    Raises ``MalformedOcmfError``.
    """
    if (match := _TIME.fullmatch(text)) is None:
        raise MalformedOcmfError(f"{text[:40]!r} is not a time")
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    try:
        moment = datetime.fromisoformat(match["local"]).replace(
            microsecond=int(match["milliseconds"]) * 1000,
            tzinfo=timezone(-offset if match["sign"] == "-" else offset),
        )
    except ValueError as err:
        raise NoDateError(f"{text!r} is not a time: {err}") from err
    return moment, _CLOCK_STATES.get(match["state"])


def format_time(moment: datetime) -> str:
    """Write local time with milliseconds and the offset in force: ``…T14:00:00,000+0200``.

    Raises ``ValueError`` for a time without an offset.
    """
    if moment.utcoffset() is None:
        raise ValueError("a time without an offset")
    return f"{moment:%Y-%m-%dT%H:%M:%S},{moment.microsecond // 1000:03d}{moment:%z}"


def parse_number(value: object) -> Decimal:
    """Read a number, or decimal text such as ``00000446.540``, exactly.

    Raises ``MalformedOcmfError``.
    """
    if isinstance(value, str) and len(value) <= MAX_DIGITS and _NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        digits = len(number.as_tuple().digits)
        if max(digits, abs(number.adjusted())) <= MAX_DIGITS:
            return number
    raise MalformedOcmfError(f"{str(value)[:40]!r} is not a number")


def energy_wh(value: Decimal, unit: str) -> Decimal | None:
    """Convert an energy to Wh without losing a digit; None for any other unit."""
    match unit:
        case "Wh":
            return value
        case "kWh":
            return value.scaleb(3)
        case _:
            return None


def _unwrap(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        try:
            inner = loads(text)
        except InexactJsonError:
            # Quotes put around the bare text: its own are not escaped, so it is no JSON.
            inner = text
        text = inner if isinstance(inner, str) else text
    return text.strip(_WRAPPING)


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedOcmfError("a section is not a JSON object")
    return value


def _text(members: Mapping[str, Any], key: str) -> str | None:
    value = members.get(key)
    if value is not None and not isinstance(value, str):
        raise MalformedOcmfError(f"{key} is not a text")
    return value


def _boolean(members: Mapping[str, Any], key: str) -> bool | None:
    value = members.get(key)
    if value is not None and not isinstance(value, bool):
        raise MalformedOcmfError(f"{key} is neither true nor false")
    return value


def _texts(members: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = members.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedOcmfError(f"{key} is not a list of texts")
    return tuple(value)


def _signature(section: Mapping[str, Any]) -> bytes:
    data = _text(section, "SD")
    match _text(section, "SE") or "hex":
        case "hex" if data and _HEX.fullmatch(data):
            return bytes.fromhex(data)
        case "base64" if data:
            try:
                return decode_base64(data)
            except ValueError as err:
                raise MalformedOcmfError(f"SD: {err}") from err
    raise MalformedOcmfError("no signature that can be decoded")


def _readings(payload: Mapping[str, Any]) -> tuple[OcmfReading, ...]:
    listed = payload.get("RD")
    if not isinstance(listed, list) or not listed:
        raise MalformedOcmfError("RD holds no readings")
    if len(listed) > MAX_READINGS:
        raise MalformedOcmfError(f"RD holds more than {MAX_READINGS} readings")
    readings = []
    members: Mapping[str, Any] = {}
    for item in listed:
        # "Fields that have an identical value to the previous reading are omitted" (1.4).
        said = _object(item)
        members = {
            **members,
            **{name: said[name] for name in _READING if name in said},
        }
        readings.append(_reading(members))
    return tuple(readings)


def _reading(members: Mapping[str, Any]) -> OcmfReading:
    time, clock_state = parse_time(_text(members, "TM") or "")
    if clock_state is None:
        raise MalformedOcmfError("TM does not say how far its clock is synchronized")
    value = members.get("RV")
    return OcmfReading(
        time=time,
        clock_state=clock_state,
        reason=_text(members, "TX"),
        value=None if value is None else parse_number(value),
        obis=_text(members, "RI"),
        unit=_text(members, "RU"),
        current_type=_text(members, "RT"),
        error_flags=_text(members, "EF") or "",
        status=_text(members, "ST"),
    )
