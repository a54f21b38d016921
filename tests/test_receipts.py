"""Receipts are found again, page by page, judged by the keys that are trusted now."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from itertools import product
import json
import os
from pathlib import Path
import sqlite3
import tracemalloc

import pytest

from custom_components.dc_meter.archive import Archive, RecordKind
from custom_components.dc_meter.exports import ExportFormat, export
from custom_components.dc_meter.metering.meter import TransactionRequest
from custom_components.dc_meter.metering.verdict import (
    Objection,
    Reason,
    Verdict,
    judge,
)
from custom_components.dc_meter.receipts import Query, Receipts, judged_anew, page
from custom_components.dc_meter.session import Account, Particulars, Price, encode
from simulators.dct1 import SimulatedDct1

from .export.accounts import (
    CREATED,
    PARTIES,
    dct1_account,
    forged_account,
    ocmf_account,
    unsigned_account,
)
from .metering.signed import KEY, OTHER_KEY

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))


def with_another_key(transaction_id: str, serial_number: str) -> tuple[Account, str]:
    """Return a session that was judged by the key of another meter, and its own key."""
    meter = SimulatedDct1(serial_number=serial_number, import_wh=1_000_000)
    session = dct1_account(transaction_id, meter=meter).session
    assert session.receipt is not None
    stranger = dct1_account(meter=SimulatedDct1()).session.receipt
    assert stranger is not None
    judgement = judge(session.receipt, trusted_key=stranger.end.public_key)
    assert judgement.reason is Reason.KEY_CHANGED
    return Account(session=session, judgement=judgement), session.receipt.end.public_key


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Fill an archive with a session of every kind, one every half hour, others in between."""
    accepted, key = with_another_key("accepted", "BY1")
    unknown, _ = with_another_key("unknown", "BY2")
    archive = Archive.open(tmp_path / "receipts.db")
    accounts = [
        ocmf_account("o1"),
        accepted,
        forged_account("f1"),
        unsigned_account("u1"),
        unknown,
        ocmf_account("o2"),
    ]
    for number, account in enumerate(accounts):
        session = account.session
        # Whatever offset a time is written with, and whatever fraction of a second it has.
        zone = (UTC, TOKYO)[number % 2]
        ended_at = NOON + number * timedelta(minutes=30, microseconds=1)
        for kind in (RecordKind.STARTED, RecordKind.STOPPED):
            archive.append(
                meter=session.meter.serial_number,
                transaction_id=session.transaction_id,
                kind=kind,
                written_at=ended_at.astimezone(zone),
                body=encode(account),
            )
    archive.append(
        meter="BY1",
        transaction_id="",
        kind=RecordKind.KEY,
        written_at=NOON,
        body={"public_key": key},
    )
    yield archive
    archive.close()


def ids(accounts: Iterable[Account]) -> list[str]:
    return [account.session.transaction_id for account in accounts]


FILTERS = {
    "meter": {
        None: ["o1", "accepted", "f1", "u1", "unknown", "o2"],
        "1ISA0200000001": ["o1", "f1", "o2"],
        "BY1": ["accepted"],
        "nobody": [],
    },
    "since": {
        None: ["o1", "accepted", "f1", "u1", "unknown", "o2"],
        NOON + timedelta(minutes=30): ["accepted", "f1", "u1", "unknown", "o2"],
        (NOON + timedelta(hours=1)).astimezone(TOKYO): ["f1", "u1", "unknown", "o2"],
    },
    "until": {
        None: ["o1", "accepted", "f1", "u1", "unknown", "o2"],
        NOON + timedelta(hours=2): ["o1", "accepted", "f1", "u1"],
        datetime.max.replace(tzinfo=UTC): [
            "o1",
            "accepted",
            "f1",
            "u1",
            "unknown",
            "o2",
        ],
        NOON: [],
    },
    "verdict": {
        None: ["o1", "accepted", "f1", "u1", "unknown", "o2"],
        Verdict.VALID: ["o1", "accepted", "o2"],
        Verdict.INVALID: ["f1", "unknown"],
        Verdict.UNVERIFIABLE: [],
    },
    "user": {
        None: ["o1", "accepted", "f1", "u1", "unknown", "o2"],
        "0A1B2C3D": ["o1", "f1", "o2"],
        "fleet 7": ["o1", "f1", "o2"],
        "fleet": [],
    },
}
"""What each filter alone lets through."""


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
def test_every_filter_holds_on_every_page(archive: Archive, limit: int) -> None:
    """Any filters together find what each of them lets through; turning the pages finds all."""
    for filters in product(*(options.items() for options in FILTERS.values())):
        query = Query(
            **{name: value for name, (value, _) in zip(FILTERS, filters, strict=True)}
        )
        wanted = [
            one
            for one in FILTERS["meter"][None]
            if all(one in passed for _, passed in filters)
        ]
        receipts = Receipts(archive, query)
        assert ids(receipts) == ids(receipts) == wanted
        assert len(receipts) == len(wanted)
        shown = page(archive, query, limit=limit)
        pages = [shown]
        while shown.before is not None:
            shown = page(archive, query, limit=limit, before=shown.before)
            pages.append(shown)
        assert [len(one.accounts) for one in pages[:-1]] == [limit] * (len(pages) - 1)
        found = [one for shown in pages for one in ids(shown.accounts)]
        assert found == wanted[::-1]


