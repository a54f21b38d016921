"""Verdicts: what is genuine is called valid, what is not never is, and nothing else is guessed."""

from base64 import b64decode, b64encode
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.dc_meter.metering.ecdsa import DCT1_256_BIT, DCT1_384_BIT
from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.verdict import (
    Covered,
    Judgement,
    Reason,
    Verdict,
    judge,
    judge_pair,
)
from simulators.dct1 import SimulatedDct1, WordOrder
from simulators.signing import SigningKey

TESTS = Path(__file__).parents[1]
IEM_DCR_VECTOR = TESTS.parents[1] / "shared" / "vectors" / "iem-dcr.json"

GENUINE_DCT1 = Judgement(
    verdict=Verdict.VALID,
    reason=Reason.GENUINE,
    covers=(Covered.METER, Covered.READING),
)
GENUINE_OCMF = Judgement(
    verdict=Verdict.VALID, reason=Reason.GENUINE, covers=tuple(Covered)
)


def invalid(reason: Reason) -> Judgement:
    """Return the judgement on what is wrong."""
    return Judgement(verdict=Verdict.INVALID, reason=reason)


def unverifiable(reason: Reason) -> Judgement:
    """Return the judgement on what cannot be told."""
    return Judgement(verdict=Verdict.UNVERIFIABLE, reason=reason)


def real(name: str) -> SignedMeterValue:
    """Return one of the two values that a real DCT1 signed."""
    answer = json.loads((TESTS / "vectors" / "dct1.json").read_text())
    return SignedMeterValue(**answer[name])


REAL_BEGIN = real("start_signed_meter_value")
REAL_END = real("signed_meter_value")
REAL = REAL_END


def snapshot(meter: SimulatedDct1, key: SigningKey | None = None) -> SignedMeterValue:
    """Return what this meter signs now, with its own key or another meter's."""
    key = key or meter.key
    assert key is not None
    block = meter.block()
    return SignedMeterValue(
        signed_meter_data=b64encode(block + key.sign(block)).decode(),
        signing_method=(
            DCT1_256_BIT if meter.signature == "256" else DCT1_384_BIT
        ).name,
        encoding_method="",
        public_key=key.point.hex().upper(),
    )


def flipped(text: str, bit: int) -> str:
    """Return base64 with one bit the other way round."""
    data = b64decode(text)
    return b64encode(
        (int.from_bytes(data) ^ (1 << bit % (8 * len(data)))).to_bytes(len(data))
    ).decode()


@pytest.mark.parametrize("value", [REAL_BEGIN, REAL_END], ids=["begin", "end"])
def test_what_a_real_dct1_signed_is_valid_for_meter_and_reading_only(
    value: SignedMeterValue,
) -> None:
    """Its block holds neither time nor user."""
    assert judge(value) == GENUINE_DCT1
    assert judge(value, trusted_key=value.public_key) == GENUINE_DCT1


def test_a_real_dct1s_transaction_is_valid() -> None:
    """Both snapshots together."""
    assert judge_pair(REAL_BEGIN, REAL_END) == GENUINE_DCT1


@pytest.fixture(name="real_ocmf")
def real_ocmf_fixture() -> SignedMeterValue:
    """Return what a real IEM-DCR-125 signed."""
    if not IEM_DCR_VECTOR.exists():
        pytest.skip("the real IEM-DCR receipt is not published with this repository")
    vector = json.loads(IEM_DCR_VECTOR.read_text())
    return SignedMeterValue(
        signed_meter_data=vector["ocmf"],
        signing_method=vector["signing_method"],
        encoding_method="OCMF",
        public_key=vector["public_key"],
    )


def test_what_a_real_iem_dcr_signed_is_valid_for_all_it_says(
    real_ocmf: SignedMeterValue,
) -> None:
    """Strict verifiers reject this genuine receipt."""
    assert judge(real_ocmf) == GENUINE_OCMF


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("446.540", "446.541"), Reason.SIGNATURE_MISMATCH),
        (
            lambda text: text.replace('"PG":"T4"', '"PG": "T4"'),
            Reason.SIGNATURE_MISMATCH,
        ),
        (
            lambda text: text.replace("9109543224", "9109543225"),
            Reason.SIGNATURE_MISMATCH,
        ),
    ],
    ids=["the energy", "a space", "the user"],
)
def test_a_changed_ocmf_text_is_invalid(
    real_ocmf: SignedMeterValue, change: Any, reason: Reason
) -> None:
    """The bytes are signed, not what they mean."""
    changed = replace(real_ocmf, signed_meter_data=change(real_ocmf.signed_meter_data))
    assert changed != real_ocmf
    assert judge(changed) == invalid(reason)


