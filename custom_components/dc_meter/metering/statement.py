"""What signed values state of a charging session, and what keeps it from being billed.

Nothing here asks whether the signatures are genuine; ``verdict`` does, before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum
from itertools import pairwise
import re

from .dct1_block import SignedBlock, WordOrder, likely_word_order
from .meter import ClockState, IdentificationLevel
from .ocmf import BEGIN, ENDS, EXCEPTION, Direction, OcmfReading, OcmfReceipt, Register

_EXACT = Context(prec=64)
"""More digits than any difference of two registers can have."""

_REJECTED_LEVELS = frozenset(
    (
        IdentificationLevel.MISMATCH,
        IdentificationLevel.INVALID,
        IdentificationLevel.OUTDATED,
        IdentificationLevel.UNKNOWN,
    )
)
_TRANSACTION_PAGE = re.compile(r"T\d+", re.ASCII)


class Objection(StrEnum):
    """Why a genuine receipt is not to be billed."""

    NO_BEGIN = "no_begin"
    NO_END = "no_end"
    SEVERAL_BEGINS = "several_begins"
    SEVERAL_ENDS = "several_ends"
    NO_BILLING_REGISTER = "no_billing_register"
    """No reading is of a register that counts for billing."""

    OTHER_REGISTER = "other_register"
    """Begin and end were read from two registers."""

    REGISTER_BACKWARDS = "register_backwards"
    TIME_BACKWARDS = "time_backwards"
    MIXED_TIME = "mixed_time"
    """One of begin and end has a relative time, the other an absolute one."""

    STATUS_NOT_GOOD = "status_not_good"
    ENERGY_FLAGGED = "energy_flagged"
    """The meter itself says that its energy is not usable, or of an error (EF, TX X) not what."""

    IDENTIFICATION_LEVEL = "identification_level"
    """The user's identification failed (IL MISMATCH, INVALID, OUTDATED or UNKNOWN)."""

    NOT_A_TRANSACTION = "not_a_transaction"
    """Not counted as a transaction (PG does not begin with T)."""

    OTHER_METER = "other_meter"
    OTHER_USER = "other_user"
    """Begin and end name two users, or the receipt another than was asked for."""

    LIVE_REGISTER_DIFFERS = "live_register_differs"
    """The register read beside the receipt is not the signed one."""