def test_a_receipt_names_its_record(archive: Archive) -> None:
    """A page begins before a record, whatever was written since."""
    newest = page(archive, Query(), limit=1).accounts[0]
    assert newest.record is not None
    assert newest.record.number == 12
    archive.append(
        meter="BY1",
        transaction_id="later",
        kind=RecordKind.STOPPED,
        written_at=NOON,
        body=encode(ocmf_account("later")),
    )
    before = page(archive, Query(), limit=1, before=newest.record.number)
    assert ids(before.accounts) == ["unknown"]
    assert ids(page(archive, Query(), limit=1).accounts) == ["later"]


@pytest.mark.parametrize("body", ["{}", "[]", "no JSON", '{"public_key": 1}'])
def test_a_damaged_key_is_named_and_every_receipt_is_listed(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    """What only that key could show to be valid is not; another key still can."""
    file = sqlite3.connect(tmp_path / "receipts.db")
    file.execute("DROP TRIGGER record_is_never_changed")
    (whole,) = file.execute("SELECT body FROM record WHERE number = 13").fetchone()
    file.execute("UPDATE record SET body = ? WHERE number = 13", (body,))
    file.commit()
    file.close()
    everything = FILTERS["meter"][None]
    invalid = Query(verdict=Verdict.INVALID)
    for _ in range(2):
        assert ids(page(archive, Query(), limit=100).accounts) == everything[::-1]
        assert ids(Receipts(archive, invalid)) == ["accepted", "f1", "unknown"]
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "Receipts of BY1 are judged without one of its keys: record 13 is damaged"
    ]
    archive.append(
        meter="BY1",
        transaction_id="",
        kind=RecordKind.KEY,
        written_at=NOON,
        body=json.loads(whole),
    )
    assert ids(Receipts(archive, invalid)) == ["f1", "unknown"]


def test_a_key_makes_no_receipt_valid_that_came_after_it(archive: Archive) -> None:
    """Since then another one is trusted: whoever goes on signing with it is asked about again."""
    later, _ = with_another_key("later", "BY1")
    again, key = with_another_key("again", "BY1")
    for kind, body in (
        (RecordKind.STOPPED, encode(later)),
        (RecordKind.KEY, {"public_key": key}),
        (RecordKind.STOPPED, encode(again)),
    ):
        archive.append(
            meter="BY1", transaction_id="", kind=kind, written_at=NOON, body=body
        )
    assert ids(Receipts(archive, Query(meter="BY1", verdict=Verdict.INVALID))) == [
        "later",
        "again",
    ]


def test_a_receipt_is_found_by_the_user_it_names(archive: Archive) -> None:
    """Nobody here may have started it."""
    foreign = ocmf_account(
        request=TransactionRequest(transaction_id="foreign-1"),
        particulars=Particulars(),
    )
    assert foreign.judgement is not None
    archive.append(
        meter="1ISA0200000001",
        transaction_id="foreign-1",
        kind=RecordKind.STOPPED,
        written_at=NOON,
        body=encode(foreign),
    )
    query = Query(user=foreign.judgement.user)
    assert "foreign-1" in ids(Receipts(archive, query))


def test_a_receipt_whose_key_is_accepted_is_found_by_the_user_it_names(
    archive: Archive,
) -> None:
    """Until then it named nobody."""
    query = Query(user="0A1B2C3D")
    others = FILTERS["user"]["0A1B2C3D"]
    foreign = ocmf_account(
        "foreign-1",
        request=TransactionRequest(transaction_id="foreign-1"),
        particulars=Particulars(),
    )
    assert foreign.session.receipt is not None
    stranger = OTHER_KEY.point.hex()
    judgement = judge(foreign.session.receipt, trusted_key=stranger)
    append = partial(archive.append, meter="1ISA0200000001", written_at=NOON)
    append(
        transaction_id="foreign-1",
        kind=RecordKind.STOPPED,
        body=encode(replace(foreign, judgement=judgement)),
    )
    receipts = Receipts(archive, query)
    assert (ids(receipts), len(receipts)) == (others, 3)
    key = {"public_key": KEY.point.hex()}
    append(transaction_id="", kind=RecordKind.KEY, body=key)
    receipts = Receipts(archive, query)
    assert (ids(receipts), len(receipts)) == ([*others, "foreign-1"], 4)