@given(bit=st.integers(0, 8 * 250 - 1))
def test_a_dct1_value_with_one_bit_flipped_is_invalid(bit: int) -> None:
    """Anywhere in the block or in the signature."""
    value = replace(REAL, signed_meter_data=flipped(REAL.signed_meter_data, bit))
    assert judge(value) == invalid(Reason.SIGNATURE_MISMATCH)


@pytest.mark.parametrize(
    "trusted_key",
    [
        REAL.public_key.lower(),
        REAL.public_key.removeprefix("04"),
        b64encode(bytes.fromhex(REAL.public_key)).decode(),
        bytes.fromhex(REAL.public_key).hex(":"),
    ],
    ids=["lower case", "without 04", "base64", "colons"],
)
def test_the_trusted_key_may_be_written_differently(trusted_key: str) -> None:
    """Key material is compared, not text."""
    assert judge(REAL, trusted_key=trusted_key) == GENUINE_DCT1


def test_a_value_that_names_no_key_is_judged_by_the_trusted_one() -> None:
    """The key is known from elsewhere."""
    assert (
        judge(replace(REAL, public_key=""), trusted_key=REAL.public_key) == GENUINE_DCT1
    )


OTHER_KEY = SimulatedDct1(signature="384").key


def test_a_genuine_value_under_another_key_than_the_trusted_one_is_invalid() -> None:
    """And it is said that the key is the reason."""
    assert OTHER_KEY is not None
    assert judge(REAL, trusted_key=OTHER_KEY.point.hex()) == invalid(Reason.KEY_CHANGED)


def test_a_value_genuine_under_neither_key_does_not_fit_its_signature() -> None:
    """The key is not blamed for it."""
    assert OTHER_KEY is not None
    value = replace(REAL, signed_meter_data=flipped(REAL.signed_meter_data, 1000))
    assert judge(value, trusted_key=OTHER_KEY.point.hex()) == invalid(
        Reason.SIGNATURE_MISMATCH
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(replace(REAL, public_key=""), Reason.NO_KEY, id="no key"),
        pytest.param(
            replace(REAL, public_key=REAL.public_key[:-2]),
            Reason.DAMAGED,
            id="key cut short",
        ),
        pytest.param(
            replace(REAL, signing_method="ECDSA-rot13"),
            Reason.UNKNOWN_ALGORITHM,
            id="unknown method",
        ),
        pytest.param(
            replace(REAL, encoding_method="EDL"),
            Reason.UNKNOWN_ALGORITHM,
            id="unknown encoding",
        ),
        pytest.param(
            replace(REAL, signed_meter_data=""), Reason.DAMAGED, id="nothing signed"
        ),
        pytest.param(
            replace(REAL, signed_meter_data=REAL.signed_meter_data[:-4]),
            Reason.DAMAGED,
            id="signature cut short",
        ),
        pytest.param(
            replace(REAL, signed_meter_data="*" + REAL.signed_meter_data),
            Reason.DAMAGED,
            id="not base64",
        ),
        pytest.param(
            replace(REAL, encoding_method="OCMF"),
            Reason.DAMAGED,
            id="OCMF that is none",
        ),
        pytest.param(
            replace(
                REAL,
                encoding_method="OCMF",
                signed_meter_data='OCMF|{"RD":[{"TM":"2025-06-06T09:26:24,000+0200 I"}]}'
                '|{"SA":"ECDSA-secp192k1-SHA256","SD":"00"}',
            ),
            Reason.UNKNOWN_ALGORITHM,
            id="a curve that cannot be computed with",
        ),
    ],
)
def test_what_cannot_be_checked_is_never_called_invalid(
    value: SignedMeterValue, reason: Reason
) -> None:
    """It is said why it cannot be checked."""
    assert judge(value) == unverifiable(reason)


anything = st.text(max_size=60) | st.text(
    alphabet='0123456789ABCDEFabcdef+/=|{}[]":,OCMF'
)


