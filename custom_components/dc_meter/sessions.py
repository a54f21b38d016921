"""The life of a charging session, crash-safe, the same for every meter.

Whatever changes a session is written to the archive before anyone is told: first what is
intended, then what came of it. A process that dies at any point finds the session as it was
before or after, and ``resume`` and the next readings go on from the meter's own state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from time import monotonic
from typing import Any

from mashumaro.codecs import BasicDecoder, BasicEncoder

from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .archive import Archive, RecordKind
from .const import EVENT_FAILED, EVENT_STARTED, EVENT_STOPPED, LOGGER
from .metering.errors import (
    InvalidRequestError,
    MeterError,
    MeterUnreachableError,
    NoReceiptError,
    NoTransactionError,
    UnexpectedAnswerError,
)
from .metering.meter import (
    Capability,
    Meter,
    MeterReading,
    Snapshot,
    TransactionRequest,
)
from .metering.verdict import Judgement, judge, judge_pair

RECEIPT_PATIENCE_S = 60
"""How long a meter that shows no receipt of an ended transaction is asked for it."""


class OtherTransactionError(InvalidRequestError):
    """The transaction to stop is not the one that runs."""

    key = "other_transaction"
    message = "Transaction {asked} does not run; {running} does"


class TransactionIdUsedError(InvalidRequestError):
    """A transaction of this id is already in the archive."""

    key = "transaction_id_used"
    message = "Transaction {transaction_id} has already been used"


@dataclass(frozen=True, kw_only=True, slots=True)
class Particulars:
    """What is kept with a session for whoever asked for it; no meter sees it."""

    client_id: str = ""
    tariff_id: str = ""
    cable_id: str = ""
    user_data: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One charging session; times are Home Assistant's."""

    request: TransactionRequest
    particulars: Particulars
    asked_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    start: Snapshot | None = None
    end: Snapshot | None = None

    @property
    def transaction_id(self) -> str:
        """The id under which the session is found."""
        return self.request.transaction_id

    @property
    def energy_import_wh(self) -> Decimal | None:
        """Energy into the car over the whole session."""
        return _difference(self, lambda snapshot: snapshot.energy_import_wh)

    @property
    def energy_export_wh(self) -> Decimal | None:
        """Energy out of the car over the whole session."""
        return _difference(self, lambda snapshot: snapshot.energy_export_wh)

    def judge(self, trusted_key: str | None) -> Judgement | None:
        """Judge what the meter signed; None where it signed nothing."""
        if self.end is None or self.end.signed_value is None:
            return None
        if self.start is None or self.start.signed_value is None:
            return judge(self.end.signed_value, trusted_key=trusted_key)
        return judge_pair(
            self.start.signed_value, self.end.signed_value, trusted_key=trusted_key
        )


def _difference(
    session: Session, register: Callable[[Snapshot], Decimal | None]
) -> Decimal | None:
    if session.start is None or session.end is None:
        return None
    begin, end = register(session.start), register(session.end)
    return None if begin is None or end is None else end - begin


def _is_of(receipt: Snapshot, session: Session | None) -> bool:
    """Tell whether this receipt is the one a session was kept with."""
    if session is None or session.end is None or session.end.signed_value is None:
        return False
    return (
        receipt.signed_value is not None
        and receipt.signed_value.signed_meter_data
        == session.end.signed_value.signed_meter_data
    )


