"""The DCT1's signed block: bytes in, a typed record out.

Layout, OBIS codes and units are confirmed by two real blocks. Their values are all zero, so
the word order inside the values is not: ``word_order`` is "big" for plain big-endian (as the
units are written) or "little" for the low word first.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Literal

from .errors import UnexpectedAnswerError

type WordOrder = Literal["big", "little"]

ENERGY_LENGTH = 40
"""Bytes of the two energy records, which the block begins with."""

BLOCK_LENGTH = 154
"""Bytes that are signed."""

_MAX_SCALER = 9

# What no DCT1 can have counted or measured; in the wrong word order it is soon exceeded.
_IMPOSSIBLE_WH = 1 << 48
_IMPOSSIBLE_V = 2000


class Unit(IntEnum):
    """Units as the block codes them (DLMS)."""

    WATT = 27
    WATT_HOUR = 30
    AMPERE = 33
    VOLT = 35
    OHM = 38


def _quantity(obis: tuple[int, int, int], unit: Unit) -> bytes:
    """Return what a record begins with: OBIS code and unit."""
    return bytes((1, 0, *obis, 255)) + unit.to_bytes(4)


_IMPORT = _quantity((1, 8, 0), Unit.WATT_HOUR)
_EXPORT = _quantity((2, 8, 0), Unit.WATT_HOUR)
_POWER = _quantity((1, 7, 0), Unit.WATT)
_VOLTAGE = _quantity((12, 7, 0), Unit.VOLT)
_CURRENT = _quantity((11, 7, 0), Unit.AMPERE)
_CABLE_RESISTANCE = _quantity((0, 10, 2), Unit.OHM)


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyRecords:
    """The two energy registers, exact, as the meter counts them."""

    energy_import_wh: Decimal
    energy_export_wh: Decimal

    @classmethod
    def parse(cls, data: bytes, *, word_order: WordOrder = "big") -> EnergyRecords:
        """Read the first 40 bytes of the block.

        Raises ``UnexpectedAnswerError`` for a wrong length, OBIS code, unit or scaler.
        """
        _check_length(data, ENERGY_LENGTH)
        return cls(
            energy_import_wh=_value(data[0:20], _IMPORT, word_order),
            energy_export_wh=_value(data[20:40], _EXPORT, word_order),
        )

    @property
    def possible(self) -> bool:
        """Whether a meter can have counted this."""
        return all(
            0 <= energy < _IMPOSSIBLE_WH
            for energy in (self.energy_import_wh, self.energy_export_wh)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedBlock(EnergyRecords):
    """What the meter signs: its registers, its live values and who it is."""

    power_w: Decimal
    voltage_v: Decimal
    current_a: Decimal
    cable_resistance_ohm: Decimal
    """What the meter corrects the loss in the cable with."""

    model: str
    serial_number: str
    text: str
    """The model again in the samples; perhaps settable, so kept as it is."""

    raw: bytes

    @classmethod
    def parse(cls, data: bytes, *, word_order: WordOrder = "big") -> SignedBlock:
        """Read the whole block.

        Raises ``UnexpectedAnswerError`` for a wrong length, OBIS code, unit or scaler, and
        for a model or serial number that is not one.
        """
        _check_length(data, BLOCK_LENGTH)
        energy = EnergyRecords.parse(data[:ENERGY_LENGTH], word_order=word_order)
        return cls(
            energy_import_wh=energy.energy_import_wh,
            energy_export_wh=energy.energy_export_wh,
            power_w=_value(data[40:56], _POWER, word_order),
            voltage_v=_value(data[56:72], _VOLTAGE, word_order),
            current_a=_value(data[72:88], _CURRENT, word_order),
            cable_resistance_ohm=_value(data[88:104], _CABLE_RESISTANCE, word_order),
            model=_name("model", data[104:120]),
            # 120 to 123: zero in the samples, meaning unknown.
            serial_number=_name("serial number", data[124:138]),
            text=data[138:154].rstrip(b"\0").decode("ascii", "backslashreplace"),
            raw=data,
        )

    @property
    def possible(self) -> bool:
        """Whether a meter can have counted and measured this."""
        return super().possible and abs(self.voltage_v) < _IMPOSSIBLE_V


def likely_word_order(data: bytes) -> WordOrder:
    """Tell the word order from a whole block alone: the one that reads possible values.

    Big-endian where both do, as with zeros. Raises ``UnexpectedAnswerError`` like
    ``SignedBlock.parse``.
    """
    big = SignedBlock.parse(data, word_order="big")
    little = SignedBlock.parse(data, word_order="little")
    return "little" if little.possible and not big.possible else "big"


def _check_length(data: bytes, length: int) -> None:
    if len(data) != length:
        raise UnexpectedAnswerError(error=f"{len(data)} bytes instead of {length}")


def _value(record: bytes, quantity: bytes, word_order: WordOrder) -> Decimal:
    """Read one record: OBIS code, unit, scaler, and a number of the bytes that are left."""
    if record[0:10] != quantity:
        raise _unexpected(record, quantity)
    scaler = int.from_bytes(record[10:12], signed=True)
    if abs(scaler) > _MAX_SCALER:
        raise UnexpectedAnswerError(error=f"scaler {scaler}")
    digits = record[12:]
    if word_order == "little":
        digits = b"".join(digits[i - 2 : i] for i in range(len(digits), 0, -2))
    number = int.from_bytes(digits, signed=True)
    # Not scaled up by the exponent: 1E+3 is no way to write a kilowatt-hour.
    return (
        Decimal(number * 10**scaler) if scaler >= 0 else Decimal(number).scaleb(scaler)
    )


def _unexpected(record: bytes, quantity: bytes) -> UnexpectedAnswerError:
    """Return what is wrong with the begin of a record."""
    found, code = record[0:6], quantity[0:6]
    if found != code:
        return UnexpectedAnswerError(
            error=f"OBIS {found.hex(' ')} instead of {code.hex(' ')}"
        )
    unit = Unit(int.from_bytes(quantity[6:10]))
    return UnexpectedAnswerError(
        error=f"unit {int.from_bytes(record[6:10])} instead of {unit.value} ({unit.name})"
    )


def _name(what: str, field: bytes) -> str:
    text = field.rstrip(b"\0").decode("ascii", "backslashreplace")
    if not text or not text.isprintable() or "\\" in text:
        raise UnexpectedAnswerError(error=f"{what} {field!r}")
    return text
