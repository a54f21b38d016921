"""What is known of a session: its gaps."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.dc_meter.metering.meter import MeterIdentity, TransactionRequest
from custom_components.dc_meter.session import Gap, GapKind, Particulars, Session

BERLIN = ZoneInfo("Europe/Berlin")
SUMMER_ENDS = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)


def gap(begins_at: datetime) -> Gap:
    """Return a gap of ten seconds."""
    return Gap(
        kind=GapKind.METER_UNREACHABLE,
        begins_at=begins_at,
        ends_at=begins_at + timedelta(seconds=10),
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
    session = Session(
        request=TransactionRequest(transaction_id="T"),
        particulars=Particulars(),
        meter=MeterIdentity(manufacturer="", model="", serial_number="1"),
        asked_at=SUMMER_ENDS,
    )
    assert len(session.with_gaps([gap(SUMMER_ENDS), gap(second)]).gaps) == number
