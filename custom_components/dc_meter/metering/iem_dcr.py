"""The Isabellenhütte IEM-DCR over an HTTP session."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
import logging
from time import monotonic
from typing import Any, Final, Literal, NoReturn

import aiohttp

from .ecdsa import SignatureScheme, parse_public_key, verify
from .errors import (
    ChargePointMissingError,
    CurrentFlowingError,
    ErrorStateError,
    MeterError,
    MeterUnreachableError,
    NoReceiptError,
    NotInitializedError,
    NoTransactionError,
    RefusedError,
    TextTooLongError,
    TooManyFlagsError,
    TransactionRunningError,
    UncarriableTextError,
    UnexpectedAnswerError,
    UnreadableReceiptError,
    WrongEvseError,
    WrongMeterError,
)
from .iem_dcr_nodes import (
    EXPORT_REGISTER,
    IMPORT_REGISTER,
    ChargePoint,
    DeliveredKey,
    LiveValue,
    Node,
    Nodes,
    StatusError,
    is_name,
    plain,
)
from .meter import (
    MAX_IDENTIFICATION_FLAGS,
    MAX_TARIFF_TEXT,
    Capability,
    ClockState,
    IdentificationLevel,
    IdentificationStatus,
    KeyForm,
    MeterIdentity,
    MeterReading,
    Notice,
    SignedMeterValue,
    Snapshot,
    TransactionRequest,
    is_line,
)
from .ocmf import ENDS, OcmfReceipt
from .uptime import uptime_s

_LOGGER = logging.getLogger(__name__)

MANUFACTURER: Final = "Isabellenhütte"
MODEL: Final = "IEM-DCR"

LIVE_RETRIES: Final = 1
UPKEEP_PATIENCE_S: Final = 0.3
"""How long after its begin a reading waits for what is done beside it, to tell of it already."""

CHARGE_POINT_CHECK_S: Final = 60
"""How often to look whether the meter lost its charge point in a short power cut."""

PUT_OFF_S: Final = 30
"""How long a tariff text or a time that the meter did not take is left alone."""

UNREADABLE_PATIENCE_S: Final = 60
"""For so long what the meter holds for a receipt may be of the way here, or not be finished."""

MAX_CLOCK_OFFSET_S: Final = 3

BEHIND_S: Final = 60
BEHIND_PATIENCE_S: Final = 600
"""A machine without a clock of its own starts behind, until it has a network. So long a meter whose
clock was set and is ahead is left alone: its receipts tell the right time."""

CLOCK_OFFSET_HYSTERESIS_S: Final = 1.25
"""A steady clock that tells whole seconds is seen to wander by one; the rest is the network's."""

RECEIPT_TIMEOUT_S: Final = 10
RECEIPT_POLL_S: Final = (0.03, 0.2)
"""Between two questions for the receipt, at least and at most: an eighth of the time that was
waited so far, so that who waits gets it soon and a meter that is slow is left alone."""

MAX_TEXT: Final = MAX_TARIFF_TEXT
"""Of any text. For charge point and identification it is not documented; a UUID fits."""

_OF_OTHERS: Final = (401, 403, 407, 408, 425, 429)
"""What somebody in between answers, or a meter that has no time, and not one without a receipt."""

_SEPARATOR = "|"
"""What separates the sections of a receipt."""


def check_text(name: str, text: str) -> None:
    """Raise ``TextTooLongError`` or ``UncarriableTextError`` for what receipts do not carry."""
    if len(text) > MAX_TEXT:
        raise TextTooLongError(name=name, length=len(text), limit=MAX_TEXT)
    if _SEPARATOR in text or not is_line(text):
        raise UncarriableTextError(name=name)


type Mark = Literal["begin", "end"]
_TX: Final[Mapping[Mark, str]] = {"begin": "B", "end": "E"}


