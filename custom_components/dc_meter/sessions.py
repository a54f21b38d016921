"""The life of a charging session, crash-safe, the same for every meter.

Whatever changes a session is written to the archive before anyone is told: first what is
intended, then what came of it. A process that dies at any point finds the session as it was
before or after, and ``resume`` and the next readings go on from the meter's own state.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .archive import ArchiveError, RecordKind
from .const import DOMAIN, EVENT_FAILED, EVENT_STARTED, EVENT_STOPPED, LOGGER
from .gaps import OpenGaps
from .held import RECEIPT_PATIENCE_S, HeldReceipt
from .ledger import Ledger
from .metering.errors import (
    MeterError,
    MeterUnreachableError,
    NoReceiptError,
    NoTransactionError,
    UnexpectedAnswerError,
    WrongMeterError,
)
from .metering.meter import (
    Capability,
    ClockState,
    IdentificationLevel,
    Meter,
    MeterReading,
    Notice,
    Snapshot,
    TransactionRequest,
)
from .metering.uptime import uptime_s
from .metering.verdict import Objection
from .outcome import (
    NoLongerSoError,
    NotLoadedError,
    OtherTransactionError,
    Outcome,
    TransactionIdReservedError,
    TransactionIdUsedError,
    UnknownTransactionError,
)
from .plausible import most_wh
from .session import (
    FOREIGN,
    Account,
    Gap,
    GapKind,
    Particulars,
    Price,
    Session,
    StartWarning,
    decode,
)
from .trust import Trust

_LOCKS: HassKey[WeakValueDictionary[str, asyncio.Lock]] = HassKey(
    f"{DOMAIN}_session_locks"
)
_RUNNING = {
    RecordKind.STARTED,
    RecordKind.GAP,
    RecordKind.PAUSED,
    RecordKind.STOPPING,
}

_REJECTED_LEVELS = {
    IdentificationLevel.MISMATCH,
    IdentificationLevel.INVALID,
    IdentificationLevel.OUTDATED,
    IdentificationLevel.UNKNOWN,
}
"""With these no verifier bills a receipt (OCMF 1.4)."""


class Sessions:
    """The sessions of one meter. At most one runs; calls wait for each other."""

    def __init__(
        self,
        hass: HomeAssistant,
        meter: Meter,
        *,
        ledger: Ledger,
        trust: Trust,
        price: Callable[[], Price | None],
        price_unseen: Callable[[], Price | None],
        is_priced: Callable[[], bool],
        announce: Callable[[Outcome, Context | None], None],
    ) -> None:
        """Prepare; ``resume`` before use.

        ``price`` is that of a session which begins now, ``price_unseen`` that of one which
        nobody saw begin; ``is_priced`` tells whether there is to be one.
        """
        self._hass = hass
        self._meter = meter
        self._ledger = ledger
        self._trust = trust
        self._price = price
        self._price_unseen = price_unseen
        self._is_priced = is_priced
        self._announce = announce
        self._lock = _lock_of(hass, meter.identity.serial_number)
        self.current: Session | None = None
        self._unresolved: Session | None = None
        """A start that was asked of the meter and whose outcome is not known."""

        self._foreign_seen = False
        """A transaction that nobody here started was seen to run."""

        self._held = HeldReceipt(meter, ledger)
        self._gaps = OpenGaps()
        self._is_closed = False

        self._asked_to_stop = ""
        """The transaction whose end is already noted as intended."""

        self.ending: Callable[[], None] = lambda: None
        """Called while the session that ends can still be seen, to show the last of it."""

        self._last_reading: MeterReading | None = None
        self._last_reading_at = 0.0

    @property
    def written(self) -> int:
        """How many records were written of what begins and ends here."""
        return self._ledger.written

    async def resume(self) -> None:
        """Take up the session that the archive knows as running."""
        async with self._lock:
            await self._resume()

    async def _resume(self) -> None:
        record = await self._ledger.latest()
        if record is None:
            return
        if record.kind is RecordKind.STARTING:
            self._unresolved = decode(record).session
            self._gaps.begin(GapKind.NOT_WATCHED, record.written_at)
        elif record.kind in _RUNNING:
            self.current = decode(record).session
            self._gaps.begin(GapKind.NOT_WATCHED, record.written_at)
            if record.kind is RecordKind.STOPPING:
                self._asked_to_stop = self.current.transaction_id

    @callback
    def was_watched(self, *, until: datetime) -> None:
        """Begin the gap that ``resume`` found no earlier than here: no crash leaves a record."""
        self._gaps.was_watched(until)

    async def close(self) -> None:
        """Refuse everything from now on, also what already waits, and note it like ``pause``."""
        self._is_closed = True
        await self.pause()

    async def pause(self) -> None:
        """Note until when a running session was watched, and what of that was a gap."""
        # A session that is being stopped is paused no more: its end is the last word on it.
        async with self._lock:
            if self.current is None:
                return
            session = self.current.with_gaps(self._gaps.so_far(dt_util.now()))
            try:
                await self._ledger.write(RecordKind.PAUSED, Account(session=session))
            except ArchiveError as err:
                LOGGER.warning("The end of watching could not be noted: %s", err)

    def is_running(self, active: bool | None) -> bool:
        """Tell whether a transaction runs, by the meter's word where it has one."""
        return self.current is not None if active is None else active

    async def _active(self) -> bool | None:
        """Ask a meter that keeps transactions itself whether one runs."""
        if Capability.TRANSACTIONS not in self._meter.capabilities:
            return None
        reading = await self._meter.read()
        self._take(reading)
        return reading.transaction_active

    def _take(self, reading: MeterReading) -> None:
        self._last_reading, self._last_reading_at = reading, uptime_s()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait for what else is under way. Raises ``NotLoadedError`` when it is too late then."""
        async with self._lock:
            if self._is_closed:
                raise NotLoadedError
            yield

    async def _to_the_end[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Carry work to its end, also when whoever asked for it no longer waits."""
        task = self._hass.async_create_task(
            work, f"session of {self._meter.identity.serial_number}"
        )
        task.add_done_callback(_observe)
        return await asyncio.shield(task)

    async def start(
        self,
        request: TransactionRequest,
        particulars: Particulars,
        context: Context | None = None,
        *,
        unless_running: bool = False,
    ) -> Outcome | None:
        """Begin a session; one that still runs is stopped and its receipt kept first.

        ``unless_running`` leaves that one alone and returns None. Raises what
        ``Meter.check`` and ``Meter.begin`` raise, ``NotLoadedError`` and ``ArchiveError``.
        """
        return await self._to_the_end(
            self._start(request, particulars, context, unless_running=unless_running)
        )

    async def _start(
        self,
        request: TransactionRequest,
        particulars: Particulars,
        context: Context | None,
        *,
        unless_running: bool,
    ) -> Outcome | None:
        async with self._alone():
            active = await self._active()
            await self._resolve(active)
            running = self.is_running(active)
            if running and unless_running:
                return None
            await self._refuse_id(request.transaction_id)
            await self._meter.check(request)
            if running:
                await self._stop_running(context)
                await self._active()
            await self._look_at_held()
            price = self._price()
            session = Session(
                request=request,
                particulars=particulars,
                meter=self._meter.identity,
                asked_at=dt_util.now(),
                price=price,
                warnings=self._warnings(request, price),
                held_before=self._held.digest,
            )
            await self._ledger.write(RecordKind.STARTING, Account(session=session))
            self._unresolved = session
            try:
                snapshot = await self._meter.begin(request)
            except MeterUnreachableError, UnexpectedAnswerError:
                # Whether it began is not known; the next reading tells.
                raise
            except MeterError as err:
                await self._not_begun(session, err, context)
                raise
            return await self._started(session, snapshot, context)

    async def stop(
        self, transaction_id: str = "", context: Context | None = None
    ) -> Outcome:
        """End the session that runs; the receipt before when none does.

        Raises ``OtherTransactionError`` when another one runs than asked for,
        ``UnknownTransactionError`` when that one has left no receipt either,
        ``NoTransactionError`` when there is neither a transaction nor a receipt, what
        ``Meter.end`` raises, and ``ArchiveError``.
        """
        return await self._to_the_end(self._stop(transaction_id, context))

    async def _stop(self, transaction_id: str, context: Context | None) -> Outcome:
        async with self._alone():
            active = await self._active()
            await self._resolve(active)
            if not self.is_running(active):
                return await self._before(transaction_id, context)
            running = "" if self.current is None else self.current.transaction_id
            if transaction_id and transaction_id != running:
                raise OtherTransactionError(
                    asked=transaction_id, running=running or "?"
                )
            return await self._stop_running(context)

    async def running(self) -> tuple[bool, Session | None]:
        """Tell whether a transaction runs, by the meter's word where it has one, and which.

        None for one that nobody here started. Raises what ``Meter.read`` raises.
        """
        async with self._lock:
            running = self.is_running(await self._active())
            return running, self.current if running else None

    async def adopt(self) -> Outcome:
        """Take over a transaction that nobody here started.

        Raises ``NoLongerSoError`` when none runs, what ``Meter.read`` raises, and
        ``ArchiveError``.
        """
        return await self._to_the_end(self._adopt())

    async def _adopt(self) -> Outcome:
        async with self._alone():
            await self._expect_foreign()
            session = self._foreign()
            account = await self._ledger.write(
                RecordKind.STARTED, Account(session=session)
            )
            self.current = session
            self._foreign_seen = False
            outcome = Outcome(kind=EVENT_STARTED, account=account)
            self._announce(outcome, None)
            return outcome

    async def end_foreign(self) -> Outcome:
        """End a transaction that nobody here started, and keep its receipt.

        Raises ``NoLongerSoError`` when none runs, what ``Meter.end`` raises, and
        ``ArchiveError``.
        """
        return await self._to_the_end(self._end_foreign())

    async def _end_foreign(self) -> Outcome:
        async with self._alone():
            await self._expect_foreign()
            return await self._stop_running(None)

    async def _expect_foreign(self) -> None:
        if not await self._active() or self.current or self._unresolved:
            raise NoLongerSoError

    async def quiet(self) -> None:
        """Wait until nothing is being started or stopped."""
        async with self._lock:
            pass

    @callback
    def is_foreign(self, reading: MeterReading) -> bool:
        """Tell whether a transaction runs that nobody here started."""
        return bool(
            reading.transaction_active
            and self.current is None
            and self._unresolved is None
            and not self._lock.locked()
        )

    @callback
    def heard(self, reading: MeterReading, written: int) -> bool:
        """Take note of a reading; tell whether there is something to ``settle``.

        ``written`` is what it was when the reading was asked for.
        """
        if self._lock.locked() or written != self.written:
            # Start and stop go by what they read themselves, believed or not. What was asked
            # for before their end may be of the time before.
            return False
        self._take(reading)
        if reading.transaction_active:
            self._held.wait_anew()
        if self.current is None:
            if reading.transaction_active and self._unresolved is None:
                self._foreign_seen = True
            return self._unresolved is not None or (
                reading.transaction_active is False
                and (self._foreign_seen or not self._held.is_known)
            )
        if reading.clock_state is ClockState.UNSYNCHRONIZED:
            self._gaps.begin(GapKind.CLOCK_UNSYNCHRONIZED, dt_util.now())
        return reading.transaction_active is False or bool(self._gaps.ended_by(reading))

    @callback
    def lost(self) -> None:
        """Take note that the meter does not answer."""
        self._held.meter_was_away()
        if self.current is not None:
            self._gaps.begin(GapKind.METER_UNREACHABLE, dt_util.now())

    async def settle(self, reading: MeterReading) -> None:
        """Make the archive agree with the meter, now that it was heard."""
        await self._to_the_end(self._settle(reading))

    async def _settle(self, reading: MeterReading) -> None:
        async with self._alone():
            await self._keep_gaps(self._gaps.ended_by(reading))
            await self._resolve(await self._active())

    async def _keep_gaps(self, gaps: tuple[Gap, ...]) -> None:
        if self.current is None or not gaps:
            return
        session = self.current.with_gaps(gaps)
        await self._ledger.write(RecordKind.GAP, Account(session=session))
        self.current = session
        self._gaps.end(gaps)

    async def _resolve(self, active: bool | None) -> None:
        if (session := self._unresolved) is not None:
            if active:
                await self._started(session, None, None)
            else:
                await self._not_begun(session, None, None)
        if self.current is not None and active is False:
            await self._recover(self.current)
        elif self._foreign_seen and active is False:
            await self._keep_foreign()
        elif active is False and not self._held.is_known:
            # One that cannot say is not asked each second.
            self._held.looked()
            await self._look_at_held()

    async def _look_at_held(self) -> None:
        """Note which receipt the meter holds; keep it if its transaction came and went unseen.

        The next takes its place.
        """
        held = await self._held.ask()
        if held is not None and await self._held.is_unseen(held):
            await self._stopped(self._foreign(), held, None)
            self._held.stop_looking()
        self._held.note(held)
        self._held.looked()

    async def _not_begun(
        self, session: Session, error: MeterError | None, context: Context | None
    ) -> None:
        """Fail a start, unless it came about unseen and a loss of supply has ended it."""
        receipt = await self._held.ask(may_be_ours=error is None)
        if receipt is None or await self._held.is_earlier(session, receipt):
            await self._fail(session, error, context)
            return
        if not self._held.is_named_in(session, receipt):
            await self._fail_for_another(session, error, receipt, context)
            return
        await self._started(session, None, context)
        await self._recover(self.current or session)

    async def _keep_foreign(self) -> None:
        """Keep the receipt of a transaction that began and ended without us.

        Raises ``NoReceiptError`` while the meter may still be signing it.
        """
        session = self._foreign()
        if (receipt := await self._held.of_ended(session)) is None:
            self._foreign_seen = False
            return
        # What was not known may be shown until this one's is signed.
        may_be_earlier = not self._held.can_be_told
        await self._stopped(session, receipt, None)
        self._held.look_again(for_another=may_be_earlier)

    async def _recover(self, session: Session) -> None:
        """Fetch the receipt of a transaction that ended without us.

        Raises ``NoReceiptError`` while the meter may still be signing it.
        """
        none_left = NoReceiptError(seconds=RECEIPT_PATIENCE_S)
        if (receipt := await self._held.of_ended(session)) is None:
            LOGGER.warning(
                "Transaction %s ended at the meter and left no receipt",
                session.transaction_id,
            )
            await self._fail(session, none_left, None)
        elif self._held.is_named_in(session, receipt):
            await self._stopped(session, receipt, None)
        else:
            await self._fail_for_another(session, none_left, receipt, None)

    async def _fail_for_another(
        self,
        session: Session,
        error: MeterError | None,
        receipt: Snapshot,
        context: Context | None,
    ) -> None:
        """Fail a session that left no receipt, and keep that of another that has run since.

        It comes second, for the meter has it until the next.
        """
        foreign = self._foreign().with_gaps(self._gaps.so_far(dt_util.now()))
        await self._fail(session, error, context)
        self._foreign_seen = True
        await self._stopped(foreign, receipt, None)

    async def _stop_running(self, context: Context | None) -> Outcome:
        """End what runs; a refusal and a lost answer leave it as the meter has it."""
        if (session := self.current) is None:
            return await self._stop_foreign(context)
        if self._asked_to_stop != session.transaction_id:
            await self._note_stopping(session)
        return await self._stopped(session, await self._end(session), context)

    async def _end(self, session: Session) -> Snapshot:
        """End what runs. Raises what ``Meter.end`` does, and while an earlier receipt is shown."""
        snapshot = await self._meter.end()
        keeps_receipts = Capability.TRANSACTIONS in self._meter.capabilities
        if keeps_receipts and await self._held.is_earlier(session, snapshot):
            raise NoReceiptError(seconds=RECEIPT_PATIENCE_S)
        self._held.stop_looking()
        return snapshot

    async def _stop_foreign(self, context: Context | None) -> Outcome:
        """End a transaction that nobody here started; one that cannot be ended stays theirs."""
        self._foreign_seen = True
        session = self._foreign()
        try:
            snapshot = await self._end(session)
        except NoReceiptError:
            # It has ended: what is left to do is ours.
            await self._note_stopping(session)
            self.current = session
            raise
        return await self._stopped(session, snapshot, context)

    async def _note_stopping(self, session: Session) -> None:
        await self._ledger.write(RecordKind.STOPPING, Account(session=session))
        self._asked_to_stop = session.transaction_id

    def _foreign(self) -> Session:
        """Return a session for a transaction that nobody here started."""
        now = dt_util.now()
        return Session(
            request=TransactionRequest(
                transaction_id=f"{FOREIGN}{now:%Y%m%dT%H%M%S.%f}"
            ),
            particulars=Particulars(),
            meter=self._meter.identity,
            asked_at=now,
            price=self._price_unseen(),
            held_before=self._held.digest,
        )

    def _warnings(
        self, request: TransactionRequest, price: Price | None
    ) -> tuple[StartWarning, ...]:
        """Return what may make the receipt worth less."""
        reading = self._last_reading
        found = {
            StartWarning.CLOCK_UNSYNCHRONIZED: reading is not None
            and reading.clock_state is ClockState.UNSYNCHRONIZED,
            StartWarning.CHARGE_POINT_FROZEN: Notice.CHARGE_POINT_FROZEN
            in self._meter.notices(),
            StartWarning.IDENTIFICATION_LEVEL: request.identification_level
            in _REJECTED_LEVELS,
            StartWarning.KEY_CHANGED: self._trust.is_broken_by(self._meter.identity),
            StartWarning.PRICE_UNKNOWN: price is None and self._is_priced(),
        }
        return tuple(warning for warning, holds in found.items() if holds)

    async def _before(self, transaction_id: str, context: Context | None) -> Outcome:
        """Return the receipt asked for, or that of the transaction before.

        A receipt that the meter holds and the archive does not know is kept first.
        """
        if transaction_id:
            records = await self._ledger.of_transaction(transaction_id)
            if not records or records[-1].kind is not RecordKind.STOPPED:
                raise UnknownTransactionError(transaction_id=transaction_id)
            return self._already_stopped(decode(records[-1]))
        last = await self._ledger.last_stopped()
        receipt = await self._held.ask()
        if receipt is not None and not await self._ledger.keeps(receipt):
            outcome = await self._stopped(self._foreign(), receipt, context)
            return replace(outcome, already_stopped=True)
        if last is None:
            raise NoTransactionError
        return self._already_stopped(last)

    async def _refuse_id(self, transaction_id: str) -> None:
        """Raise for an id that was used, and for one that is taken for somebody else's."""
        if transaction_id.startswith(FOREIGN):
            raise TransactionIdReservedError(transaction_id=transaction_id)
        records = await self._ledger.of_transaction(transaction_id)
        if any(
            record.kind not in (RecordKind.STARTING, RecordKind.FAILED)
            for record in records
        ):
            raise TransactionIdUsedError(transaction_id=transaction_id)

    async def _started(
        self, session: Session, snapshot: Snapshot | None, context: Context | None
    ) -> Outcome:
        """Keep a session as begun; ``snapshot`` is None where that was learnt afterwards."""
        session = replace(
            session,
            started_at=dt_util.now() if snapshot else session.asked_at,
            meter_started_at=self._meter_time if snapshot else None,
            start=snapshot,
        )
        account = await self._ledger.write(RecordKind.STARTED, Account(session=session))
        self.current, self._unresolved = session, None
        self._held.wait_anew()
        if snapshot is not None:
            self._gaps.clear()
        elif not self._gaps:
            self._gaps.begin(GapKind.METER_UNREACHABLE, session.asked_at)
        outcome = Outcome(kind=EVENT_STARTED, account=account)
        self._announce(outcome, context)
        return outcome

    async def _stopped(
        self, session: Session, snapshot: Snapshot, context: Context | None
    ) -> Outcome:
        now = dt_util.now()
        session = replace(
            session.with_gaps(self._gaps.so_far(now)),
            ended_at=now,
            meter_ended_at=self._meter_time,
            end=snapshot,
        )
        account = self._ledger.account(session)
        if self._differs_live(session):
            account = account.with_objection(Objection.LIVE_REGISTER_DIFFERS)
        account = await self._ledger.write(RecordKind.STOPPED, account)
        self.ending()
        self._held.note(snapshot)
        self._foreign_seen = False
        self.current = None
        self._gaps.clear()
        outcome = Outcome(kind=EVENT_STOPPED, account=account)
        self._announce(outcome, context)
        return outcome

    def _differs_live(self, session: Session) -> bool:
        """Tell whether the receipt's end is further from the last reading than can have flowed."""
        live, end = self._last_reading, session.end
        if (
            live is None
            or end is None
            or live.energy_import_wh is None
            or end.energy_import_wh is None
        ):
            return False
        elapsed_s = uptime_s() - self._last_reading_at + live.energy_age_s
        return abs(end.energy_import_wh - live.energy_import_wh) > most_wh(elapsed_s)

    @property
    def _meter_time(self) -> datetime | None:
        return None if self._last_reading is None else self._last_reading.meter_time

    def _already_stopped(self, account: Account) -> Outcome:
        return Outcome(
            kind=EVENT_STOPPED,
            account=self._ledger.judged_anew(account),
            already_stopped=True,
        )

    async def _fail(
        self, session: Session, error: MeterError | None, context: Context | None
    ) -> None:
        account = await self._ledger.write(RecordKind.FAILED, Account(session=session))
        self.ending()
        self._unresolved = self.current = None
        self._foreign_seen = False
        self._gaps.clear()
        self._announce(
            Outcome(kind=EVENT_FAILED, account=account, error=error), context
        )


async def fail_replaced(
    hass: HomeAssistant,
    ledger: Ledger,
    announce: Callable[[Outcome, Context | None], None],
    error: WrongMeterError,
) -> None:
    """Fail what runs at a meter whose place another one takes: nobody here can end it any more.

    Not while its entry is loaded, which would go on with it. Raises ``ArchiveError``.
    """
    async with _lock_of(hass, ledger.serial_number):
        record = await ledger.latest()
        if record is None or record.kind not in {RecordKind.STARTING, *_RUNNING}:
            return
        session = decode(record).session
        account = await ledger.write(RecordKind.FAILED, Account(session=session))
        announce(Outcome(kind=EVENT_FAILED, account=account, error=error), None)


def _lock_of(hass: HomeAssistant, serial_number: str) -> asyncio.Lock:
    """Return the lock of all that ever speak for a meter.

    An entry that is being loaded again waits for what the one before has under way.
    """
    locks = hass.data.setdefault(_LOCKS, WeakValueDictionary())
    return locks.setdefault(serial_number, asyncio.Lock())


def _observe(task: asyncio.Task[Any]) -> None:
    """Look at how a task ended, since whoever asked for it may have gone."""
    if not task.cancelled():
        task.exception()
