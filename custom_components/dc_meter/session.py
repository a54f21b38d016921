"""A charging session: what is known of it, and what is kept of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from mashumaro import field_options
from mashumaro.codecs import BasicEncoder
from mashumaro.codecs.orjson import ORJSONDecoder

from .archive import DamagedRecordError, Link, Record
from .metering.meter import MeterIdentity, Snapshot, TransactionRequest
from .metering.verdict import Covered, Judgement, Objection, Receipt
from .plausible import most_wh

FOREIGN = "foreign-"
"""What the id of a transaction that nobody here started begins with."""

_NEVER_CUT = 36
"""Characters of an identification that a receipt has room for: those of a UUID. How many more
an IEM-DCR signs is not documented."""

FLICKER = timedelta(minutes=1)
"""Gaps of one kind that are no further apart are one."""


class GapKind(StrEnum):
    """Why a part of a session is not vouched for by Home Assistant."""

    METER_UNREACHABLE = "meter_unreachable"
    CLOCK_UNSYNCHRONIZED = "clock_unsynchronized"

    NOT_WATCHED = "not_watched"
    """Home Assistant or the entry was not running."""


class StartWarning(StrEnum):
    """What may make a receipt worth less, or no bill of it, known before the transaction begins."""

    CLOCK_UNSYNCHRONIZED = "clock_unsynchronized"
    CHARGE_POINT_FROZEN = "charge_point_frozen"
    IDENTIFICATION_LEVEL = "identification_level"
    KEY_CHANGED = "key_changed"
    PRICE_UNKNOWN = "price_unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A time within a session."""

    kind: GapKind
    begins_at: datetime
    ends_at: datetime

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON-serializable data."""
        return {
            "kind": self.kind,
            "begins_at": self.begins_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What a kilowatt-hour costs."""

    per_kwh: Decimal
    currency: str

    def cost(self, energy_wh: Decimal) -> Decimal:
        """Return the cost of an energy, rounded half up to hundredths."""
        return (self.per_kwh * energy_wh / 1000).quantize(
            Decimal("0.01"), ROUND_HALF_UP
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Particulars:
    """What is kept with a session for whoever asked for it; no meter sees it."""

    client_id: str = ""
    tariff_id: str = ""
    cable_id: str = ""
    user_data: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One charging session.

    ``asked_at``, ``started_at`` and ``ended_at`` are Home Assistant's time, the others the
    meter's own; both carry the offset in force.
    """

    request: TransactionRequest
    particulars: Particulars
    meter: MeterIdentity
    """As it was when the session began."""

    asked_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    meter_started_at: datetime | None = None
    meter_ended_at: datetime | None = None
    start: Snapshot | None = None
    end: Snapshot | None = None
    price: Price | None = None
    gaps: tuple[Gap, ...] = ()
    warnings: tuple[StartWarning, ...] = ()
    held_before: str | None = None
    """Digest of the receipt the meter held before this session; never this one's."""

    @property
    def transaction_id(self) -> str:
        """The id under which the session is found."""
        return self.request.transaction_id

    @property
    def energy_import_wh(self) -> Decimal | None:
        """Energy into the car over the whole session, by the registers at both ends."""
        return self._difference(lambda snapshot: snapshot.energy_import_wh)

    @property
    def energy_export_wh(self) -> Decimal | None:
        """Energy out of the car over the whole session, by the registers at both ends."""
        return self._difference(lambda snapshot: snapshot.energy_export_wh)

    @property
    def receipt(self) -> Receipt | None:
        """What proves the session; None where the meter signed nothing."""
        if self.end is None or self.end.signed_value is None:
            return None
        return Receipt(
            begin=None if self.start is None else self.start.signed_value,
            end=self.end.signed_value,
        )

    def is_of(self, users: Iterable[str]) -> bool:
        """Tell whether it is one of these users', by identification or client id."""
        return not {
            self.request.identification_data,
            self.particulars.client_id,
        }.isdisjoint(users)

    def can_be_of(self, signed_user: str | None) -> bool:
        """Tell whether a receipt that names this user can be the session's.

        One that names nobody can; of one that nobody here started it is not known whose it is.
        """
        if not signed_user or self.transaction_id.startswith(FOREIGN):
            return True
        # Who is not identified is named by the transaction.
        asked = self.request.identification_data or self.transaction_id
        return _names(signed_user, asked)

    def with_gaps(self, gaps: Iterable[Gap]) -> Session:
        """Return the session with these gaps too; flickering makes one gap, not many."""
        kept = list(self.gaps)
        for gap in gaps:
            same = [index for index, one in enumerate(kept) if one.kind is gap.kind]
            if same and _utc(gap.begins_at) - kept[same[-1]].ends_at < FLICKER:
                # A clock that was wrong and set back lets the later gap end before.
                before = kept[same[-1]]
                ends_at = max(before.ends_at, gap.ends_at, key=_utc)
                kept[same[-1]] = replace(before, ends_at=ends_at)
            else:
                kept.append(gap)
        return replace(self, gaps=tuple(kept))

    def _difference(
        self, register: Callable[[Snapshot], Decimal | None]
    ) -> Decimal | None:
        if self.start is None or self.end is None:
            return None
        start = self.start.turned(reversed_=self.end.reversed)
        begin, end = register(start), register(self.end)
        return None if begin is None or end is None else end - begin


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A session with what was found of it when it ended: what the archive keeps."""

    session: Session
    judgement: Judgement | None = None
    cost: Decimal | None = None
    """In the currency of the session's price; from signed energy where there is some."""

    record: Link | None = field(default=None, metadata=field_options(serialize="omit"))
    """Where the archive keeps it; None until it does."""

    @property
    def user(self) -> str:
        """Who charged, by what is signed or else was asked for; empty when nobody was named."""
        if self._names_nobody:
            return ""
        signed = None if self.judgement is None else self.judgement.user
        return signed or self.session.request.identification_data

    @property
    def tariff_text(self) -> str:
        """The tariff text that is signed, or else was asked for."""
        signed = None if self.judgement is None else self.judgement.tariff_text
        return signed or self.session.request.tariff_text

    @property
    def charge_point_id(self) -> str:
        """The charge point by what is signed or else was asked for; empty when neither says."""
        signed = None if self.judgement is None else self.judgement.charge_point_id
        return signed or self.session.request.evse_id

    @property
    def covers(self) -> tuple[Covered, ...]:
        """What the signatures speak for."""
        if self.judgement is None:
            return ()
        covers = self.judgement.covers
        if self._names_nobody:
            return tuple(one for one in covers if one is not Covered.USER)
        return covers

    @property
    def _names_nobody(self) -> bool:
        """Whether the id of the transaction was signed in the place of a user."""
        request = self.session.request
        signed = None if self.judgement is None else self.judgement.user
        return (
            bool(signed and _names(signed, request.transaction_id))
            and not request.identification_data
        )

    def with_objection(self, objection: Objection) -> Account:
        """Return the account with one more reason not to bill it."""
        if self.judgement is None or objection in self.judgement.objections:
            return self
        objections = (*self.judgement.objections, objection)
        return replace(self, judgement=replace(self.judgement, objections=objections))


def _utc(moment: datetime) -> datetime:
    """Return what can be compared: within a zone Python does not see that it was put back."""
    return moment.astimezone(UTC)


def _names(signed_user: str, asked: str) -> bool:
    """Tell whether what was asked for was signed, whole or as much of it as there is room for."""
    if len(signed_user) >= _NEVER_CUT:
        return asked.startswith(signed_user)
    return asked == signed_user


def judged(session: Session, judgement: Judgement | None) -> Account:
    """Return a session's account: what it costs by what is signed, and whether that can be its own.

    A receipt that begins further from where the session did than can have flowed is of another,
    and so is one that names another user.
    """
    energy = session.energy_import_wh
    signed = None if judgement is None else _signed_wh(session, judgement)
    account = Account(session=session, judgement=judgement)
    if energy is not None and signed is not None and abs(energy - signed) > most_wh(0):
        account = account.with_objection(Objection.LIVE_REGISTER_DIFFERS)
    if judgement is not None and not session.can_be_of(judgement.user):
        account = account.with_objection(Objection.OTHER_USER)
    if signed is not None:
        energy = signed
    if session.price is None or energy is None:
        return account
    return replace(account, cost=session.price.cost(energy))


def _signed_wh(session: Session, judgement: Judgement) -> Decimal | None:
    """Return the signed energy into the car: what a reversed installation has signed as export."""
    if session.end is not None and session.end.reversed:
        return judgement.energy_export_wh
    return judgement.energy_import_wh


_encoder = BasicEncoder(Account)
_decoder = ORJSONDecoder(Account)


def encode(account: Account) -> dict[str, Any]:
    """Return an account as JSON-serializable data that ``decode`` reads back exactly."""
    encoded: dict[str, Any] = _encoder.encode(account)
    return encoded


def decode(record: Record) -> Account:
    """Read an account that ``encode`` wrote out of the record that keeps it.

    Raises ``DamagedRecordError``.
    """
    try:
        account = _decoder.decode(record.text)
    except (AttributeError, LookupError, TypeError, ValueError) as err:
        raise DamagedRecordError(record.link.number) from err
    return Account(
        session=account.session,
        judgement=account.judgement,
        cost=account.cost,
        record=record.link,
    )