class IemDcr:
    """An IEM-DCR; implements ``Meter``.

    Made to be polled while a command waits: a reading waits for neither a command nor the
    upkeep, which goes on in a task of its own until ``close``.
    """

    capabilities: Final = (
        Capability.TRANSACTIONS
        | Capability.CLOCK
        | Capability.TARIFF_TEXT
        | Capability.ERROR_STATE
    )

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        charge_point_type: str,
        charge_point_id: str,
        time_zone: Callable[[], tzinfo],
        tariff_text: str | None = None,
        clock_interval: timedelta = timedelta(hours=2),
        retries: int = 3,
        retry_delay_s: float = 0.25,
        show_user_id: bool = False,
    ) -> None:
        """Prepare; ``identify`` and ``set_up`` before use.

        ``time_zone`` is asked each time, as it may change. ``retries`` and their delay are
        for commands. Without ``tariff_text`` the meter keeps what it shows, whoever set it; an
        empty one is none.
        """
        self._nodes = Nodes(session, url)
        self._charge_point = ChargePoint(type=charge_point_type, id=charge_point_id)
        self._retries = retries
        self._retry_delay_s = retry_delay_s
        self._show_user_id = show_user_id
        self._tariff_text = tariff_text
        self._tariff_text_shown: str | None = None
        self._tariff_text_told = False
        self._clock = _Clock(time_zone, clock_interval)
        self._identity: MeterIdentity | None = None
        self._charge_point_found: ChargePoint | None = None
        self._charge_point_check_due = monotonic()
        self._contact_lost = False
        self._operation = asyncio.Lock()
        """One command at a time; polling goes on, only the upkeep waits."""

        self._upkeep: asyncio.Task[None] | None = None
        self._is_closed = False
        self._transaction_nodes = [Node.TRANSACTION, Node.TRANSACTION_V2, Node.RECEIPT]
        self._known_nodes: set[Node] = set()
        """Those of them that ever answered: there a receipt may be, if they do not now."""

        self._newest_signed: bytes | None = None
        """What the newest receipt seen was signed over."""

        self._signed_before: frozenset[bytes | None] = frozenset()
        """The same of receipts from before the transaction that ended last."""

        self._unreadable: tuple[str, float] | None = None
        """What was last read that is no receipt, and since when."""

        self._counts: Counter[str] = Counter()
        self._put_off_until: dict[str, float] = {}

    @property
    def identity(self) -> MeterIdentity:
        """Who this meter is; only after ``identify``."""
        if self._identity is None:
            raise RuntimeError("not identified yet")
        return self._identity

    @property
    def frozen_charge_point(self) -> tuple[str, str] | None:
        """CT and CI that receipts carry instead of the configured ones.

        The meter takes them once per power-up; None when they are as configured.
        """
        found = self._charge_point_found
        if found is None or not found.is_set or found == self._charge_point:
            return None
        return found.type, found.id

    async def identify(self) -> MeterIdentity:
        """Learn who the meter is; it is told nothing, for what it is told may stay.

        Raises ``InvalidAddressError`` when the address is none.
        """
        live = await self._insist(self._nodes.live_value)
        key = await self._insist(self._nodes.public_key)
        model, firmware = await self._model_and_firmware(live.serial_number)
        self._identity = MeterIdentity(
            manufacturer=MANUFACTURER,
            model=model,
            serial_number=live.serial_number,
            firmware=firmware,
            public_key=key.key,
            public_key_form=_key_form(key),
            signing_method=key.algorithm,
        )
        return self._identity

    async def set_up(self) -> None:
        """Give the meter charge point, time and tariff text where it has them not.

        Raises ``ChargePointMissingError``, ``TextTooLongError`` and ``UncarriableTextError``
        before anything is sent, and ``WrongMeterError`` before anything is changed.
        """
        if not self._charge_point.is_set:
            raise ChargePointMissingError
        check_text("charge point type", self._charge_point.type)
        check_text("charge point id", self._charge_point.id)
        check_text("tariff text", self._tariff_text or "")
        async with self._operation:
            live = await self._live_value()
            self._clock.observe(live.meter_time)
            await self._set_up_charge_point(self._retries)
            await self._keep_tariff_text_and_clock(live)

    async def read(self) -> MeterReading:
        """Read the live values; a single lost answer is asked for again at once."""
        # What is read beside a command may not be true any more when the command is through.
        is_beside = self._operation.locked()
        began = monotonic()
        try:
            live = await self._live_value(retries=LIVE_RETRIES, delay_s=0)
        except MeterError:
            self._contact_lost = True
            raise
        self._clock.observe(live.meter_time)
        is_idle = self._upkeep is None or self._upkeep.done()
        may_begin = is_idle and not is_beside and not self._is_closed
        if may_begin and self._upkeep_is_due(live):
            self._upkeep = asyncio.create_task(
                self._keep_up(live), name=f"{MODEL} upkeep"
            )
            patience_s = max(0, began + UPKEEP_PATIENCE_S - monotonic())
            await asyncio.wait({self._upkeep}, timeout=patience_s)
        return replace(
            live.reading,
            clock_offset_s=self._clock.offset_s,
            tariff_text=self._tariff_text_shown,
        )

    async def check(self, request: TransactionRequest) -> None:
        """Raise what would keep this transaction from beginning; change nothing.

        A transaction that runs is not looked at: it can be ended first. Raises
        ``WrongEvseError``, ``TooManyFlagsError``, ``TextTooLongError``,
        ``UncarriableTextError``, ``NotInitializedError``, ``ErrorStateError``.
        """
        await self._check(request)

    async def begin(self, request: TransactionRequest) -> Snapshot:
        """Begin a transaction; the meter signs nothing yet.

        The registers are those just before: they stand still below the current at which
        the meter would refuse. Raises what ``check`` raises, ``TransactionRunningError``,
        ``CurrentFlowingError``, ``RefusedError``.
        """
        async with self._operation:
            live = await self._check(request)
            if live.transaction_active:
                raise TransactionRunningError(action="begin")
            try:
                await self._insist(
                    partial(
                        self._nodes.set_user,
                        request,
                        level=_level(request),
                        identification=_identification(request),
                        show_it=self._show_user_id,
                    )
                )
            except StatusError as err:
                await self._raise_refusal("begin", err)
            await self._mark("begin")
        return Snapshot(
            signed_value=None,
            energy_import_wh=live.reading.energy_import_wh,
            energy_export_wh=live.reading.energy_export_wh,
        )

    async def end(self) -> Snapshot:
        """End the transaction that runs and wait for its receipt.

        Raises ``NoTransactionError``, ``CurrentFlowingError``, ``RefusedError``, and
        ``NoReceiptError`` when it ended and its receipt does not come.
        """
        async with self._operation:
            live = await self._live_value()
            if not live.transaction_active:
                raise NoTransactionError
            self._signed_before = await self._receipts_there()
            try:
                await self._mark("end")
            except RefusedError, NoTransactionError:
                self._signed_before = frozenset()
                raise
            receipt = await self._await_receipt()
        return self._snapshot(receipt, export_wh=live.reading.energy_export_wh)

    async def last_receipt(self) -> Snapshot | None:
        """Return the receipt of the last transaction; None where the meter has none.

        None also while the meter still shows the one before the last. One that cannot be
        read raises ``UnexpectedAnswerError``; what stays so is returned as it came.
        """
        try:
            receipt = await self._last_receipt()
        except UnreadableReceiptError as err:
            if not self._stays_unreadable(err.text):
                raise
            return Snapshot(
                signed_value=self._signed_value(err.text),
                energy_import_wh=None,
                energy_export_wh=None,
            )
        if receipt is None or receipt.signed_bytes in self._signed_before:
            return None
        return self._snapshot(receipt, export_wh=None)

    async def synchronize_clock(self) -> None:
        """Set the meter's clock now, and see that it took it.

        Raises ``TransactionRunningError``, ``RefusedError``, and ``UnexpectedAnswerError``
        when the meter shows another time afterwards.
        """
        async with self._operation:
            if (await self._live_value()).transaction_active:
                raise TransactionRunningError(action="a new time")
            try:
                await self._insist(self._set_clock)
            except StatusError as err:
                await self._raise_refusal("a new time", err)
            shown = await self._insist(self._nodes.clock)
            if abs((shown - self._clock.now()).total_seconds()) > MAX_CLOCK_OFFSET_S:
                raise UnexpectedAnswerError(
                    error=f"its clock was set and shows {shown}"
                )

    async def set_tariff_text(self, text: str) -> None:
        """Show this text before a transaction, also after a power cycle.

        Raises ``TextTooLongError``, ``UncarriableTextError``, ``TransactionRunningError``,
        ``RefusedError``.
        """
        check_text("tariff text", text)
        async with self._operation:
            # Another meter's display is not written on.
            await self._live_value()
            try:
                await self._insist(lambda: self._nodes.set_tariff_text(text))
            except StatusError as err:
                await self._raise_refusal("a new tariff text", err)
            self._tariff_text = self._tariff_text_shown = text
            self._tariff_text_told = True

    def notices(self) -> Mapping[Notice, Mapping[str, str]]:
        """Say when receipts carry another charge point than the configured one."""
        if self.frozen_charge_point is None:
            return {}
        return {
            Notice.CHARGE_POINT_FROZEN: {
                "frozen": " ".join(self.frozen_charge_point),
                "configured": f"{self._charge_point.type} {self._charge_point.id}",
            }
        }

    async def close(self) -> None:
        """End the upkeep; the session belongs to others."""
        self._is_closed = True
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait({self._upkeep})

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the last answers, timings, errors by kind, and what was done how often."""
        found = self._charge_point_found
        return {
            **self._nodes.diagnostics(),
            "counts": dict(self._counts),
            "charge_point": found and {"type": found.type, "id": found.id},
            "charge_point_as_configured": found and found == self._charge_point,
            "transaction_node": self._transaction_nodes[0],
        }

    async def _insist[T](
        self,
        ask: Callable[[], Awaitable[T]],
        *,
        retries: int | None = None,
        delay_s: float | None = None,
    ) -> T:
        """Ask again what was lost or failed inside the meter; never what it refused."""
        retries = self._retries if retries is None else retries
        for _ in range(retries):
            try:
                return await ask()
            except MeterUnreachableError:
                pass
            except StatusError as err:
                if err.status < 500:
                    raise
            await asyncio.sleep(self._retry_delay_s if delay_s is None else delay_s)
        return await ask()

    async def _live_value(
        self, *, retries: int | None = None, delay_s: float | None = None
    ) -> LiveValue:
        live = await self._insist(
            self._nodes.live_value, retries=retries, delay_s=delay_s
        )
        if live.serial_number != self.identity.serial_number:
            raise WrongMeterError(
                found=live.serial_number, expected=self.identity.serial_number
            )
        return live

    def _upkeep_is_due(self, live: LiveValue) -> bool:
        return (
            self._contact_lost
            or monotonic() >= self._charge_point_check_due
            or self._tariff_text_is_due(live)
            or self._clock_is_due(live)
        )

    def _tariff_text_is_due(self, live: LiveValue) -> bool:
        is_missing = self._tariff_text is not None and not self._tariff_text_told
        return is_missing and not live.transaction_active

    def _clock_is_due(self, live: LiveValue) -> bool:
        return not live.transaction_active and self._clock.is_due(
            live.meter_time, live.reading.clock_state
        )

    async def _keep_up(self, live: LiveValue) -> None:
        """Do what is due beside a poll, once and without insisting; the next poll goes on."""
        if self._operation.locked():
            return
        async with self._operation:
            try:
                if self._contact_lost or monotonic() >= self._charge_point_check_due:
                    await self._set_up_charge_point(retries=0)
                if self._contact_lost:
                    await self._read_key()
                    self._contact_lost = False
            except MeterError as err:
                self._put_off("set-up", err)
            else:
                await self._keep_tariff_text_and_clock(live)

    async def _read_key(self) -> None:
        """Ask for the key again, for the meter may have another since it was identified."""
        key = await self._nodes.public_key()
        self._identity = replace(
            self.identity,
            public_key=key.key,
            public_key_form=_key_form(key),
            signing_method=key.algorithm,
        )

    async def _set_up_charge_point(self, retries: int) -> None:
        found = await self._insist(self._nodes.charge_point, retries=retries)
        if not found.is_set:
            # The meter was switched on since it was last told. (The open driver's test for
            # "empty" never holds, so it never sets up a second time.)
            self._tariff_text_shown, self._tariff_text_told = None, False
            try:
                await self._insist(self._post_charge_point, retries=retries)
                found = self._charge_point
            except StatusError as err:
                if not err.is_refusal:
                    raise
                # Set by a request whose answer was lost, or by somebody else.
                found = await self._insist(self._nodes.charge_point, retries=retries)
        self._charge_point_found = found
        self._charge_point_check_due = monotonic() + CHARGE_POINT_CHECK_S

    async def _post_charge_point(self) -> None:
        moment = self._clock.now()
        await self._nodes.set_charge_point(self._charge_point, moment)
        self._clock.was_set(moment)
        self._counts["set_up"] += 1
        _LOGGER.debug("Set up charge point %s", self._charge_point.id)

    async def _keep_tariff_text_and_clock(self, live: LiveValue) -> None:
        if self._tariff_text_is_due(live):
            await self._try_beside("tariff_text", self._show_tariff_text)
        if self._clock_is_due(live):
            await self._try_beside("clock", self._set_clock)

    async def _try_beside(
        self, what: str, command: Callable[[], Awaitable[None]]
    ) -> None:
        """Do what is due without disturbing the poll when it fails."""
        if monotonic() < self._put_off_until.get(what, 0):
            return
        try:
            await command()
        except MeterError as err:
            self._put_off_until[what] = monotonic() + PUT_OFF_S
            self._put_off(what, err)

    async def _show_tariff_text(self) -> None:
        """Show the text, also none: a price left behind would be signed into the next receipts."""
        text = self._tariff_text or ""
        try:
            await self._nodes.set_tariff_text(text)
        except StatusError as err:
            # Whether the meter takes an empty text is not known. One that does not is not told
            # again and again, and what it shows stays unknown.
            if text or err.is_refusal or err.status >= 500:
                raise
            _LOGGER.debug("The tariff text cannot be emptied: %s", err)
        else:
            self._tariff_text_shown = text
        self._tariff_text_told = True

    async def _set_clock(self) -> None:
        moment = self._clock.now()
        await self._nodes.set_clock(moment)
        self._clock.was_set(moment)
        self._counts["clock_set"] += 1

    def _put_off(self, what: str, err: MeterError) -> None:
        self._counts[f"{what}_put_off"] += 1
        _LOGGER.debug("Put off: %s: %s", what, err)

    async def _model_and_firmware(self, serial_number: str) -> tuple[str, str | None]:
        """Learn from the last receipt what no node tells (MM, GV)."""
        try:
            receipt = await self._last_receipt()
        except UnexpectedAnswerError:
            receipt = None
        if receipt is None or receipt.meter_serial != serial_number:
            return MODEL, None
        model, firmware = receipt.meter_model, receipt.gateway_version
        return (
            model if model is not None and is_name(model) else MODEL,
            firmware if is_name(firmware) else None,
        )

    async def _check(self, request: TransactionRequest) -> LiveValue:
        if request.evse_id and request.evse_id != self._charge_point.id:
            raise WrongEvseError(
                evse_id=request.evse_id, expected=self._charge_point.id
            )
        if len(request.identification_flags) > MAX_IDENTIFICATION_FLAGS:
            raise TooManyFlagsError(
                number=len(request.identification_flags), limit=MAX_IDENTIFICATION_FLAGS
            )
        check_text("tariff text", request.tariff_text)
        check_text("identification", _identification(request))
        if not (await self._insist(self._nodes.charge_point)).is_set:
            # The next poll sets it up.
            self._charge_point_check_due = monotonic()
            raise NotInitializedError
        live = await self._live_value()
        if live.reading.error_words:
            raise ErrorStateError(words=", ".join(live.reading.error_words))
        return live

    async def _mark(self, mark: Mark) -> None:
        """Begin or end; where an answer is lost, the meter's state tells what came of it."""
        wanted = mark == "begin"
        lost: MeterError | None = None
        for attempt in range(self._retries + 1):
            if attempt:
                await asyncio.sleep(self._retry_delay_s)
            if lost and (await self._live_value()).transaction_active is wanted:
                return
            try:
                await self._nodes.mark(_TX[mark])
            except MeterUnreachableError as err:
                lost = err
            except StatusError as err:
                if err.status < 500:
                    # Done by the request before, whose answer was lost?
                    if lost and (await self._live_value()).transaction_active is wanted:
                        return
                    await self._raise_refusal(mark, err)
                lost = err
            else:
                return
        if lost and (await self._live_value()).transaction_active is not wanted:
            raise lost

    async def _raise_refusal(self, action: str, err: StatusError) -> NoReturn:
        """Find out from the meter's state why it refused; 428 says no more."""
        if not err.is_refusal:
            raise err
        live = await self._live_value()
        if action == "end" and not live.transaction_active:
            raise NoTransactionError from err
        if action != "end" and live.transaction_active:
            raise TransactionRunningError(action=action) from err
        # Words are certain; a current may be too small to be what is in the way.
        if action in _TX and live.reading.error_words:
            raise ErrorStateError(words=", ".join(live.reading.error_words)) from err
        if action in _TX and live.reading.current_a:
            raise CurrentFlowingError(action=action) from err
        raise RefusedError(action=action, error=err) from err

    async def _receipts_there(self) -> frozenset[bytes | None]:
        """Return what is known while a transaction runs, so is of earlier ones."""
        try:
            receipt = await self._insist(partial(self._genuine_receipt, Node.RECEIPT))
        except UnexpectedAnswerError:
            receipt = None
        return frozenset(
            {self._newest_signed, receipt.signed_bytes if receipt else None}
        )

    async def _await_receipt(self) -> OcmfReceipt:
        """Ask until the receipt is there, whole, signed and not the earlier one."""
        began = monotonic()
        least_s, most_s = RECEIPT_POLL_S
        while True:
            problem: MeterError | None = None
            try:
                receipt = await self._genuine_receipt(Node.RECEIPT)
            except (MeterUnreachableError, UnexpectedAnswerError) as err:
                problem = err
            else:
                if (
                    receipt
                    and receipt.spans_transaction
                    and receipt.signed_bytes not in self._signed_before
                ):
                    self._newest_signed = receipt.signed_bytes
                    return receipt
            waited_s = monotonic() - began
            if waited_s >= RECEIPT_TIMEOUT_S:
                raise NoReceiptError(seconds=RECEIPT_TIMEOUT_S) from problem
            await asyncio.sleep(min(max(least_s, waited_s / 8), most_s))

    async def _genuine_receipt(self, node: Node) -> OcmfReceipt | None:
        """Ask for a receipt; once more when it is not genuine, and then for the key as well.

        What came altered the meter can say again. What it signs with another key says so.
        """
        try:
            receipt = await self._nodes.receipt(node)
        except UnreadableReceiptError:
            return await self._nodes.receipt(node)
        if receipt is None or self._is_genuine(receipt):
            return receipt
        receipt = await self._nodes.receipt(node) or receipt
        is_its = receipt.meter_serial == self.identity.serial_number
        if is_its and not self._is_genuine(receipt):
            with suppress(MeterError):
                await self._read_key()
        return receipt

    def _is_genuine(self, receipt: OcmfReceipt) -> bool:
        """Tell whether the meter's own key made it; False also where that cannot be computed."""
        if self._identity is None:
            return True
        try:
            scheme = SignatureScheme.named(receipt.algorithm)
            key = parse_public_key(self._identity.public_key or "", scheme)
            return verify(receipt.signed_bytes, receipt.signature, key, scheme)
        except ValueError:
            return False

    async def _last_receipt(self) -> OcmfReceipt | None:
        failure: StatusError | UnreadableReceiptError | None = None
        lost: MeterUnreachableError | None = None
        is_there = is_missed = False
        answered: set[Node] = set()
        for node in self._transaction_nodes:
            if node is not Node.RECEIPT and answered & {
                Node.TRANSACTION,
                Node.TRANSACTION_V2,
            }:
                continue
            try:
                receipt = await self._insist(
                    partial(self._genuine_receipt, node), retries=0 if lost else None
                )
            except MeterUnreachableError as err:
                # This firmware may hang up on what it does not know.
                lost = lost or err
                is_missed |= node in self._known_nodes
                continue
            except StatusError as err:
                # Either this firmware has no such node or there was no transaction yet.
                if not 400 <= err.status < 500 or err.status in _OF_OTHERS:
                    failure = err
                is_there = True
                self._known_nodes.add(node)
                continue
            except UnreadableReceiptError as err:
                failure = failure or err
                receipt = None
            is_there = True
            self._known_nodes.add(node)
            answered.add(node)
            if receipt and receipt.spans_transaction:
                self._transaction_nodes.remove(node)
                self._transaction_nodes.insert(0, node)
                self._newest_signed = receipt.signed_bytes
                return receipt
        if failure:
            raise failure
        if lost and (is_missed or not is_there):
            raise lost
        return None

    def _stays_unreadable(self, text: str) -> bool:
        """Tell whether the meter has answered with this text for a receipt for long enough."""
        if self._unreadable is None or self._unreadable[0] != text:
            self._unreadable = (text, monotonic())
        return monotonic() - self._unreadable[1] >= UNREADABLE_PATIENCE_S

    def _signed_value(self, text: str) -> SignedMeterValue:
        return SignedMeterValue(
            signed_meter_data=text,
            signing_method=self.identity.signing_method or "",
            encoding_method="OCMF",
            public_key=self.identity.public_key or "",
        )

    def _snapshot(self, receipt: OcmfReceipt, *, export_wh: Decimal | None) -> Snapshot:
        """Return the receipt with its end registers; ``export_wh`` where it has none."""
        registers = {
            reading.obis: None
            if reading.energy_wh is None
            else plain(reading.energy_wh)
            for reading in receipt.readings
            if reading.reason in ENDS
        }
        return Snapshot(
            signed_value=self._signed_value(receipt.text),
            energy_import_wh=registers.get(IMPORT_REGISTER),
            energy_export_wh=registers.get(EXPORT_REGISTER, export_wh),
        )


