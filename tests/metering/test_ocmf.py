"""OCMF receipts are read exactly, and whatever is no receipt is refused."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
import json
from pathlib import Path
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.dc_meter.metering.ecdsa import OCMF_DEFAULT
from custom_components.dc_meter.metering.meter import ClockState
from custom_components.dc_meter.metering.ocmf import (
    MAX_READINGS,
    MalformedOcmfError,
    OcmfReceipt,
    format_time,
    parse,
    parse_time,
)

VECTOR = Path(__file__).parents[3] / "shared/vectors/iem-dcr.json"

BEGIN = {
    "TM": "2026-07-01T14:00:00,000+0200 S",
    "TX": "B",
    "RV": "00000446.540",
    "RI": "1-b:1.8.e",
    "RU": "kWh",
    "RT": "DC",
    "EF": "",
    "ST": "G",
}
END = {"TM": "2026-07-01T14:30:00,000+0200 S", "TX": "E", "RV": "00000447.541"}


def ocmf(signature: dict[str, Any] | None = None, **payload: Any) -> str:
    """Return OCMF text with a payload like an IEM-DCR's, changed as given."""
    payload = {
        "FV": "1.0",
        "MS": "1ISA0200000001",
        "PG": "T4",
        "RD": [BEGIN, END],
    } | payload
    return f"OCMF|{json.dumps(payload)}|{json.dumps(signature or {'SD': '3006020101020101'})}"


def test_a_real_receipt_is_read_exactly() -> None:
    """The vector of a real IEM-DCR-125 comes out field by field."""
    if not VECTOR.exists():
        pytest.skip("the receipt of a real device is not at hand")
    text = json.loads(VECTOR.read_text())["ocmf"]
    moment = datetime(2025, 6, 6, 9, 26, 24, tzinfo=timezone(timedelta(hours=2)))

    receipt = parse(text)

    assert receipt.text == text
    assert receipt.signed_bytes == text.split("|")[1].encode()
    assert receipt.algorithm == "ECDSA-secp256r1-SHA256"
    assert len(receipt.signature) == 70
    assert receipt.format_version == "1.0"
    assert receipt.gateway == "Isabellenhuette IEM-DCR-125-1000-32-00-006-B_000"
    assert receipt.gateway_serial == receipt.meter_serial == "1ISA0200001132"
    assert receipt.gateway_version == "DU-02.00.12_SU-02.00.08"
    assert receipt.meter_vendor == "Isabellenhuette"
    assert receipt.meter_model == "IEM-DCR-125-1000-32-00-006-B_000"
    assert receipt.meter_firmware is None
    assert receipt.pagination == "T4"
    assert (receipt.charge_point_type, receipt.charge_point_id) == (
        "DC-Test-Charger",
        "CP-DE-4711",
    )
    assert receipt.identification_status is True
    assert receipt.identification_level == "CERTIFIED"
    assert receipt.identification_flags == (
        "RFID_PSK",
        "OCPP_CERTIFIED",
        "ISO15118_NONE",
        "PLMN_NONE",
    )
    assert receipt.identification_type == "ISO15693"
    assert receipt.identification_data == "9109543224"
    assert receipt.tariff_text == "0,20 EUR/kWh"
    assert receipt.spans_transaction
    begin, end = receipt.readings
    assert (begin.time, end.time) == (moment, moment + timedelta(seconds=21))
    assert (begin.reason, end.reason) == ("B", "E")
    for reading in receipt.readings:
        assert reading.clock_state is ClockState.INFORMATIVE
        assert reading.value == Decimal("446.540")
        assert reading.energy_wh == 446_540
        assert (reading.obis, reading.current_type) == ("1-b:1.8.e", "DC")
        assert (reading.error_flags, reading.status) == ("", "G")


@pytest.mark.parametrize(
    "wrapping",
    ["{}", " \r\n{}\n", '"{}"', ' "{}"\n', "'{}'"],
    ids=["bare", "whitespace", "quotes", "quotes and whitespace", "single quotes"],
)
def test_what_a_receipt_is_wrapped_in_is_taken_off(wrapping: str) -> None:
    """Some firmware puts whitespace or quotes around the text."""
    assert parse(wrapping.format(ocmf())) == parse(ocmf())


def test_a_receipt_inside_a_json_string_is_taken_out() -> None:
    """Escaped quotes are the JSON string's, not the receipt's."""
    assert parse(json.dumps(ocmf(TT="0,20 €/kWh"))) == parse(ocmf(TT="0,20 €/kWh"))


def test_the_signed_bytes_keep_every_space() -> None:
    """A payload laid out for reading is signed with its layout."""
    text = ocmf().replace("{", "{\n  ", 1)
    assert parse(text).signed_bytes == text.split("|")[1].encode()