_encode = BasicEncoder(Session).encode
_decode = BasicDecoder(Session).decode


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What start and stop tell everyone: the caller, the bus, the entities."""

    kind: str
    """One of the event types of ``const``."""

    session: Session
    judgement: Judgement | None = None
    error: MeterError | None = None

    already_stopped: bool = False
    """Nothing ran; this is the receipt of the transaction before."""

    @property
    def failed(self) -> bool:
        """Whether the transaction did not begin or left no receipt."""
        return self.kind == EVENT_FAILED


class Sessions:
    """The sessions of one meter. At most one runs; calls wait for each other."""

    def __init__(
        self,
        hass: HomeAssistant,
        meter: Meter,
        archive: Archive,
        announce: Callable[[Outcome, Context | None], None],
    ) -> None:
        """Prepare; ``resume`` before use."""
        self._hass = hass
        self._meter = meter
        self._archive = archive
        self._announce = announce
        self._lock = asyncio.Lock()
        self.current: Session | None = None
        self._unresolved: Session | None = None
        """A start that was asked of the meter and whose outcome is not known."""

        self._receipt_missed_since: float | None = None

    @property
    def _serial_number(self) -> str:
        return self._meter.identity.serial_number

    async def resume(self) -> None:
        """Take up the session that the archive knows as running."""
        record = await self._hass.async_add_executor_job(
            self._archive.latest, self._serial_number
        )
        if record is None:
            return
        session = _decode(record.body)
        if record.kind is RecordKind.STARTING:
            self._unresolved = session
        elif record.kind in (RecordKind.STARTED, RecordKind.STOPPING):
            self.current = session

    def is_running(self, active: bool | None) -> bool:
        """Tell whether a transaction runs, by the meter's word where it has one."""
        return self.current is not None if active is None else active

    async def _active(self) -> bool | None:
        """Ask a meter that keeps transactions itself whether one runs."""
        if Capability.TRANSACTIONS not in self._meter.capabilities:
            return None
        return (await self._meter.read()).transaction_active

    async def start(
        self,
        request: TransactionRequest,
        particulars: Particulars,
        context: Context | None = None,
    ) -> Outcome:
        """Begin a session; one that still runs is stopped and its receipt kept first.

        Raises what ``Meter.check`` and ``Meter.begin`` raise, and ``ArchiveError``.
        """
        async with self._lock:
            await self._refuse_used_id(request.transaction_id)
            await self._meter.check(request)
            active = await self._active()
            await self._resolve(active)
            if self.is_running(active):
                await self._stop(context)
            session = Session(
                request=request, particulars=particulars, asked_at=dt_util.now()
            )
            await self._write(RecordKind.STARTING, session)
            self._unresolved = session
            try:
                snapshot = await self._meter.begin(request)
            except MeterUnreachableError, UnexpectedAnswerError:
                # Whether it began is not known; the next reading tells.
                raise
            except MeterError as err:
                await self._fail(session, err, context)
                raise
            return await self._started(session, snapshot, context)

    async def stop(
        self, transaction_id: str = "", context: Context | None = None
    ) -> Outcome:
        """End the session that runs; the receipt before when none does.

        Raises ``OtherTransactionError`` when another one runs than asked for,
        ``NoTransactionError`` when there is neither a transaction nor a receipt, what
        ``Meter.end`` raises, and ``ArchiveError``.
        """
        async with self._lock:
            active = await self._active()
            await self._resolve(active)
            if not self.is_running(active):
                return await self._before(transaction_id)
            if (
                transaction_id
                and self.current is not None
                and transaction_id != self.current.transaction_id
            ):
                raise OtherTransactionError(
                    asked=transaction_id, running=self.current.transaction_id
                )
            return await self._stop(context)

    @callback
    def needs_resolving(self, reading: MeterReading) -> bool:
        """Tell whether the archive and the meter differ on what runs."""
        if self._lock.locked():
            return False
        return self._unresolved is not None or (
            self.current is not None and reading.transaction_active is False
        )

    async def resolve(self) -> None:
        """Make the archive agree with what the meter says of its transaction."""
        async with self._lock:
            await self._resolve(await self._active())

    async def _resolve(self, active: bool | None) -> None:
        if (session := self._unresolved) is not None:
            if active:
                await self._started(session, None, None)
            else:
                await self._fail(session, None, None)
        if self.current is not None and active is False:
            await self._recover(self.current)

    async def _recover(self, session: Session) -> None:
        """Fetch the receipt of a transaction that ended without us.

        Raises ``NoReceiptError`` while the meter may still be signing it.
        """
        receipt = await self._meter.last_receipt()
        before = await self._last_stopped()
        if receipt is not None and not _is_of(receipt, before):
            self._receipt_missed_since = None
            await self._stopped(session, receipt, None)
            return
        now = monotonic()
        if self._receipt_missed_since is None:
            self._receipt_missed_since = now
        if now - self._receipt_missed_since < RECEIPT_PATIENCE_S:
            raise NoReceiptError(seconds=RECEIPT_PATIENCE_S)
        LOGGER.warning(
            "Transaction %s ended at the meter and left no receipt",
            session.transaction_id,
        )
        self._receipt_missed_since = self.current = None
        await self._fail(session, NoReceiptError(seconds=RECEIPT_PATIENCE_S), None)

    async def _stop(self, context: Context | None) -> Outcome:
        session = self.current or self._foreign()
        await self._write(RecordKind.STOPPING, session)
        self.current = session
        try:
            snapshot = await self._meter.end()
        except MeterUnreachableError, UnexpectedAnswerError:
            # Whether it ended is not known; the next reading tells.
            raise
        except MeterError as err:
            self._announce(
                Outcome(kind=EVENT_FAILED, session=session, error=err), context
            )
            raise
        return await self._stopped(session, snapshot, context)

    def _foreign(self) -> Session:
        """Return a session for a transaction that nobody here started."""
        now = dt_util.now()
        return Session(
            request=TransactionRequest(transaction_id=f"foreign-{now:%Y%m%dT%H%M%S}"),
            particulars=Particulars(),
            asked_at=now,
        )

    async def _before(self, transaction_id: str) -> Outcome:
        """Return the receipt of the transaction before: the archive's, else the meter's."""
        session = await self._last_stopped()
        if session is not None and transaction_id in ("", session.transaction_id):
            return self._stopped_outcome(session, already_stopped=True)
        if transaction_id:
            records = await self._hass.async_add_executor_job(
                self._archive.of_transaction, self._serial_number, transaction_id
            )
            if records and records[-1].kind is RecordKind.STOPPED:
                return self._stopped_outcome(
                    _decode(records[-1].body), already_stopped=True
                )
        receipt = await self._meter.last_receipt()
        if receipt is None or transaction_id:
            raise NoTransactionError
        return self._stopped_outcome(
            replace(self._foreign(), end=receipt), already_stopped=True
        )

    async def _last_stopped(self) -> Session | None:
        record = await self._hass.async_add_executor_job(
            self._archive.latest_of_kind, self._serial_number, RecordKind.STOPPED
        )
        return None if record is None else _decode(record.body)

    async def _refuse_used_id(self, transaction_id: str) -> None:
        records = await self._hass.async_add_executor_job(
            self._archive.of_transaction, self._serial_number, transaction_id
        )
        if records and records[-1].kind is not RecordKind.FAILED:
            raise TransactionIdUsedError(transaction_id=transaction_id)

    async def _started(
        self, session: Session, snapshot: Snapshot | None, context: Context | None
    ) -> Outcome:
        session = replace(session, started_at=dt_util.now(), start=snapshot)
        await self._write(RecordKind.STARTED, session)
        self.current, self._unresolved = session, None
        outcome = Outcome(kind=EVENT_STARTED, session=session)
        self._announce(outcome, context)
        return outcome

    async def _stopped(
        self, session: Session, snapshot: Snapshot, context: Context | None
    ) -> Outcome:
        session = replace(session, ended_at=dt_util.now(), end=snapshot)
        await self._write(RecordKind.STOPPED, session)
        self.current = None
        outcome = self._stopped_outcome(session)
        self._announce(outcome, context)
        return outcome

    def _stopped_outcome(
        self, session: Session, *, already_stopped: bool = False
    ) -> Outcome:
        return Outcome(
            kind=EVENT_STOPPED,
            session=session,
            judgement=session.judge(self._meter.identity.public_key),
            already_stopped=already_stopped,
        )

    async def _fail(
        self, session: Session, error: MeterError | None, context: Context | None
    ) -> None:
        await self._write(RecordKind.FAILED, session)
        self._unresolved = None
        self._announce(
            Outcome(kind=EVENT_FAILED, session=session, error=error), context
        )

    async def _write(self, kind: RecordKind, session: Session) -> None:
        await self._hass.async_add_executor_job(
            lambda: self._archive.append(
                meter=self._serial_number,
                transaction_id=session.transaction_id,
                kind=kind,
                written_at=dt_util.now(),
                body=_encode(session),
            )
        )
