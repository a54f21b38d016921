"""The DCT1's signed block: read exactly as it lies on the wire, refused where it is another."""

from base64 import b64decode
from collections.abc import Iterator
from decimal import Decimal
import json
from pathlib import Path
from typing import Any

from hypothesis import assume, given, strategies as st
from modbus_connection import WordOrder
import pytest

from custom_components.dc_meter.metering.dct1_block import (
    BLOCK_LENGTH,
    ENERGY_LENGTH,
    EnergyRecords,
    SignedBlock,
    likely_word_order,
)
from custom_components.dc_meter.metering.errors import UnexpectedAnswerError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "dct1.json").read_text())
REAL_BLOCK = b64decode(VECTORS["signed_meter_value"]["signed_meter_data"])[
    :BLOCK_LENGTH
]

RECORDS = {
    "energy_import_wh": (slice(0, 20), 8),
    "energy_export_wh": (slice(20, 40), 8),
    "power_w": (slice(40, 56), 4),
    "voltage_v": (slice(56, 72), 4),
    "current_a": (slice(72, 88), 4),
    "cable_resistance_ohm": (slice(88, 104), 4),
}

word_orders: st.SearchStrategy[WordOrder] = st.sampled_from(("big", "little"))


def with_value(
    name: str, number: int, word_order: WordOrder = "big", scaler: int = 0
) -> bytes:
    """Return the real block with another number in one of its records."""
    record, width = RECORDS[name]
    words = number.to_bytes(width, signed=True)
    if word_order == "little":
        words = b"".join(words[i : i + 2] for i in range(width - 2, -1, -2))
    end = record.stop
    return b"".join(
        (
            REAL_BLOCK[: end - width - 2],
            scaler.to_bytes(2, signed=True),
            words,
            REAL_BLOCK[end:],
        )
    )


def test_a_real_block_says_which_meter_it_is_from() -> None:
    """The vector of a real DCT1 comes out field by field."""
    assert SignedBlock.parse(REAL_BLOCK) == SignedBlock(
        energy_import_wh=Decimal(0),
        energy_export_wh=Decimal(0),
        power_w=Decimal("0.0"),
        voltage_v=Decimal("0.0"),
        current_a=Decimal("0.000"),
        cable_resistance_ohm=Decimal("0.000"),
        model="DCT1A30V10LS3EC",
        serial_number="BY0520001002L",
        text="DCT1A30V10LS3EC",
        raw=REAL_BLOCK,
    )


