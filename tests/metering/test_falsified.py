"""Whatever is changed in a receipt, it is never taken for genuine, and nothing breaks on it."""

from base64 import b64decode, b64encode
from dataclasses import replace
import json
from random import Random
from typing import Any

from hypothesis import assume, given, settings, strategies as st
import pytest

from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.ocmf import parse
from custom_components.dc_meter.metering.verdict import Receipt, Verdict, judge
from simulators.signing import SignatureForm

from .falsifier import BLOCKS, FALSIFICATIONS, TEXTS, is_accepted, odd_file, verdicts_on
from .signed import BEGIN, END, KEY, PAYLOAD, ocmf, ocmf_value


@pytest.mark.parametrize("text", TEXTS, ids=list(SignatureForm))
def test_the_receipts_to_falsify_are_genuine(text: str) -> None:
    """Or none of what follows would show anything."""
    assert judge(Receipt(end=ocmf_value(text))).billable
    assert judge(Receipt(begin=BLOCKS[0], end=BLOCKS[1])).billable


@pytest.mark.parametrize("kind", FALSIFICATIONS)
def test_no_falsified_receipt_is_accepted(kind: str) -> None:
    """The same every time, and more of it on the command line."""
    random = Random(kind)
    assert not any(is_accepted(kind, random) for _ in range(300))


def test_no_odd_file_breaks_anything() -> None:
    """Each gives verdicts in words, or is refused as unusable."""
    random = Random(0)
    outcomes = [
        outcome for _ in range(3000) for outcome in verdicts_on(odd_file(random))
    ]
    assert {None, *Verdict} == set(outcomes)


@given(bit=st.integers(0, 8 * 250 - 1), of=st.sampled_from((0, 1)))
def test_a_bit_of_a_block_or_its_signature_counts(bit: int, of: int) -> None:
    data = bytearray(b64decode(BLOCKS[of].signed_meter_data))
    data[bit // 8] ^= 1 << bit % 8
    value = replace(BLOCKS[of], signed_meter_data=b64encode(data).decode())
    assert judge(Receipt(end=value)).verdict is Verdict.INVALID


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=6,
)


@given(
    name=st.sampled_from(sorted(PAYLOAD)),
    value=JSON,
    form=st.sampled_from(SignatureForm),
)
def test_a_field_of_a_payload_counts(
    name: str, value: Any, form: SignatureForm
) -> None:
    """Whatever it is changed to."""
    assume(value != PAYLOAD[name])
    assert_falsified(ocmf(form=form), PAYLOAD | {name: value})


@given(name=st.sampled_from(sorted(BEGIN)), value=JSON, end=st.booleans())
def test_a_field_of_a_reading_counts(name: str, value: Any, end: bool) -> None:
    """At the begin and at the end."""
    readings = [BEGIN, END]
    assume(value != readings[end][name])
    readings[end] = readings[end] | {name: value}
    assert_falsified(ocmf(), PAYLOAD | {"RD": readings})


def assert_falsified(genuine: str, payload: dict[str, Any]) -> None:
    """Put another payload under a genuine signature."""
    forged = json.dumps(payload, ensure_ascii=False)
    text = f"OCMF|{forged}|{genuine.rpartition('|')[2]}"
    judgement = judge(Receipt(end=ocmf_value(text)), trusted_key=KEY.point.hex())
    assert judgement.verdict is not Verdict.VALID
    assert judgement.energy_import_wh is None


@settings(max_examples=300)
@given(data=st.data())
def test_what_is_valid_is_what_was_signed(data: st.DataObject) -> None:
    """A text may be wrapped or written differently around what is signed, and no further."""
    genuine = TEXTS[0]
    at = data.draw(st.integers(0, len(genuine)))
    gone = data.draw(st.integers(0, 3))
    put = data.draw(st.text(max_size=3) | st.sampled_from((" ", "\n", "0", "a", '"')))
    changed = genuine[:at] + put + genuine[at + gone :]
    if judge(Receipt(end=ocmf_value(changed))).verdict is Verdict.VALID:
        assert parse(changed).signed_bytes == parse(genuine).signed_bytes
        assert parse(changed).signature == parse(genuine).signature


anything = st.text(max_size=60) | st.text(
    alphabet='0123456789ABCDEFabcdef+/=|{}[]":,OCMF'
)


@settings(max_examples=300)
@given(
    data=anything
    | anything.map("OCMF|{}".format)
    | st.just(BLOCKS[1].signed_meter_data),
    method=anything | st.just(BLOCKS[1].signing_method),
    encoding=st.sampled_from(("", "OCMF")) | anything,
    key=anything | st.just(BLOCKS[1].public_key),
    trusted_key=st.none() | anything | st.just(BLOCKS[1].public_key),
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
    genuine = replace(value, public_key=BLOCKS[1].public_key) == BLOCKS[1]
    for receipt in (
        Receipt(end=value),
        Receipt(begin=BLOCKS[0], end=value),
        Receipt(begin=value, end=BLOCKS[1]),
    ):
        judgement = judge(receipt, trusted_key=trusted_key)
        assert genuine or judgement.verdict is not Verdict.VALID


@given(st.text() | JSON.map(json.dumps) | st.text().map("<values>{}".format))
def test_no_text_breaks_the_reader(text: str) -> None:
    outcomes = list(verdicts_on(text))
    assert outcomes
    assert Verdict.VALID not in outcomes
