"""The PDFs: everything a reader needs to know, whatever devices and users write."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
import io
import re
from unicodedata import normalize

from hypothesis import given, settings, strategies as st
import pypdf
import pytest

from custom_components.dc_meter.export.parties import Language, Parties
from custom_components.dc_meter.export.pdf import receipt, statement
from custom_components.dc_meter.metering.meter import TransactionRequest
from custom_components.dc_meter.session import Account, Gap, GapKind, Particulars, Price
from simulators.signing import SignatureForm
from tests.metering.signed import BEGIN, CHARGING, END, KEY, ocmf

from .accounts import (
    BERLIN,
    CREATED,
    GERMAN_PARTIES,
    PARTIES,
    RECORD,
    STARTED,
    dct1_account,
    forged_account,
    ocmf_account,
    unsigned_account,
)


def pages(content: bytes) -> list[str]:
    """Return the text of each page."""
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages]


def printed(account: Account, parties: Parties = PARTIES) -> str:
    """Return the text of a receipt that takes one page."""
    (page,) = pages(receipt(account, parties, created_at=CREATED))
    return page


def test_a_receipt_says_it_all_on_one_page() -> None:
    text = ocmf(form=SignatureForm.PADDED)
    page = printed(ocmf_account("o1", text=text))
    for words in (
        "Charging receipt",
        "o1",
        "Stromhof Müller GmbH",
        "Erika Mustermann",
        "2026-07-01 14:00:00 +02:00",
        "2026-07-01 14:30:00 +02:00",
        "0:30:00",
        "Begin (signed by the meter)",
        "Archive record: 12:0123 4567",
        "Isabellenhütte 1ISA0200000001",
        "446.540 kWh",
        "447.541 kWh",
        "1.001",
        "0.42 EUR/kWh",
        "Valid · Billable",
        "Proved: meter, registers, time, user, tariff text, transaction.",
        "0,20 €/kWh",
        "Page 1 of 1",
    ):
        assert words in page
    assert "Not proved" not in page
    closed_up = re.sub(r"\s", "", page)
    assert re.sub(r"\s", "", text) in closed_up
    assert sha256(KEY.subject_public_key_info).hexdigest() in closed_up
    assert str(RECORD) in closed_up


def test_a_receipt_of_nobody_proves_no_user() -> None:
    account = ocmf_account(
        request=TransactionRequest(transaction_id="T-1"), text=ocmf(ID="T-1")
    )
    page = printed(account)
    assert "Proved: meter, registers, time, tariff text, transaction." in page
    assert "Not proved: user." in page


def test_a_receipt_names_the_charge_point_that_is_signed() -> None:
    page = printed(ocmf_account(text=ocmf(CI="DE*ABC*E2")))
    # The signed text begins further down.
    assert "DE*ABC*E2" in page.partition("OCMF")[0]
    assert "DE*ABC*E1" not in page


def test_a_receipt_of_registers_says_what_is_not_proved() -> None:
    page = printed(dct1_account(), GERMAN_PARTIES)
    for words in (
        "Ladebeleg",
        "23,456",
        "9,85",
        "1.000,000 kWh",
        "Gültig · Abrechenbar",
        "Bewiesen: Zähler, Zählerstände.",
        "Nicht bewiesen: Zeit, Nutzer, Tariftext, Ladevorgang.",
        "Beginn (Uhr von Home Assistant, nicht signiert)",
        "Nicht durchgehend beobachtet",
        "der Zähler war nicht erreichbar",
        "Seite 1 von 1",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (forged_account(), ["Invalid · Not billable", "does not fit the data"]),
        (
            unsigned_account(),
            ["Not signed · Not billable", "Import (not signed)", "Archive record: 12:"],
        ),
        (
            ocmf_account(text=ocmf(IL="INVALID")),
            ["Valid · Not billable", "The user's identification failed."],
        ),
        (ocmf_account(text="OCMF|{}|{}"), ["Not verifiable · Not billable"]),
    ],
    ids=["forged", "unsigned", "objected to", "damaged"],
)
def test_a_receipt_that_proves_less_says_so(account: Account, words: list[str]) -> None:
    page = printed(account)
    for word in words:
        assert word in page


def test_a_long_signed_text_is_printed_in_full_over_pages() -> None:
    text = ocmf(RD=[BEGIN, *[CHARGING] * 300, END])
    together = "\n".join(
        pages(receipt(ocmf_account("o1", text=text), PARTIES, created_at=CREATED))
    )
    assert "Page 3 of" in together
    without_feet = re.sub(r"o1\s*Page \d+ of \d+", "", together)
    assert re.sub(r"\s", "", text) in re.sub(r"\s", "", without_feet)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Łukasz Dvořák", "Lukasz Dvorák"),
        ("Čapek, Ioniţă, Đorđe, Işık", "Capek, Ionita, Dorde, Isik"),
        ("Zoë Müßig Škoda Žižka", "Zoë Müßig Škoda Žižka"),
        (normalize("NFD", "Zoë Müßig"), "Zoë Müßig"),
        ("充電 10⁶ Ω", "¿¿ 10¿ ¿"),
    ],
    ids=["Polish, Czech", "more", "at hand", "taken apart", "no such letters"],
)
def test_a_letter_that_the_fonts_lack_loses_its_marks(text: str, shown: str) -> None:
    """What is no such letter is seen to be missing: no other number, no other word is made."""
    parties = replace(PARTIES, recipient=f"Mx\n{text}")
    page = printed(ocmf_account(text), parties)
    assert page.count(shown) >= 2


def test_a_signed_text_shows_what_the_fonts_lack_as_escape_sequences() -> None:
    page = printed(ocmf_account(text=ocmf(TT="Ł")))
    assert '"\\u0141"' in page


@pytest.mark.parametrize("text", ["{nb}", "**bold** __a__", "<b>&amp;</b>", "[a](b)"])
def test_no_text_is_more_than_text(text: str) -> None:
    """Neither the number of pages nor markup, wherever it stands."""

    def times_printed(text: str) -> int:
        request = TransactionRequest(transaction_id=text, evse_id=text)
        parties = replace(PARTIES, issuer=text, recipient=text)
        return printed(dct1_account(text, request=request), parties).count(text)

    assert times_printed(text) == times_printed("Lorem") > 3


def test_the_same_input_gives_the_same_bytes() -> None:
    account = ocmf_account()
    first, second = (receipt(account, PARTIES, created_at=CREATED) for _ in range(2))
    assert first == second
    later = receipt(account, PARTIES, created_at=CREATED + timedelta(seconds=1))
    assert later != first


def test_a_statement_adds_up_and_tells_what_is_billable() -> None:
    accounts = [
        ocmf_account("o1"),
        dct1_account("d1"),
        unsigned_account("u1"),
        dct1_account("d2", price=Price(per_kwh=Decimal(1), currency="CHF")),
        dct1_account("d3", start=None, end=None, price=None),
    ]
    (page,) = pages(statement(accounts, GERMAN_PARTIES, created_at=CREATED))
    for words in (
        "Ladeübersicht",
        "Juli 2026",
        "Ladevorgänge: 5",
        "48,163",  # 1,001 + 23,456 + 0,250 + 23,456
        "10,38 EUR",
        "23,46 CHF",
        "Ladevorgänge: 3",
        "47,913",
        "10,27 EUR",
        "in keiner Summe steht: 1.",
        "Nicht signiert",
    ):
        assert words in page


def test_a_statement_does_not_call_valid_what_is_not_to_be_billed() -> None:
    (page,) = pages(
        statement([ocmf_account(text=ocmf(PG="F1"))], PARTIES, created_at=CREATED)
    )
    assert "Not billable" in page
    assert "Valid" not in page


def test_a_statement_repeats_its_headings_on_every_page() -> None:
    content = statement([ocmf_account()] * 120, PARTIES, created_at=CREATED)
    sheets = pages(content)
    assert len(sheets) == 3
    assert all("Transaction" in page and "Verdict" in page for page in sheets)


def test_a_statement_can_have_its_receipts_behind_it() -> None:
    content = statement(
        [ocmf_account(), dct1_account()],
        PARTIES,
        created_at=CREATED,
        with_receipts=True,
    )
    assert ["Charging receipt" in page for page in pages(content)] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("length", [20, 60, 255])
def test_an_address_is_printed_to_its_end(length: int) -> None:
    """Five lines, each as long as actions accept: a narrow column breaks them into more."""
    lines = [f"Line {place} {'ab ' * length}"[:length] for place in range(1, 6)]
    address = "\n".join(line[:-4] + f"end{place}" for place, line in enumerate(lines))
    parties = replace(PARTIES, issuer=address, recipient=address)
    for content in (
        statement([ocmf_account()], parties, created_at=CREATED),
        receipt(ocmf_account(), parties, created_at=CREATED),
    ):
        first = pages(content)[0]
        for place in range(5):
            assert first.count(f"end{place}") == 2


def test_an_empty_statement_is_a_statement() -> None:
    (page,) = pages(statement([], PARTIES, created_at=CREATED))
    assert "Sessions: 0" in page


@settings(max_examples=150, deadline=None)
@given(st.text(), st.sampled_from(Language))
def test_nothing_that_devices_and_users_write_breaks_the_paper(
    text: str, language: Language
) -> None:
    account = ocmf_account(
        text=f"OCMF|{text}|{text}",
        request=TransactionRequest(
            transaction_id=text,
            evse_id=text,
            identification_data=text,
            tariff_text=text,
        ),
        particulars=Particulars(client_id=text),
        price=Price(per_kwh=Decimal("0.123456"), currency=text),
    )
    parties = Parties(
        issuer=text, recipient=text, title=text, time_zone=BERLIN, language=language
    )
    assert receipt(account, parties, created_at=CREATED)
    assert statement([account], parties, created_at=CREATED)


@pytest.mark.parametrize(
    "text",
    ["x" * 10_000, "x y " * 5_000, "\n" * 500, "**bold**<b>--__", "W" * 300, "€" * 300],
    ids=["one long word", "many words", "empty lines", "markup", "wide", "euros"],
)
def test_what_is_too_long_is_cut_and_the_page_kept(text: str) -> None:
    account = ocmf_account(text, price=Price(per_kwh=Decimal(10**9), currency=text))
    parties = replace(PARTIES, title=text)
    assert len(pages(receipt(account, parties, created_at=CREATED))) == 1
    parties = replace(parties, issuer=text, recipient=text)
    assert len(pages(statement([account], parties, created_at=CREATED))) == 1


def test_many_gaps_do_not_hide_that_there_were_more() -> None:
    gap = Gap(kind=GapKind.NOT_WATCHED, begins_at=STARTED, ends_at=STARTED)
    content = receipt(ocmf_account(gaps=(gap,) * 25), PARTIES, created_at=CREATED)
    page = pages(content)[0]
    assert page.count("Home Assistant was not watching the meter") == 10
    assert "and 15 more" in page