@settings(max_examples=300)
@given(
    data=anything | anything.map("OCMF|{}".format) | st.just(REAL.signed_meter_data),
    method=anything | st.just(REAL.signing_method),
    encoding=st.sampled_from(("", "OCMF")) | anything,
    key=anything | st.just(REAL.public_key),
    trusted_key=st.none() | anything | st.just(REAL.public_key),
)
def test_no_odd_value_breaks_the_judge(
    data: str, method: str, encoding: str, key: str, trusted_key: str | None
) -> None:
    """Nor does anything but the genuine value pass."""
    value = SignedMeterValue(
        signed_meter_data=data,
        signing_method=method,
        encoding_method=encoding,
        public_key=key,
    )
    genuine = (data, method, encoding) == (
        REAL.signed_meter_data,
        REAL.signing_method,
        "",
    )
    for judgement in (
        judge(value, trusted_key=trusted_key),
        judge_pair(value, REAL, trusted_key=trusted_key),
        judge_pair(REAL, value, trusted_key=trusted_key),
    ):
        assert genuine or judgement.verdict is not Verdict.VALID


@pytest.mark.parametrize("word_order", ["big", "little"])
@pytest.mark.parametrize("signature", ["384", "256"])
def test_a_transaction_that_counts_up_is_valid(
    signature: Any, word_order: WordOrder
) -> None:
    # Low word first, 2 is more than 65537 to whoever takes it for big-endian.
    """On meters of either signature and either word order."""
    begin, end = (
        SimulatedDct1(signature=signature, word_order=word_order, import_wh=import_wh)
        for import_wh in (2, 65537)
    )
    assert judge_pair(snapshot(begin), snapshot(end, begin.key)) == GENUINE_DCT1


@pytest.mark.parametrize("register", ["import_wh", "export_wh"])
@pytest.mark.parametrize("word_order", ["big", "little"])
def test_a_register_that_runs_backwards_is_invalid(
    register: str, word_order: WordOrder
) -> None:
    """Import or export, by a single watt-hour."""

    def meter(energy_wh: int) -> SimulatedDct1:
        registers: dict[str, Any] = {
            "import_wh": 70000,
            "export_wh": 70000,
            register: energy_wh,
        }
        return SimulatedDct1(word_order=word_order, **registers)

    begin = meter(70000)
    judgement = judge_pair(snapshot(begin), snapshot(meter(69999), begin.key))
    assert judgement == invalid(Reason.RUNS_BACKWARDS)


@pytest.mark.parametrize(
    "other", [{"serial_number": "BY0000000002L"}, {"model": "DCT1A60V10LS3EC"}], ids=str
)
def test_snapshots_of_two_meters_are_no_transaction(other: dict[str, Any]) -> None:
    """Model and serial number are equal or it is two meters."""
    begin = SimulatedDct1()
    end = SimulatedDct1(**other)
    assert judge_pair(snapshot(begin), snapshot(end, begin.key)) == invalid(
        Reason.OTHER_METER
    )


def test_snapshots_under_two_keys_are_no_transaction() -> None:
    """Even where each is genuine under its own."""
    judgement = judge_pair(snapshot(SimulatedDct1()), snapshot(SimulatedDct1()))
    assert judgement == invalid(Reason.KEY_CHANGED)


def test_what_is_signed_and_no_block_is_no_transaction() -> None:
    """Its registers cannot be read."""
    key = SimulatedDct1().key
    assert key is not None
    signed = bytes(154)
    value = replace(
        REAL,
        signed_meter_data=b64encode(signed + key.sign(signed)).decode(),
        public_key=key.point.hex(),
    )
    assert judge_pair(value, value) == unverifiable(Reason.DAMAGED)


def test_one_invalid_snapshot_outweighs_one_that_cannot_be_checked() -> None:
    """Whichever of the two it is."""
    forged = replace(REAL, signed_meter_data=flipped(REAL.signed_meter_data, 0))
    damaged = replace(REAL, signed_meter_data="")
    expected = invalid(Reason.SIGNATURE_MISMATCH)
    assert judge_pair(forged, damaged) == judge_pair(damaged, forged) == expected
    assert judge_pair(damaged, REAL) == unverifiable(Reason.DAMAGED)
