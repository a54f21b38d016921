"""The S.A.F.E. XML: what strict verifiers take, with the signed part untouched."""

import json
from xml.etree.ElementTree import Element

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from defusedxml.ElementTree import fromstring
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.dc_meter.export.safe_xml import safe_xml
from custom_components.dc_meter.metering.receipt_file import receipts_in
from custom_components.dc_meter.metering.verdict import Verdict, judge
from custom_components.dc_meter.session import Account
from simulators.signing import SignatureForm, SigningKey
from tests.metering.signed import BEGIN, END, KEY, ocmf, ocmf_value

from .accounts import (
    dct1_account,
    forged_account,
    ocmf_account,
    registers,
    unsigned_account,
)


def exported(*accounts: Account) -> tuple[str, list[str]]:
    """Return the XML of these sessions, and the ids of those it cannot express."""
    left_out: list[str] = []
    return b"".join(safe_xml(accounts, left_out)).decode("ascii"), left_out


def values(accounts: list[Account]) -> list[Element]:
    """Return the values in the XML of these sessions."""
    root = fromstring(exported(*accounts)[0])
    assert root.tag == "values"
    return root.findall("value")


def signed_data(value: Element) -> str:
    """Return a value's text, as the transparency software takes it."""
    element = value.find("signedData")
    assert element is not None
    assert element.attrib == {"format": "OCMF", "encoding": "plain"}
    assert element.text is not None
    return element.text.strip()


def verify_strictly(value: Element) -> None:
    """Check a value with nothing but strict DER and a SubjectPublicKeyInfo."""
    header, payload, section = signed_data(value).split("|")
    assert header == "OCMF"
    key = load_der_public_key(bytes.fromhex(value.findtext("publicKey", "")))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = bytes.fromhex(json.loads(section)["SD"])
    key.verify(signature, payload.encode(), ec.ECDSA(SHA256()))


@pytest.mark.parametrize("form", SignatureForm)
@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_every_form_of_signature_verifies_strictly(
    form: SignatureForm, number: int
) -> None:
    """Each example is signed anew: now r, now s has its top bit set."""
    (value,) = values([ocmf_account(text=ocmf(form=form, GV=str(number)))])
    verify_strictly(value)


@pytest.mark.parametrize("form", SignatureForm)
def test_what_is_signed_is_not_touched(form: SignatureForm) -> None:
    text = ocmf(form=form)
    (value,) = values([ocmf_account(text=text)])
    assert signed_data(value).split("|")[:2] == text.split("|")[:2]


def test_a_receipt_that_is_strict_already_stays_as_it_is() -> None:
    text = ocmf(form=SignatureForm.PADDED)
    (value,) = values([ocmf_account(text=text)])
    assert signed_data(value) == text


@pytest.mark.parametrize(
    "tariff_text",
    ["0,20 €/kWh", "<b>&amp;</b>", "]]>", 'a "b"', "\U0001f50c 充電", "\x7f\x85\u2028"],
)
def test_any_text_comes_through(tariff_text: str) -> None:
    text = ocmf(form=SignatureForm.PADDED, TT=tariff_text)
    (value,) = values([ocmf_account(text=text)])
    assert signed_data(value) == text
    verify_strictly(value)


def test_line_breaks_in_the_payload_come_through() -> None:
    payload = ocmf().split("|")[1].replace(", ", ",\r\n\t")
    signature = KEY.sign(payload.encode(), SignatureForm.PADDED).hex()
    text = f'OCMF|{payload}|{{"SD":"{signature}"}}'
    (value,) = values([ocmf_account(text=text)])
    verify_strictly(value)


@pytest.mark.parametrize(
    "public_key",
    [
        KEY.subject_public_key_info.hex(),
        KEY.point.hex().upper(),
        KEY.point[1:].hex(" "),
    ],
    ids=["SubjectPublicKeyInfo", "point", "point without 04"],
)
def test_every_form_of_key_becomes_a_subject_public_key_info(public_key: str) -> None:
    account = ocmf_account()
    assert account.session.end is not None
    assert account.session.end.signed_value is not None
    object.__setattr__(account.session.end.signed_value, "public_key", public_key)
    (value,) = values([account])
    assert value.findtext("publicKey") == KEY.subject_public_key_info.hex().upper()


def test_a_whole_transaction_has_no_number_that_would_ask_for_its_second_half() -> None:
    (value,) = values([ocmf_account("session <7>")])
    assert value.attrib == {"context": "session <7>"}


def test_a_begin_and_an_end_are_paired_by_a_number_of_their_own() -> None:
    pair = ocmf_account(
        text=ocmf(RD=[END]),
        start=registers(446540, 4000, ocmf_value(ocmf(RD=[BEGIN]))),
    )
    assert [value.attrib for value in values([ocmf_account(), pair, pair])] == [
        {"context": ocmf_account().session.transaction_id},
        {"transactionId": "2", "context": "Transaction.Begin"},
        {"transactionId": "2", "context": "Transaction.End"},
        {"transactionId": "3", "context": "Transaction.Begin"},
        {"transactionId": "3", "context": "Transaction.End"},
    ]


def test_what_cannot_be_expressed_is_left_out_and_named() -> None:
    content, left_out = exported(
        dct1_account("d1"),
        ocmf_account("o1"),
        unsigned_account("u1"),
        ocmf_account("o2", text=ocmf().replace("IEM", "\uffff")),
    )
    assert len(receipts_in(content)) == 1
    assert left_out == ["d1", "u1", "o2"]


def test_a_forged_receipt_is_handed_out_and_stays_forged() -> None:
    (receipt,) = receipts_in(exported(forged_account())[0])
    assert judge(receipt).verdict is Verdict.INVALID


def test_a_damaged_receipt_is_handed_out_as_it_is() -> None:
    (value,) = values([ocmf_account(text='OCMF|{"FV":1}|{"SD":"00"}')])
    assert signed_data(value) == 'OCMF|{"FV":1}|{"SD":"00"}'
    assert value.find("publicKey") is None


def test_our_own_verifier_finds_all_of_it_valid() -> None:
    accounts = [
        ocmf_account(f"s{i}", form=form) for i, form in enumerate(SignatureForm)
    ]
    receipts = receipts_in(exported(*accounts)[0])
    assert [judge(receipt).billable for receipt in receipts] == [True] * len(accounts)


def test_a_key_of_another_curve_does_not_keep_a_receipt_from_being_handed_out() -> None:
    other = SigningKey(ec.SECP384R1(), SHA256())
    account = ocmf_account(end=registers(1, 1, ocmf_value(ocmf(), key=other)))
    (value,) = values([account])
    assert value.find("publicKey") is None
