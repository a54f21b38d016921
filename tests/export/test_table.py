"""The CSV: exact numbers in two countries' spreadsheets, and never a formula."""

import csv
from decimal import Decimal
from hashlib import sha256
import io
import json
import re

from hypothesis import given, strategies as st
import pytest

from custom_components.dc_meter.export.parties import Language
from custom_components.dc_meter.export.table import sessions_csv
from custom_components.dc_meter.metering.meter import TransactionRequest
from custom_components.dc_meter.session import Account, Particulars, Price, StartWarning
from simulators.signing import SignatureForm
from tests.metering.signed import KEY, ocmf

from .accounts import (
    GERMAN_PARTIES,
    PARTIES,
    RECORD,
    dct1_account,
    forged_account,
    ocmf_account,
    registers,
    unsigned_account,
)

SEPARATORS = {Language.ENGLISH: ",", Language.GERMAN: ";"}


def rows(content: bytes, separator: str) -> list[dict[str, str]]:
    """Read a CSV back."""
    text = content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def row(account: Account, dialect: Language = Language.ENGLISH) -> dict[str, str]:
    """Return the line of a session."""
    content = b"".join(sessions_csv([account], PARTIES, dialect=dialect))
    (only,) = rows(content, SEPARATORS[dialect])
    return only


def test_an_english_spreadsheet_reads_a_session() -> None:
    assert row(ocmf_account("o1", form=SignatureForm.PADDED)) == {
        "Transaction": "o1",
        "Meter": "1ISA0200000001",
        "Model": "IEM-DCR-125",
        "Charge point": "DE*ABC*E1",
        "Begin": "2026-07-01T14:00:00+02:00",
        "End": "2026-07-01T14:30:00+02:00",
        "Times": "signed by the meter",
        "Import: Begin (kWh)": "446.540",
        "Import: End (kWh)": "447.541",
        "Import (kWh)": "1.001",
        "Export: Begin (kWh)": "4.000",
        "Export: End (kWh)": "4.000",
        "Export (kWh)": "0.000",
        "Price (1/kWh)": "0.42",
        "Cost": "0.42",
        "Currency": "EUR",
        "User": "0A1B2C3D",
        "Tariff text": "0,20 €/kWh",
        "Verdict": "Valid",
        "Billable": "yes",
        "Reasons": "The signature is genuine: nothing that it covers was changed.",
        "Not watched throughout": "",
        "Key (SHA-256)": sha256(KEY.subject_public_key_info).hexdigest(),
        "Archive record": str(RECORD),
        "Client": "fleet 7",
        "Tariff": "",
        "Cable": "",
        "User data": '{"car": "B-AB 123"}',
    }


@pytest.mark.parametrize(
    ("account", "charge_point"),
    [
        (ocmf_account(text=ocmf(CI="DE*ABC*E2")), "DE*ABC*E2"),
        (ocmf_account(text=ocmf(CI="")), "DE*ABC*E1"),
        (forged_account(), "DE*ABC*E1"),
    ],
    ids=["signed", "not signed", "forged"],
)
def test_a_session_is_of_the_charge_point_that_is_signed(
    account: Account, charge_point: str
) -> None:
    """Or of the one it was asked for at, where none is."""
    assert row(account)["Charge point"] == charge_point


def test_it_is_told_that_the_meter_held_another_charge_point() -> None:
    """The receipt does not show it."""
    words = "The meter held another charge point than the configured one."
    frozen = (StartWarning.CHARGE_POINT_FROZEN,)
    assert words in row(ocmf_account(warnings=frozen))["Reasons"]
    others = tuple(one for one in StartWarning if one not in frozen)
    assert words not in row(ocmf_account(warnings=others))["Reasons"]


def test_a_german_spreadsheet_reads_a_session() -> None:
    content = b"".join(
        sessions_csv([dct1_account()], GERMAN_PARTIES, dialect=Language.GERMAN)
    )
    (session,) = rows(content, ";")
    assert session["Bezug (kWh)"] == "23,456"
    assert session["Betrag"] == "9,85"
    assert session["Ergebnis"] == "Gültig"
    assert session["Zeiten"] == "Uhr von Home Assistant, nicht signiert"
    assert session["Nicht durchgehend beobachtet"] == (
        "01.07.2026 14:10:00 +02:00 – 01.07.2026 14:12:00 +02:00:"
        " der Zähler war nicht erreichbar"
    )


@pytest.mark.parametrize("dialect", Language)
def test_spreadsheets_know_character_set_and_lines(dialect: Language) -> None:
    content = b"".join(sessions_csv([unsigned_account()], PARTIES, dialect=dialect))
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == content.count(b"\n") == 2


