"""What every export says of a session: what is signed first, then what was read beside it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Context, Decimal
from enum import StrEnum
from itertools import batched, chain
from typing import Protocol

from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.verdict import Judgement
from custom_components.dc_meter.session import Account, Price

_EXACT = Context(prec=64)
"""More digits than any register can have."""

_TO_THE_WH = Decimal("0.000")


class TimeSource(StrEnum):
    """By whose clock begin and end are told."""

    SIGNED = "signed"
    METER = "meter"
    """The meter's clock, not signed."""

    HOME_ASSISTANT = "home_assistant"


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """One register over a session, in Wh; None is not known."""

    begin_wh: Decimal | None
    end_wh: Decimal | None
    energy_wh: Decimal | None
    signed: bool
    """Whether the energy is proved by a valid signature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One session. Import is into the car, whichever way round the meter is installed."""

    account: Account
    begins_at: datetime | None
    ends_at: datetime | None
    time_source: TimeSource
    imported: Register
    exported: Register
    user: str
    tariff_text: str
    charge_point_id: str

    @classmethod
    def of(cls, account: Account) -> Entry:
        """Tell what is known of a session."""
        imported, exported = _registers(account)
        begins_at, ends_at, source = _times(account)
        return cls(
            account=account,
            begins_at=begins_at,
            ends_at=ends_at,
            time_source=source,
            imported=imported,
            exported=exported,
            user=account.user,
            tariff_text=account.tariff_text,
            charge_point_id=account.charge_point_id,
        )

    @property
    def transaction_id(self) -> str:
        """The id under which the session is found."""
        return self.account.session.transaction_id

    @property
    def judgement(self) -> Judgement | None:
        """What was found of the receipt; None where nothing was signed."""
        return self.account.judgement

    @property
    def price(self) -> Price | None:
        """What a kilowatt-hour cost."""
        return self.account.session.price

    @property
    def billable(self) -> bool:
        """Whether it is proved and nothing speaks against billing it."""
        return self.judgement is not None and self.judgement.billable

    @property
    def signed_values(self) -> tuple[SignedMeterValue, ...]:
        """What the meter signed, the begin first."""
        snapshots = (self.account.session.start, self.account.session.end)
        return tuple(
            snapshot.signed_value
            for snapshot in snapshots
            if snapshot is not None and snapshot.signed_value is not None
        )


def _times(account: Account) -> tuple[datetime | None, datetime | None, TimeSource]:
    """Return the times of the first clock that knows both."""
    session, judged = account.session, account.judgement
    if judged and judged.begins_at and judged.ends_at:
        return judged.begins_at, judged.ends_at, TimeSource.SIGNED
    if session.meter_started_at and session.meter_ended_at:
        return session.meter_started_at, session.meter_ended_at, TimeSource.METER
    return session.started_at, session.ended_at, TimeSource.HOME_ASSISTANT


def _registers(account: Account) -> list[Register]:
    """Return import and export, each as signed, or else as it was read.

    A reversed installation signs them the other way round.
    """
    session, judged = account.session, account.judgement
    reversed_ = session.end is not None and session.end.reversed
    start = session.start and session.start.turned(reversed_=reversed_)
    read = _side_by_side(start, session.end, session)
    signed = (
        _side_by_side(judged.begin, judged.end, judged)
        if judged
        else _side_by_side(None, None, None)
    )
    if reversed_:
        signed.reverse()
    return [_register(*ways) for ways in zip(signed, read, strict=True)]


def _register(proved: list[Decimal | None], read: list[Decimal | None]) -> Register:
    signed = proved[-1] is not None
    begin, end, energy = proved if signed else read
    return Register(begin_wh=begin, end_wh=end, energy_wh=energy, signed=signed)


class _Energies(Protocol):
    @property
    def energy_import_wh(self) -> Decimal | None: ...
    @property
    def energy_export_wh(self) -> Decimal | None: ...


def _side_by_side(*sources: _Energies | None) -> list[list[Decimal | None]]:
    """Return the import of each source, and the export of each."""
    return [
        [None if one is None else one.energy_import_wh for one in sources],
        [None if one is None else one.energy_export_wh for one in sources],
    ]


def a_few_at_a_time(accounts: Iterable[Account]) -> Iterator[Account]:
    """Yield accounts, of which some are read before the first of them is written.

    To change from reading to writing and back for each one takes a tenth longer (measured).
    """
    return chain.from_iterable(batched(accounts, 20))


def local(moment: datetime, time_zone: tzinfo) -> datetime:
    """Return a moment in a time zone, or as it is where the calendar ends before.

    What a meter signs may be the first hour of the year 1 or the last of 9999.
    """
    try:
        return moment.astimezone(time_zone)
    except OverflowError:
        return moment


def kwh(energy_wh: Decimal) -> Decimal:
    """Return exact kilowatt-hours, written to the Wh or finer."""
    return _EXACT.add(_EXACT.scaleb(energy_wh, -3), _TO_THE_WH)
