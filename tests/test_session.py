"""What is known of a session: its gaps, and whose receipt can be its own."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.dc_meter.metering.meter import MeterIdentity, TransactionRequest
from custom_components.dc_meter.session import Gap, GapKind, Particulars, Session

BERLIN = ZoneInfo("Europe/Berlin")
SUMMER_ENDS = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)


def session(transaction_id: str = "T", identification_data: str = "") -> Session:
    """Return a session that was asked for."""
    return Session(
        request=TransactionRequest(
            transaction_id=transaction_id, identification_data=identification_data
        ),
        particulars=Particulars(),
        meter=MeterIdentity(manufacturer="", model="", serial_number="1"),
        asked_at=SUMMER_ENDS,
    )


def gap(begins_at: datetime) -> Gap:
    """Return a gap of ten seconds."""
    ends_at = begins_at.astimezone(UTC) + timedelta(seconds=10)
    return Gap(
        kind=GapKind.METER_UNREACHABLE,
        begins_at=begins_at,
        ends_at=ends_at.astimezone(BERLIN),
    )


@pytest.mark.parametrize(
    ("second", "number"),
    [
        (SUMMER_ENDS + timedelta(seconds=30), 1),
        (SUMMER_ENDS + timedelta(minutes=2), 2),
        (SUMMER_ENDS.replace(minute=20, fold=1), 2),
    ],
    ids=["within a minute", "later", "later, by a clock that was put back"],
)
def test_gaps_near_each_other_are_one(second: datetime, number: int) -> None:
    """Also in the night in which summer time ends."""
    assert len(session().with_gaps([gap(SUMMER_ENDS), gap(second)]).gaps) == number


def test_a_gap_does_not_end_before_it_begins_when_a_clock_was_set_back() -> None:
    """What went on after it is not known to be later."""
    first, second = gap(SUMMER_ENDS), gap(SUMMER_ENDS - timedelta(minutes=40))
    assert session().with_gaps([first, second]).gaps == (first,)


def test_a_gap_goes_on_while_clocks_are_put_back() -> None:
    """The hour comes twice, and the second time is the later."""
    first = gap(SUMMER_ENDS.replace(hour=2, minute=59, second=45))
    second = gap(SUMMER_ENDS.replace(hour=2, minute=0, second=10, fold=1))
    (one,) = session().with_gaps([first, second]).gaps
    assert one.ends_at is second.ends_at


@pytest.mark.parametrize(
    ("one", "signed_user", "can_be"),
    [
        (session(identification_data="ANNA"), "ANNA", True),
        (session(identification_data="ANNA"), "BOB", False),
        (session(identification_data="12"), "1", False),
        (session(identification_data="ANNA"), "T", False),
        (session(identification_data="ANNA"), None, True),
        (session(), "T", True),
        (session(), "U", False),
        (session("foreign-20261025T023000.0"), "BOB", True),
        (session(identification_data="A" * 99), "A" * 40, True),
        (session(identification_data="A" * 99), "A" * 20, False),
        (session(identification_data="A" * 99), "A" * 39 + "B", False),
    ],
)
def test_a_receipt_can_be_of_the_session_whose_user_it_names(
    one: Session, signed_user: str | None, can_be: bool
) -> None:
    """Or of any when it names nobody; what a meter had no room for was cut."""
    assert one.can_be_of(signed_user) is can_be