class Caveat(StrEnum):
    """What is worth telling of a receipt and no failure."""

    TIME_UNSYNCHRONIZED = "time_unsynchronized"
    SIGNATURE_FORM = "signature_form"
    """Genuine, but written in a form that strict verifiers reject."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedReading:
    """A meter's registers at one moment as it signed them; None is what it did not sign."""

    at: datetime | None
    energy_import_wh: Decimal | None
    energy_export_wh: Decimal | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What signed values say. None is what they do not."""

    meter: str | None = None
    """Its serial number."""

    model: str | None = None
    begin: SignedReading | None = None
    end: SignedReading | None = None
    energy_import_wh: Decimal | None = None
    energy_export_wh: Decimal | None = None
    user: str | None = None
    tariff_text: str | None = None
    charge_point_id: str | None = None
    """OCMF CI."""

    transaction: str | None = None
    """OCMF pagination (PG)."""

    objections: tuple[Objection, ...] = ()
    caveats: tuple[Caveat, ...] = ()


def state(contents: Sequence[OcmfReceipt | bytes]) -> Statement:
    """Read one signed value, or the two of a begin and an end in this order.

    Raises ``UnexpectedAnswerError`` for what is no block of a DCT1.
    """
    records = [content for content in contents if isinstance(content, OcmfReceipt)]
    blocks = [content for content in contents if isinstance(content, bytes)]
    if records and blocks:
        return Statement(objections=(Objection.OTHER_METER,))
    return _of_records(records) if records else _of_blocks(blocks)


def _of_blocks(data: Sequence[bytes]) -> Statement:
    # No block says its word order, but one of two may show it.
    word_order: WordOrder = (
        "little" if "little" in map(likely_word_order, data) else "big"
    )
    blocks = [SignedBlock.parse(block, word_order=word_order) for block in data]
    end = blocks[-1]
    if len(blocks) == 1:
        return Statement(
            meter=end.serial_number,
            model=end.model,
            end=_of_block(end),
            objections=(Objection.NO_BEGIN,),
        )
    begin = blocks[0]
    objections = []
    if (begin.model, begin.serial_number) != (end.model, end.serial_number):
        objections.append(Objection.OTHER_METER)
    if (
        end.energy_import_wh < begin.energy_import_wh
        or end.energy_export_wh < begin.energy_export_wh
    ):
        objections.append(Objection.REGISTER_BACKWARDS)
    return Statement(
        meter=end.serial_number,
        model=end.model,
        begin=_of_block(begin),
        end=_of_block(end),
        energy_import_wh=_difference(begin.energy_import_wh, end.energy_import_wh),
        energy_export_wh=_difference(begin.energy_export_wh, end.energy_export_wh),
        objections=tuple(objections),
    )


def _of_block(block: SignedBlock) -> SignedReading:
    return SignedReading(
        at=None,
        energy_import_wh=block.energy_import_wh,
        energy_export_wh=block.energy_export_wh,
    )


def _of_records(records: Sequence[OcmfReceipt]) -> Statement:
    readings = [reading for record in records for reading in record.readings]
    unsynchronized = any(
        reading.clock_state is ClockState.UNSYNCHRONIZED or "t" in reading.error_flags
        for reading in readings
    )
    last = records[-1]
    return Statement(
        meter=last.meter_serial,
        model=last.meter_model,
        begin=_at(readings, frozenset(BEGIN)),
        end=_at(readings, ENDS),
        energy_import_wh=_energy_wh(readings, Direction.IMPORT),
        energy_export_wh=_energy_wh(readings, Direction.EXPORT),
        user=last.identification_data or records[0].identification_data or None,
        tariff_text=last.tariff_text or None,
        charge_point_id=last.charge_point_id or None,
        transaction=last.pagination,
        objections=tuple(
            dict.fromkeys((*_of_payloads(records), *_of_readings(readings)))
        ),
        caveats=(Caveat.TIME_UNSYNCHRONIZED,) if unsynchronized else (),
    )


def _at(
    readings: Sequence[OcmfReading], reasons: frozenset[str]
) -> SignedReading | None:
    """Return what was read at the begin or the end, where that is said only once."""
    imported = _only(readings, Direction.IMPORT, reasons)
    exported = _only(readings, Direction.EXPORT, reasons)
    if (timed := imported or exported) is None:
        return None
    return SignedReading(
        at=timed.time,
        energy_import_wh=None if imported is None else imported.energy_wh,
        energy_export_wh=None if exported is None else exported.energy_wh,
    )


def _only(
    readings: Sequence[OcmfReading], direction: Direction, reasons: frozenset[str]
) -> OcmfReading | None:
    found = [
        reading
        for reading in _counting(readings, direction)
        if reading.reason in reasons
    ]
    return found[0] if len(found) == 1 else None


def _counting(
    readings: Sequence[OcmfReading], direction: Direction
) -> list[OcmfReading]:
    """Return what was read of the registers that are billed, or are their like for export.

    Where some leave out what the cable lost, the others are there to compare and do not count.
    """
    counting = [
        (reading, register)
        for reading in readings
        if (register := reading.register) and register.direction is direction
    ]
    has_compensated = any(register.is_compensated for _, register in counting)
    return [
        reading
        for reading, register in counting
        if register.is_compensated or not has_compensated
    ]


def _energy_wh(readings: Sequence[OcmfReading], direction: Direction) -> Decimal | None:
    begin = _only(readings, direction, frozenset(BEGIN))
    end = _only(readings, direction, ENDS)
    if begin is None or end is None or begin.register != end.register:
        return None
    return _difference(begin.energy_wh, end.energy_wh)


def _difference(begin_wh: Decimal | None, end_wh: Decimal | None) -> Decimal | None:
    """Return what a register counted; None when that is not known or it ran backwards."""
    if begin_wh is None or end_wh is None or end_wh < begin_wh:
        return None
    return _EXACT.subtract(end_wh, begin_wh)


def _of_payloads(records: Sequence[OcmfReceipt]) -> Iterator[Objection]:
    first, last = records[0], records[-1]
    if _meter(first) != _meter(last):
        yield Objection.OTHER_METER
    users = {record.identification_data for record in records} - {None, ""}
    if len(users) > 1:
        yield Objection.OTHER_USER
    for record in records:
        if record.identification_level in _REJECTED_LEVELS:
            yield Objection.IDENTIFICATION_LEVEL
        if not _TRANSACTION_PAGE.fullmatch(record.pagination or ""):
            yield Objection.NOT_A_TRANSACTION


def _meter(record: OcmfReceipt) -> tuple[str | None, ...]:
    """Return what tells two meters apart: the gateway, where the meter has no number."""
    if record.meter_serial:
        return record.meter_model, record.meter_serial
    return record.meter_model, None, record.gateway_serial


def _of_readings(readings: Sequence[OcmfReading]) -> Iterator[Objection]:
    billed = _counting(readings, Direction.IMPORT)
    begins = [reading for reading in billed if reading.reason == BEGIN]
    ends = [reading for reading in billed if reading.reason in ENDS]
    if not billed:
        yield Objection.NO_BILLING_REGISTER
    elif not begins:
        yield Objection.NO_BEGIN
    if len(begins) > 1:
        yield Objection.SEVERAL_BEGINS
    if billed and not ends:
        yield Objection.NO_END
    if len(ends) > 1:
        yield Objection.SEVERAL_ENDS
    for begin, end in _in_order(billed):
        if end.time < begin.time:
            yield Objection.TIME_BACKWARDS
        if _difference(begin.energy_wh, end.energy_wh) is None:
            yield Objection.REGISTER_BACKWARDS
    for begin, end in zip(begins, ends, strict=False):
        if begin.register != end.register:
            yield Objection.OTHER_REGISTER
        if (begin.clock_state is ClockState.RELATIVE) is not (
            end.clock_state is ClockState.RELATIVE
        ):
            yield Objection.MIXED_TIME
    # An error in between may have cost energy that begin and end do not show.
    if any(reading.status != "G" for reading in readings):
        yield Objection.STATUS_NOT_GOOD
    if any(_doubts_energy(reading) for reading in readings):
        yield Objection.ENERGY_FLAGGED


def _in_order(
    readings: Sequence[OcmfReading],
) -> Iterator[tuple[OcmfReading, OcmfReading]]:
    """Yield what has to be in order: of one register each reading and the next, begin and end.

    Registers may be told one after the other, each from its begin to its end.
    """
    registers: dict[Register | None, list[OcmfReading]] = {}
    for reading in readings:
        registers.setdefault(reading.register, []).append(reading)
    for of_one in registers.values():
        begins = (reading for reading in of_one if reading.reason == BEGIN)
        ends = (reading for reading in of_one if reading.reason in ENDS)
        yield from zip(begins, ends, strict=False)
        yield from pairwise(of_one)


def _doubts_energy(reading: OcmfReading) -> bool:
    """Tell whether the meter calls its energy bad, or an exception does not say what is."""
    if reading.reason == EXCEPTION and not reading.error_flags:
        return True
    return "E" in reading.error_flags