def test_a_reading_inherits_what_it_leaves_out() -> None:
    """The end in the sample states time, reason and value only."""
    _, end = parse(ocmf()).readings
    assert (end.obis, end.unit, end.status) == ("1-b:1.8.e", "kWh", "G")
    assert end.reason == "E"
    assert end.energy_wh == 447_541


@pytest.mark.parametrize(
    ("written", "unit", "energy_wh"),
    [
        ('"00000446.540"', "kWh", "446540"),
        ("446.540", "kWh", "446540"),
        ("446540", "Wh", "446540"),
        ("123456789012.3456789", "kWh", "123456789012345.6789"),
        ('"-0.001"', "kWh", "-1"),
        ("0.1", "kWh", "100"),
        ("5", "s", None),
    ],
)
def test_a_value_is_exact(written: str, unit: str, energy_wh: str | None) -> None:
    """Numbers and zero-padded text keep every digit on the way to Wh."""
    text = ocmf(RD=[BEGIN | {"RV": "?", "RU": unit}]).replace('"?"', written)
    expected = None if energy_wh is None else Decimal(energy_wh)
    assert parse(text).readings[0].energy_wh == expected


def test_an_event_without_a_value_has_none() -> None:
    """A value is never made up."""
    event = {"TM": BEGIN["TM"], "TX": "X", "ST": "M"}
    reading = parse(ocmf(RD=[event])).readings[0]
    assert reading.value is None
    assert reading.energy_wh is None
    assert reading.obis is None


@pytest.mark.parametrize(
    ("letter", "state"),
    [
        ("U", ClockState.UNSYNCHRONIZED),
        ("I", ClockState.INFORMATIVE),
        ("S", ClockState.SYNCHRONIZED),
        ("R", ClockState.RELATIVE),
    ],
)
def test_the_letter_behind_the_time_is_the_clock_state(
    letter: str, state: ClockState
) -> None:
    """TM ends in U, I, S or R."""
    reading = parse(ocmf(RD=[BEGIN | {"TM": f"2026-07-01T14:00:00,000+0200 {letter}"}]))
    assert reading.readings[0].clock_state is state


@pytest.mark.parametrize("flags", [None, []])
def test_no_flags_may_be_said_in_two_ways(flags: list[str] | None) -> None:
    assert parse(ocmf(IF=flags)).identification_flags == ()


def test_the_algorithm_and_the_encoding_have_defaults() -> None:
    """SA and SE may be left out; base64 is the other encoding."""
    receipt = parse(ocmf({"SD": "30:06".replace(":", "")}))
    assert (receipt.algorithm, receipt.signature) == (OCMF_DEFAULT, b"\x30\x06")
    encoded = parse(
        ocmf({"SA": "ECDSA-secp384r1-SHA256", "SE": "base64", "SD": "MAY="})
    )
    assert (encoded.algorithm, encoded.signature) == (
        "ECDSA-secp384r1-SHA256",
        b"\x30\x06",
    )


@pytest.mark.parametrize(
    ("readings", "spans"),
    [
        ([BEGIN], False),
        ([BEGIN, END | {"TX": "C"}], False),
        ([END | {"ST": "G"}], False),
        *(([BEGIN, END | {"TX": end}], True) for end in "ELRAP"),
    ],
)
def test_a_transaction_is_spanned_by_a_begin_and_an_end(
    readings: list[dict[str, str]], spans: bool
) -> None:
    """However the transaction ended."""
    assert parse(ocmf(RD=readings)).spans_transaction is spans