class _Clock:
    """When the meter's clock is to be set, and how far it is off."""

    def __init__(self, time_zone: Callable[[], tzinfo], interval: timedelta) -> None:
        self._time_zone = time_zone
        self._interval_s = interval.total_seconds()
        self._set_at: float | None = None
        self._utc_offset_set: timedelta | None = None
        self._offset_is_settled = False
        self._is_wrong = False
        self._corrections = 0
        """How often it was set since it was last right."""

        self.offset_s: int | None = None
        """Whole seconds the meter is ahead."""

    def now(self) -> datetime:
        """Return local time with the offset in force, to the second as the meter has it."""
        now = (_utc_now() + timedelta(seconds=0.5)).replace(microsecond=0)
        return now.astimezone(self._time_zone())

    def observe(self, meter_time: datetime | None) -> None:
        """Compare, right after the meter told its time."""
        if meter_time is None:
            self.offset_s = None
            return
        ahead_s = (meter_time - _utc_now()).total_seconds() + 0.5
        if (
            self.offset_s is None
            or not self._offset_is_settled
            or abs(ahead_s - self.offset_s) > CLOCK_OFFSET_HYSTERESIS_S
        ):
            self.offset_s = int(ahead_s)
            self._offset_is_settled = True

    def is_due(self, meter_time: datetime | None, state: ClockState | None) -> bool:
        """Tell whether to set the clock: never set, long ago, wrong, or summer time changed."""
        utc_offset = self.now().utcoffset()
        self._is_wrong = (
            meter_time is None
            or meter_time.utcoffset() != utc_offset
            or abs(self.offset_s or 0) > MAX_CLOCK_OFFSET_S
        )
        if self._set_at is None:
            return not self._may_be_right(state)
        if self._utc_offset_set != utc_offset:
            return True
        rest_s = self._interval_s
        if self._is_wrong:
            # A meter that takes a time and keeps its own is told less and less often.
            rest_s = min(PUT_OFF_S * 2 ** max(0, self._corrections - 1), rest_s)
        else:
            self._corrections = 0
        return monotonic() - self._set_at >= rest_s

    def _may_be_right(self, state: ClockState | None) -> bool:
        """Tell whether the meter may know the time better than this machine, which just started."""
        return (
            state is not ClockState.UNSYNCHRONIZED
            and (self.offset_s or 0) >= BEHIND_S
            and uptime_s() < BEHIND_PATIENCE_S
        )

    def was_set(self, moment: datetime) -> None:
        """Note that the meter took this time."""
        self._set_at = monotonic()
        self._corrections += self._is_wrong
        self._utc_offset_set = moment.utcoffset()
        self._offset_is_settled = False


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _level(request: TransactionRequest) -> IdentificationLevel:
    """Return the level to send; left open, the least claim that verifiers accept.

    NONE says that no user is assigned; HEARSAY that one is, on an unsafe ground (OCMF 1.4,
    table 11).
    """
    if request.identification_level is not None:
        return request.identification_level
    if request.identification_status is IdentificationStatus.ASSIGNED:
        return IdentificationLevel.HEARSAY
    return IdentificationLevel.NONE


def _identification(request: TransactionRequest) -> str:
    """Return the only place of a receipt that can name its transaction."""
    return request.identification_data or request.transaction_id


def _key_form(key: DeliveredKey) -> KeyForm | None:
    try:
        return parse_public_key(key.key, SignatureScheme.named(key.algorithm)).form
    except ValueError:
        return None