@given(
    data=st.data(),
    name=st.sampled_from(list(RECORDS)),
    scaler=st.integers(-9, 9),
    word_order=word_orders,
)
def test_every_value_is_exact(
    data: st.DataObject, name: str, scaler: int, word_order: WordOrder
) -> None:
    """Any number, scaler and word order; a register never turns into 1E+3."""
    bits = 8 * RECORDS[name][1]
    number = data.draw(st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
    block = SignedBlock.parse(
        with_value(name, number, word_order, scaler), word_order=word_order
    )
    value: Decimal = getattr(block, name)
    assert (
        value.as_integer_ratio()
        == (Decimal(number) * Decimal(10) ** scaler).as_integer_ratio()
    )
    assert scaler < 0 or str(value) == str(number * 10**scaler)


@given(
    energy_wh=st.integers(0, 1 << 40),
    name=st.sampled_from(("energy_import_wh", "energy_export_wh")),
    word_order=word_orders,
)
def test_the_energy_records_alone_read_as_in_the_whole_block(
    energy_wh: int, name: str, word_order: WordOrder
) -> None:
    """They are what is polled."""
    block = with_value(name, energy_wh, word_order)
    energy = EnergyRecords.parse(block[:ENERGY_LENGTH], word_order=word_order)
    whole = SignedBlock.parse(block, word_order=word_order)
    assert getattr(energy, name) == energy_wh
    assert energy.energy_import_wh == whole.energy_import_wh
    assert energy.energy_export_wh == whole.energy_export_wh


@given(energy_wh=st.integers(1, 1 << 40), word_order=word_orders)
def test_a_block_with_energy_shows_its_word_order(
    energy_wh: int, word_order: WordOrder
) -> None:
    """Read the other way round it is more than any meter can have counted."""
    assume(energy_wh % 0x10000)
    assert (
        likely_word_order(with_value("energy_import_wh", energy_wh, word_order))
        == word_order
    )


@given(voltage_dv=st.integers(1, 10000), word_order=word_orders)
def test_a_block_with_voltage_shows_its_word_order(
    voltage_dv: int, word_order: WordOrder
) -> None:
    """Read the other way round it would be kilovolts."""
    block = with_value("voltage_v", voltage_dv, word_order, scaler=-1)
    assert likely_word_order(block) == word_order


def test_a_block_of_zeros_is_taken_as_big_endian() -> None:
    """As its units are written."""
    assert likely_word_order(REAL_BLOCK) == "big"


def headers() -> Iterator[Any]:
    """Name each byte that has one right value only."""
    for name, (record, _) in RECORDS.items():
        for offset in range(10):
            what = (
                f"OBIS code byte {offset}" if offset < 6 else f"unit byte {offset - 6}"
            )
            yield pytest.param(record.start + offset, id=f"{name} {what}")


@pytest.mark.parametrize("place", headers())
def test_a_record_with_another_obis_code_or_unit_is_refused(place: int) -> None:
    """Rather no value than one of something else."""
    damaged = bytearray(REAL_BLOCK)
    damaged[place] ^= 1
    with pytest.raises(UnexpectedAnswerError, match="instead of"):
        SignedBlock.parse(bytes(damaged))


@pytest.mark.parametrize(
    "length", [0, ENERGY_LENGTH, BLOCK_LENGTH - 1, BLOCK_LENGTH + 1]
)
def test_a_block_of_another_length_is_refused(length: int) -> None:
    """The error says how long it was."""
    with pytest.raises(UnexpectedAnswerError, match=f"{length} bytes"):
        SignedBlock.parse((REAL_BLOCK + b"\0")[:length])


def test_energy_records_of_another_length_are_refused() -> None:
    """A whole block is not its beginning."""
    with pytest.raises(UnexpectedAnswerError, match="154 bytes instead of 40"):
        EnergyRecords.parse(REAL_BLOCK)


@pytest.mark.parametrize("scaler", [-10, 10, -32768, 32767])
def test_a_scaler_no_meter_has_is_refused(scaler: int) -> None:
    """It would make a number as long as a book."""
    with pytest.raises(UnexpectedAnswerError, match=f"scaler {scaler}"):
        SignedBlock.parse(with_value("power_w", 1, scaler=scaler))


@pytest.mark.parametrize(
    ("field", "content"),
    [
        pytest.param(slice(104, 120), bytes(16), id="no model"),
        pytest.param(slice(124, 138), bytes(14), id="no serial number"),
        pytest.param(
            slice(124, 138), b"BY05\x000001002L\0", id="NUL within the serial number"
        ),
        pytest.param(
            slice(124, 138), b"BY\xc3\xbc0001002L\0\0", id="serial number not ASCII"
        ),
        pytest.param(slice(124, 138), b"\xff" * 14, id="serial number never written"),
    ],
)
def test_a_meter_without_a_readable_name_is_refused(
    field: slice, content: bytes
) -> None:
    """Receipts are kept by serial number."""
    damaged = bytearray(REAL_BLOCK)
    damaged[field] = content
    with pytest.raises(UnexpectedAnswerError):
        SignedBlock.parse(bytes(damaged))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"Bay 7".ljust(16, b"\0"), "Bay 7"),
        (bytes(16), ""),
        (b"B\xe4y".ljust(16, b"\0"), r"B\xe4y"),
    ],
)
def test_the_last_field_is_kept_as_it_is(content: bytes, text: str) -> None:
    """Perhaps somebody set it."""
    assert SignedBlock.parse(REAL_BLOCK[:138] + content).text == text