MALFORMED = {
    "nothing": "",
    "another format": "ALFEN|{}|{}",
    "something before it": "x" + ocmf(),
    "no signature section": ocmf().rpartition("|")[0],
    "a section too many": ocmf() + "|{}",
    "a pipe inside a text": ocmf(TT="a|b"),
    "payload is no JSON": "OCMF|{]|{}",
    "payload is no object": 'OCMF|[]|{"SD":"00"}',
    "payload is cut short": ocmf().replace("}]}|", "}]|"),
    "a key twice": ocmf().replace('"PG"', '"MS"'),
    "NaN": ocmf(RD=[BEGIN | {"RV": float("nan")}]),
    "infinity": ocmf(RD=[BEGIN | {"RV": float("inf")}]),
    "a number of a thousand digits": ocmf(RD=[BEGIN | {"RV": "?"}]).replace(
        '"?"', "1" * 1000
    ),
    "a huge exponent": ocmf(RD=[BEGIN | {"RV": "?"}]).replace(
        '"?"', "1e99999999999999999999"
    ),
    "a number of ten thousand digits that nobody reads": ocmf(XY="?").replace(
        '"?"', "1" * 10_000
    ),
    "a large exponent": ocmf(RD=[BEGIN | {"RV": "?"}]).replace('"?"', "1e9999"),
    "a tiny exponent": ocmf(RD=[BEGIN | {"RV": "?"}]).replace('"?"', "0e-9999"),
    "deep arrays": f"OCMF|{'[' * 100_000}|{{}}",
    "deep objects": "OCMF|" + '{"a":' * 40_000 + "1" + "}" * 40_000 + '|{"SD":"00"}',
    "a lone surrogate": ocmf(TT="\ud800"),
    "a lone surrogate as such": ocmf(TT="?").replace("?", "\ud800"),
    "too long": ocmf(TT="x" * 300_000),
    "no signature": ocmf({"SA": OCMF_DEFAULT}),
    "an empty signature": ocmf({"SD": ""}),
    "half a hex digit": ocmf({"SD": "300"}),
    "no hex": ocmf({"SD": "zz"}),
    "no base64": ocmf({"SE": "base64", "SD": "*"}),
    "an unknown encoding": ocmf({"SE": "rot13", "SD": "30"}),
    "no readings": ocmf(RD=[]),
    "readings that are none": ocmf(RD=["B"]),
    "a serial number that is a number": ocmf(MS=1),
    "a status that is neither": ocmf(IS="true"),
    "flags that are none": ocmf(IF=[1]),
    "a value that is none": ocmf(RD=[BEGIN | {"RV": True}]),
    "a value in other digits": ocmf(RD=[BEGIN | {"RV": "٤"}]),
    "a value with a comma": ocmf(RD=[BEGIN | {"RV": "446,540"}]),
    "no time": ocmf(RD=[{"RV": "1", "ST": "G"}]),
    "a time without its state": ocmf(
        RD=[BEGIN | {"TM": "2026-07-01T14:00:00,000+0200"}]
    ),
    "a time of no calendar": ocmf(
        RD=[BEGIN | {"TM": "2026-02-30T14:00:00,000+0200 S"}]
    ),
    "an offset of no place": ocmf(
        RD=[BEGIN | {"TM": "2026-07-01T14:00:00,000+2400 S"}]
    ),
    "a time without an offset": ocmf(RD=[BEGIN | {"TM": "2026-07-01T14:00:00,000 S"}]),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_receipt_is_refused(text: str) -> None:
    """Each with the one error that says so."""
    with pytest.raises(MalformedOcmfError):
        parse(text)


def test_readings_without_end_are_refused() -> None:
    """A text of permitted length may hold thousands that say nothing."""
    silent: list[dict[str, Any]] = [{}]
    assert parse(ocmf(RD=[BEGIN, *silent * (MAX_READINGS - 1)]))
    with pytest.raises(MalformedOcmfError, match="readings"):
        parse(ocmf(RD=[BEGIN, *silent * MAX_READINGS]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)
FIELDS = st.sampled_from(["FV", "MS", "PG", "IS", "IL", "IF", "ID", "TT", "RD", "XY"])


def receipt_or_none(text: str) -> OcmfReceipt | None:
    """Return what ``text`` is read as."""
    try:
        return parse(text)
    except MalformedOcmfError:
        return None


@given(st.text() | st.text().map(lambda text: f"OCMF|{text}") | JSON.map(json.dumps))
def test_no_text_is_too_odd_to_be_refused(text: str) -> None:
    """Nothing but a receipt or the error comes out, and such text is no receipt."""
    assert receipt_or_none(text) is None


@given(
    st.dictionaries(FIELDS, JSON), st.dictionaries(st.sampled_from(sorted(BEGIN)), JSON)
)
def test_no_field_is_too_odd(payload: dict[str, Any], reading: dict[str, Any]) -> None:
    """Whatever a field holds, what is read is what was signed."""
    text = ocmf(**{"RD": [BEGIN | reading]} | payload)
    receipt = receipt_or_none(text)
    assert receipt is None or receipt.signed_bytes == text.split("|")[1].encode()


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28), timezones=OFFSETS))
def test_a_time_written_is_the_time_read(moment: datetime) -> None:
    """To the millisecond, with its offset."""
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    read, state = parse_time(format_time(moment))
    assert (read, read.utcoffset(), state) == (moment, moment.utcoffset(), None)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (
            datetime(2026, 7, 1, 14, tzinfo=timezone(timedelta(hours=2))),
            "2026-07-01T14:00:00,000+0200",
        ),
        (
            datetime(
                2026, 1, 2, 3, 4, 5, 678_900, tzinfo=timezone(-timedelta(hours=3.5))
            ),
            "2026-01-02T03:04:05,678-0330",
        ),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00,000+0000"),
    ],
)
def test_a_time_is_written_as_the_meter_takes_it(
    moment: datetime, written: str
) -> None:
    """A comma before the milliseconds, the offset without a colon, no letter."""
    assert format_time(moment) == written


def test_a_time_without_an_offset_is_not_written() -> None:
    """It could mean any moment of a day."""
    with pytest.raises(ValueError, match="offset"):
        format_time(datetime(2026, 7, 1))