@pytest.mark.parametrize(
    ("account", "verdict", "billable"),
    [
        (ocmf_account(), "Valid", "yes"),
        (forged_account(), "Invalid", "no"),
        (ocmf_account(text="OCMF|{}|{}"), "Not verifiable", "no"),
        (unsigned_account(), "Not signed", "no"),
    ],
    ids=["valid", "forged", "damaged", "unsigned"],
)
def test_a_verdict_is_told_in_words(
    account: Account, verdict: str, billable: str
) -> None:
    session = row(account)
    assert (session["Verdict"], session["Billable"]) == (verdict, billable)


@pytest.mark.parametrize(
    ("energy_wh", "english", "german"),
    [
        ("0", "0.000", "0,000"),
        ("-5", "-0.005", "-0,005"),
        ("0.1", "0.0001", "0,0001"),
        ("9223372036854775807", "9223372036854775.807", "9223372036854775,807"),
        ("1E+3", "1.000", "1,000"),
    ],
)
def test_a_number_is_exact_and_stays_a_number(
    energy_wh: str, english: str, german: str
) -> None:
    end = registers(0, 0)
    object.__setattr__(end, "energy_import_wh", Decimal(energy_wh))
    account = unsigned_account(price=None)
    object.__setattr__(account.session, "end", end)
    assert row(account)["Import: End (kWh)"] == english
    assert row(account, Language.GERMAN)["Import: End (kWh)"] == german


def test_what_is_not_known_is_empty() -> None:
    session = row(dct1_account(start=None, end=None, started_at=None, price=None))
    for heading in ("Begin", "Import: Begin (kWh)", "Import (kWh)", "Cost", "Currency"):
        assert session[heading] == ""


def test_energy_into_the_car_is_import_whichever_way_round_the_meter_is() -> None:
    session = dct1_account().session
    assert session.start is not None
    assert session.end is not None
    reversed_ = dct1_account(
        start=session.start.turned(reversed_=True),
        end=session.end.turned(reversed_=True),
    )
    assert row(reversed_)["Import (kWh)"] == "0.000"
    assert row(reversed_)["Export (kWh)"] == "23.456"


def texts(text: str) -> Account:
    """Return a session with this text wherever there can be one."""
    return unsigned_account(
        request=TransactionRequest(
            transaction_id=text,
            evse_id=text,
            identification_data=text,
            tariff_text=text,
        ),
        particulars=Particulars(
            client_id=text, tariff_id=text, cable_id=text, user_data=text
        ),
        price=Price(per_kwh=Decimal("-0.1"), currency=text),
    )


FORMULAS = (
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    '"=1',
    "'=1",
    "＝1+1",
    "x,=1",
    'x;"=1',
    "x\t=1",
    "x\n@A1",
    "x|+1",
)


@pytest.mark.parametrize("dialect", Language)
@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_taken_for_a_formula(text: str, dialect: Language) -> None:
    """Also not by a spreadsheet of the other country, which cuts lines elsewhere."""
    nested = Particulars(user_data=[text, -1.5, {text: text, "x": [1, text]}])
    accounts = [texts(text), unsigned_account(particulars=nested)]
    content = b"".join(sessions_csv(accounts, PARTIES, dialect=dialect))
    for separator in (",", ";", "\t", "|"):
        read = csv.reader(
            io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=separator
        )
        for line in read:
            for cell in line:
                begin = cell.lstrip(" \n\"'" if cell[:1] != "'" else "")
                assert begin == "" or begin[0] not in "=+@\t\r＝＋－＠"
                assert not begin.startswith("-") or re.fullmatch(r"-[\d.,]+", begin)


@pytest.mark.parametrize("text", [*FORMULAS, "\\", '\\"', '\\", "=1', "x, -1"])
@pytest.mark.parametrize("dialect", Language)
def test_data_of_a_user_stays_json(text: str, dialect: Language) -> None:
    """Programs read it back."""
    for data in ([text, -1, 1e-9, text], {text: [{"x": text}, -2], "y": text}):
        account = unsigned_account(particulars=Particulars(user_data=data))
        assert json.loads(row(account, dialect)["User data"]) == data


@given(st.text())
def test_any_text_can_be_read_back(text: str) -> None:
    session = row(texts(text))
    readable = text.encode(errors="replace").decode()
    assert session["Client"].replace("'", "") == readable.replace("'", "")
    assert session["Price (1/kWh)"] == "-0.1"