def test_a_receipt_that_was_kept_without_its_charge_point_is_found(
    archive: Archive,
) -> None:
    """It was not always taken from what is signed."""
    body = encode(ocmf_account("old"))
    del body["judgement"]["charge_point_id"]
    archive.append(
        meter="old",
        transaction_id="old",
        kind=RecordKind.STOPPED,
        written_at=NOON,
        body=body,
    )
    (old,) = Receipts(archive, Query(meter="old"))
    assert old.judgement is not None
    assert (old.judgement.billable, old.judgement.charge_point_id) == (True, None)


def test_what_becomes_valid_costs_what_is_signed() -> None:
    """While its key was not trusted there was nothing to count."""
    account, key = with_another_key("T", "BY1")
    price = Price(per_kwh=Decimal("0.5"), currency="EUR")
    foreign = replace(account, session=replace(account.session, price=price))
    anew = judged_anew(foreign, [key])
    assert anew.judgement is not None
    assert anew.judgement.energy_import_wh == 23_456
    assert anew.cost == Decimal("11.73")


def test_what_becomes_valid_must_be_of_its_session() -> None:
    """It began elsewhere, so it is another's."""
    account, key = with_another_key("T", "BY1")
    start = account.session.start
    assert start is not None
    elsewhere = replace(start, energy_import_wh=Decimal(900_000))
    session = replace(account.session, start=elsewhere)
    anew = judged_anew(replace(account, session=session), [key])
    assert anew.judgement is not None
    assert anew.judgement.verdict is Verdict.VALID
    assert Objection.LIVE_REGISTER_DIFFERS in anew.judgement.objections


@pytest.mark.parametrize(
    ("identification", "objections"), [("0A1B2C3D", ()), ("ANNA", ("other_user",))]
)
def test_what_becomes_valid_must_name_who_was_to_charge(
    identification: str, objections: tuple[str, ...]
) -> None:
    """While its key was not trusted, what it says of its user counted for nothing."""
    session = ocmf_account(
        request=TransactionRequest(
            transaction_id="T", identification_data=identification
        )
    ).session
    assert session.receipt is not None
    stranger = KEY.another().subject_public_key_info.hex()
    before = Account(
        session=session, judgement=judge(session.receipt, trusted_key=stranger)
    )
    assert before.judgement is not None
    assert before.judgement.reason is Reason.KEY_CHANGED
    anew = judged_anew(before, [session.receipt.end.public_key])
    assert anew.judgement is not None
    assert anew.judgement.verdict is Verdict.VALID
    assert anew.judgement.objections == objections


def test_what_ends_meanwhile_is_in_no_part_of_an_export(archive: Archive) -> None:
    """However often they are gone through, they are those that were there at first."""
    receipts = Receipts(archive, Query())
    found = ids(receipts)
    archive.append(
        meter="BY1",
        transaction_id="later",
        kind=RecordKind.STOPPED,
        written_at=NOON,
        body=encode(ocmf_account("later")),
    )
    assert ids(receipts) == found
    assert len(receipts) == len(found)


def archive_of(path: Path, number: int) -> Archive:
    """Fill an archive with so many sessions, quickly, and without a chain."""
    Archive.open(path).close()
    bodies = [
        json.dumps(encode(account)) for account in (ocmf_account(), dct1_account())
    ]
    file = sqlite3.connect(path)
    file.executemany(
        "INSERT INTO record VALUES (NULL, 'M', ?1, 'stopped', ?2, ?3, '', ?1)",
        ((str(n), NOON.isoformat(), bodies[n % 2]) for n in range(number)),
    )
    file.commit()
    file.close()
    return Archive.open(path)


@pytest.mark.parametrize("kind", [ExportFormat.CSV, ExportFormat.SAFE_XML])
def test_an_export_takes_no_more_memory_when_there_are_many(
    tmp_path: Path, kind: ExportFormat
) -> None:
    """Only the ids of sessions that the format cannot express are kept, for the answer."""
    peaks, sizes = [], []
    for number in (300, 3000):
        archive = archive_of(tmp_path / f"{number}.db", number)
        tracemalloc.start()
        try:
            with export(
                kind, Receipts(archive, Query()), PARTIES, CREATED, tmp_path
            ).file as file:
                sizes.append(file.seek(0, os.SEEK_END))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
            archive.close()
    assert sizes[1] > 9 * sizes[0]
    assert peaks[1] - peaks[0] < 200 * 3000
