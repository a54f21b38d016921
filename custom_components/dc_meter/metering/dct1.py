"""The Carlo Gavazzi DCT1 over a Modbus unit.

Registers are input registers (function code 4), confirmed by the manufacturer's open driver
and real receipts except where a comment says otherwise.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from struct import pack
from typing import Any, NamedTuple

from modbus_connection import (
    GatewayPathUnavailableError,
    GatewayTargetError,
    ModbusConnectionError,
    ModbusError,
    ModbusExceptionError,
    ModbusUnit,
    WordOrder,
)
from modbus_connection.decode import decode_int32

from .dct1_block import BLOCK_LENGTH, ENERGY_LENGTH, EnergyRecords, SignedBlock
from .ecdsa import (
    DCT1_256_BIT,
    DCT1_384_BIT,
    PublicKey,
    SignatureScheme,
    parse_public_key,
    verify,
)
from .errors import (
    AdapterEchoesError,
    LineBusyError,
    MeterUnreachableError,
    UnexpectedAnswerError,
    UnsupportedError,
    WordOrderError,
    WrongMeterError,
)
from .meter import (
    Capability,
    MeterIdentity,
    MeterReading,
    Notice,
    SignedMeterValue,
    Snapshot,
    TransactionRequest,
)
from .tally import Tally
from .turn import Turn
from .uptime import uptime_s

LIVE_TIMEOUT_S = 0.4
"""For each of the two tries at the live values.

Others than DCT1s on the bus are waited for within it. The signed block of a meter keeps a line
of 9600 baud busy for 0.27 s.
"""

OPEN_TIMEOUT_S = 5.0
"""For opening the port or reaching the gateway."""

LINE_PATIENCE_S = 1.6
"""A reading waits so long for its turn: longer than 15 others take at 9600 baud, but not for whoever
waits for a signature for seconds, while what was read before is shown as if it were fresh."""

BLOCK_TIMEOUT_S = 3.0
"""For what may cost the meter a signature; how long that takes is not known."""

ENERGY_TIMEOUT_S = 0.6
"""For the energies, at least; a meter that takes longer is given up to ``BLOCK_TIMEOUT_S``."""

ENERGY_PATIENCE_S = 0.4
"""A reading waits for energies that took no longer the last time; else it goes without the newest."""

ENERGY_PROMPT_S = 0.2
ENERGY_SHARE = 0.05
"""Energies are read with each reading while they take no longer than ``ENERGY_PROMPT_S``, and
so much less often when they do that the excess takes a twentieth of the time."""

MISSED_AT_ONCE = 3
"""Energies of a meter that gave them promptly are asked for again at once so often: more likely somebody
else kept the line busy, for as long as Home Assistant waits for a device that is gone."""

MISSED_SHARE = 0.15
"""Of the time, for energies that do not come. What was missed once more than that is asked for again
before it is ``ENERGY_MAX_AGE_S`` old."""

ENERGY_MAX_AGE_S = 10.0
"""Energies older than this and two of the intervals they are read at are not known any more."""

BLOCK_INTERVAL_S = 300.0
"""How often the whole block, with the cable resistance, is read in place of the energies."""

GATEWAY_PATIENCE_S = 3.0
"""A gateway that translates asks one meter at a time and says itself when none answers; whoever
gives up before it does asks into the queue of the one before."""

SHARED_PATIENCE_S = LINE_PATIENCE_S - LIVE_TIMEOUT_S
"""Of a gateway whose other meters are read meanwhile: they wait no longer for their turn. It covers the
second that most gateways wait; one that is not through by then makes the next reading wait for it."""

GATEWAY_PAUSE_S = 3.5
"""So long a meter that is gone is left alone where others wait for the same gateway. With the second
that most gateways wait for it, it is asked every five seconds."""

RELINK_EVERY = 30
"""After the first of so many readings in vain the link is taken down. It may be up and lead nowhere; or
the Modbus stack has half of a long answer, and takes short ones for the rest of it for seconds."""

GARBLED_AT_MOST = 3
"""After so many readings in a row that nobody understood it may be another meter that is understood
next: there are gateways that answer themselves for a meter that is gone, with any exception."""

_WORD_ORDER_TRIES = 3

_LATE_TRIES = 6
"""When what was asked before may still be answered in place of what is asked now."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One read of input registers.

    Each kind has a register count of its own. An RTU answer does not say which registers it
    holds, only how many: an answer that comes late, into the next request, is known by that.
    """

    name: str
    address: int
    count: int


LIVE_ADDRESS, LIVE_COUNT = 0x0000, 6
_LIVE = _Request("live", LIVE_ADDRESS, LIVE_COUNT)
_ENERGY = _Request("energy", 0x0800, ENERGY_LENGTH // 2)
_BLOCK = _Request("block", 0x0800, BLOCK_LENGTH // 2)
_SIGNATURE_TYPE = _Request("signature_type", 0x24FF, 1)


def _public_key(scheme: SignatureScheme) -> _Request:
    """Ask for 04, X, Y and one pad byte."""
    return _Request("public_key", 0x2500, 1 + scheme.width)


def _signed_block(scheme: SignatureScheme) -> _Request:
    """Ask for the block with its r and s: in two requests they would be of two moments."""
    return _Request("signed_block", _BLOCK.address, _BLOCK.count + scheme.width)


_SIGNATURE_TYPES: dict[int, SignatureScheme | None] = {
    0: DCT1_256_BIT,
    1: DCT1_384_BIT,
    2: None,
}


class _Live(NamedTuple):
    voltage_v: Decimal
    current_a: Decimal
    power_w: Decimal


class Dct1:
    """One DCT1.

    It keeps no transactions: begin and end take a snapshot of its registers, signed where the
    meter signs. With ``low_side_sensing`` False, current and power change their sign, and
    import and export their places (inferred); what is signed stays as the meter signed it.
    """

    def __init__(
        self,
        unit: ModbusUnit,
        *,
        low_side_sensing: bool = True,
        turn: Turn | None = None,
        behind_gateway: bool = False,
    ) -> None:
        """Take the unit; nothing is sent before ``identify``.

        ``turn`` is held for each request, and for all of a reading, so that no timeout runs
        while another is under way. DCT1s of one line that share it do not time out behind a
        slow neighbour. ``behind_gateway`` says that a gateway translates, as with Modbus TCP:
        it has the line until it answers, whoever gave up before.
        """
        self._unit = unit
        self._low_side_sensing = low_side_sensing
        self._line = turn or Turn()
        self._line.speakers.add(self)
        self._turn = Turn(within=self._line)
        """Its own comes before the line's: a meter that is gone costs others one wait at a time."""

        self._behind_gateway = behind_gateway
        self._left_alone_until = 0.0

        self._identity: MeterIdentity | None = None
        self._scheme: SignatureScheme | None = None
        self._public_key: PublicKey | None = None
        self._signature_genuine: bool | None = None
        self._word_order: WordOrder = "big"
        self._word_order_confirmed = False
        self._recognized = False
        """Whether a whole block has shown who answers since the link was last lost."""
        self._objection: WrongMeterError | WordOrderError | None = None

        self._energy: EnergyRecords | None = None
        self._energy_read_at = 0.0
        self._energy_pace = EnergyPace()
        self._energy_task: asyncio.Task[None] | None = None
        self._cable_resistance_ohm: Decimal | None = None
        self._block_due_at = 0.0

        self._lost_readings = self._garbled_readings = 0
        self._in_vain_since = 0.0
        self._relink_is_due = False
        self._words: dict[str, list[int]] = {}
        self._durations_s: dict[str, float] = {}
        self._errors = Tally()

        # The timeout belongs to the whole link, and raising it drops the link: so it is asked
        # for once, for the slowest request, and each request is bounded apart from it.
        unit.require_timeout(BLOCK_TIMEOUT_S)

    @property
    def capabilities(self) -> Capability:
        """What this meter can do; whether it signs is known after ``identify``."""
        if self._scheme is None:
            return Capability.CABLE_RESISTANCE
        return Capability.CABLE_RESISTANCE | Capability.SIGNS_AT_BEGIN

    @property
    def identity(self) -> MeterIdentity:
        """Who this meter is; only after ``identify``."""
        if self._identity is None:
            raise RuntimeError("identify first")
        return self._identity

    async def identify(self) -> MeterIdentity:
        """Learn who the meter is, how it signs and in which word order it writes.

        Raises ``WordOrderError`` when its live voltage is not found in its block, and
        ``AdapterEchoesError`` where that is likely what keeps it from being read.
        """
        # Whether anyone is there is soon known; it must not cost the line seconds.
        await self._read_live(tries=1 if await self._asked_in_vain() else 2)
        signature_type = await self._read_signature_type()
        if signature_type not in _SIGNATURE_TYPES:
            raise UnexpectedAnswerError(error=f"signature type {signature_type}")
        scheme = self._scheme = _SIGNATURE_TYPES[signature_type]
        public_key = None if scheme is None else await self._read_public_key(scheme)
        self._public_key = public_key

        data = await self._read_block()
        self._energy_pace = EnergyPace(self._durations_s[self._whole_block.name])
        self._word_order_confirmed = False
        await self._settle_word_order(data)
        block = SignedBlock.parse(data[:BLOCK_LENGTH], word_order=self._word_order)
        self._signature_genuine = self._is_genuine(data)
        self._identity = MeterIdentity(
            manufacturer="Carlo Gavazzi",
            model=block.model,
            serial_number=block.serial_number,
            public_key=None if public_key is None else _shown(public_key),
            public_key_form=None if public_key is None else public_key.form,
            signing_method=None if scheme is None else scheme.name,
        )
        self._take(block)
        return self._identity

    async def set_up(self) -> None:
        """Do nothing: the meter needs to be told nothing."""

    async def read(self) -> MeterReading:
        """Read the live values, and the energies where the meter gives them in time.

        Energies it is slow to give are those of the last time; they are None when that is too
        long ago, and while it is not known which meter answers after the link was lost.
        Raises ``WrongMeterError`` and ``WordOrderError`` until a whole block clears that.
        """
        began = _now()
        if began < self._left_alone_until:
            raise MeterUnreachableError(error="no answer, and not asked again yet")
        try:
            # While it is gone one try is enough: others on the line have to wait for it.
            live = await _insist(
                partial(self._read_values, began + LINE_PATIENCE_S),
                1 if self._lost_readings else 2,
            )
        except LineBusyError:
            raise
        except MeterUnreachableError:
            self._doubt()
            if not self._lost_readings:
                self._in_vain_since = began
            self._lost_readings += 1
            self._relink_is_due |= self._lost_readings % RELINK_EVERY == 1
            if self._shares_gateway:
                self._left_alone_until = _now() + GATEWAY_PAUSE_S
            raise
        except UnexpectedAnswerError:
            self._energy_pace.forgive()
            self._garbled_readings += 1
            if self._garbled_readings == GARBLED_AT_MOST:
                self._doubt()
            raise
        self._lost_readings = self._garbled_readings = 0
        self._object()
        energy_import_wh, energy_export_wh = self._directed(self._known_energy())
        return MeterReading(
            energy_import_wh=energy_import_wh,
            energy_export_wh=energy_export_wh,
            power_w=live.power_w,
            voltage_v=live.voltage_v,
            current_a=live.current_a,
            energy_age_s=uptime_s() - self._energy_read_at,
            reversed=not self._low_side_sensing,
            cable_resistance_ohm=self._cable_resistance_ohm,
        )

    async def check(self, request: TransactionRequest) -> None:
        """Raise what keeps ``read`` from reading; the meter itself accepts every request."""
        self._object()

    async def begin(self, request: TransactionRequest) -> Snapshot:
        """Take the snapshot a transaction begins with; the meter is not told for whom."""
        return await self._snapshot()

    async def end(self) -> Snapshot:
        """Take the snapshot a transaction ends with."""
        return await self._snapshot()

    async def last_receipt(self) -> Snapshot | None:
        """Return None: the meter keeps no receipts."""
        return None

    async def synchronize_clock(self) -> None:
        """Raise ``UnsupportedError``: the meter has no clock."""
        raise UnsupportedError(action="keep time")

    async def set_tariff_text(self, text: str) -> None:
        """Raise ``UnsupportedError``: the meter shows no tariff."""
        raise UnsupportedError(action="show a tariff text")

    def notices(self) -> Mapping[Notice, Mapping[str, str]]:
        """Return nothing: whatever is wrong with this meter keeps it from being read."""
        return {}

    async def close(self) -> None:
        """Leave the line to others; end the reading of energies that may still wait for its answer."""
        self._line.speakers.discard(self)
        if self._energy_task is not None:
            self._energy_task.cancel()
            await asyncio.wait({self._energy_task})

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the words last read and what each request took, by request, and what was found."""
        return {
            "words": {
                name: " ".join(f"{word:04X}" for word in words)
                for name, words in self._words.items()
            },
            "duration_s": {
                name: round(took, 3) for name, took in self._durations_s.items()
            },
            "errors": self._errors.as_dict(),
            "word_order": self._word_order,
            "word_order_known": "confirmed"
            if self._word_order_confirmed
            else "assumed",
            "signature_genuine_at_identify": self._signature_genuine,
            "low_side_sensing": self._low_side_sensing,
            "energy_interval_s": round(self._energy_pace.interval_s, 3),
            "energy_timeout_s": round(self._energy_pace.timeout_s, 3),
            "recognized": self._recognized,
            "objection": None if self._objection is None else str(self._objection),
        }

    @property
    def _whole_block(self) -> _Request:
        return _BLOCK if self._scheme is None else _signed_block(self._scheme)

    @property
    def _shares_gateway(self) -> bool:
        return self._behind_gateway and len(self._line.speakers) > 1

    def _patience_s(self, timeout_s: float) -> float:
        """Return how long to wait for an answer that the meter has so long for."""
        if not self._shares_gateway:
            return timeout_s
        # There are gateways that never say no.
        is_gone = self._lost_readings > 0
        return max(timeout_s, SHARED_PATIENCE_S if is_gone else GATEWAY_PATIENCE_S)

    async def _ask(self, request: _Request, timeout_s: float) -> list[int]:
        """Send one request. Raises ``MeterUnreachableError`` or ``UnexpectedAnswerError``."""
        timeout_s = self._patience_s(timeout_s)
        async with self._turn:
            if not self._unit.connected:
                self._doubt()
            began = _now()
            try:
                async with asyncio.timeout(timeout_s):
                    words = await self._unit.read_input_registers(
                        request.address, request.count
                    )
            except TimeoutError as err:
                self._errors.add("timeout")
                raise MeterUnreachableError(
                    error=f"no answer within {timeout_s:.1f} s"
                ) from err
            except (
                ModbusConnectionError,
                GatewayPathUnavailableError,
                GatewayTargetError,
                OSError,  # from tmodbus, in the moment a port is unplugged
            ) as err:
                self._errors.add(type(err).__name__)
                raise MeterUnreachableError(error=err) from err
            except ModbusError as err:
                self._errors.add(type(err).__name__)
                raise UnexpectedAnswerError(error=err) from err
            self._line.heard_at = _now()
            self._durations_s[request.name] = self._line.heard_at - began
        # pymodbus delivers an answer of any length.
        if len(words) != request.count:
            self._errors.add("length")
            raise UnexpectedAnswerError(
                error=f"{len(words)} registers instead of {request.count}"
            )
        self._words[request.name] = words
        return words

    async def _asked_in_vain(self) -> bool:
        """Where the link is not up yet, have a request open it; tell whether that had no answer.

        It can take longer than any answer; later it comes up beside the readings. Meters of a
        line wait for it together. Raises ``MeterUnreachableError``.
        """
        if self._unit.connected:
            return False
        until = _now() + OPEN_TIMEOUT_S
        async with self._turn_by(until), _asking(self._unit) as asked:
            try:
                async with asyncio.timeout_at(until):
                    await until_open(self._unit, asked)
            except TimeoutError as err:
                self._errors.add("link")
                raise MeterUnreachableError(
                    error=f"no link within {OPEN_TIMEOUT_S:.0f} s"
                ) from err
            # Its answer is not to be taken for one to the next request.
            await asyncio.wait({asked}, timeout=self._patience_s(LIVE_TIMEOUT_S))
            return not asked.done() or asked.cancelled() or bool(asked.exception())

    async def _read(
        self, request: _Request, timeout_s: float, tries: int = 2
    ) -> list[int]:
        """Send a request, and once more when its answer is lost or garbled."""
        return await _insist(partial(self._ask, request, timeout_s), tries)

    async def _read_live(self, tries: int = 2) -> _Live:
        return self._live_in(await self._read(_LIVE, LIVE_TIMEOUT_S, tries))

    def _live_in(self, words: list[int]) -> _Live:
        """Return the live values in their words, as the installation has them."""
        voltage_dv = decode_int32(words[0:2], word_order="little")
        current_ma = decode_int32(words[2:4], word_order="little")
        power_dw = decode_int32(words[4:6], word_order="little")
        if not self._low_side_sensing:
            current_ma, power_dw = -current_ma, -power_dw
        return _Live(
            voltage_v=Decimal(voltage_dv).scaleb(-1),
            current_a=Decimal(current_ma).scaleb(-3),
            power_w=Decimal(power_dw).scaleb(-1),
        )

    async def _read_signature_type(self) -> int:
        """Read how the meter signs.

        Its answer is shorter than the request: where an adapter echoes that, the Modbus stack
        waits for the rest. Raises ``AdapterEchoesError`` where the meter is there all the same.
        """
        try:
            (signature_type,) = await self._read(_SIGNATURE_TYPE, BLOCK_TIMEOUT_S)
        except MeterUnreachableError as err:
            if self._behind_gateway or not isinstance(err.__cause__, TimeoutError):
                raise
            with suppress(UnexpectedAnswerError):  # the rest of what was waited for
                await self._read_live()
            raise AdapterEchoesError(error=err.details["error"]) from err
        return signature_type

    async def _read_public_key(self, scheme: SignatureScheme) -> PublicKey:
        padded = _bytes(await self._read(_public_key(scheme), BLOCK_TIMEOUT_S))
        try:
            return parse_public_key(padded[:-1], scheme)
        except ValueError as err:
            raise UnexpectedAnswerError(error=err) from err

    async def _read_block(self) -> bytes:
        """Read block and signature; of a meter that is gone, without keeping others off the line.

        What takes longer than it did is waited for twice as long each time, once it is known that
        somebody is there.
        """
        whole = self._whole_block
        if (took_s := self._durations_s.get(whole.name)) is None:
            return _bytes(await self._read(whole, BLOCK_TIMEOUT_S))
        timeout_s = min(max(LIVE_TIMEOUT_S, 1.5 * took_s), BLOCK_TIMEOUT_S)
        tries = 2
        for _ in range(_LATE_TRIES):
            words = await _insist(
                partial(self._ask_after_live, whole, timeout_s), tries
            )
            if words is not None:
                return _bytes(words)
            timeout_s = min(2 * timeout_s, BLOCK_TIMEOUT_S)
            tries = _LATE_TRIES
        await self._read_live(tries)
        return _bytes(await self._ask(whole, BLOCK_TIMEOUT_S))

    async def _ask_after_live(
        self, request: _Request, timeout_s: float
    ) -> list[int] | None:
        """See that the meter is there and send a request; None where only that has no answer.

        Both in one turn, or whoever starts or stops waits for a reading in between.
        """
        async with self._turn:
            await self._read_live(tries=1)
            try:
                return await self._ask(request, timeout_s)
            except MeterUnreachableError:
                pass
            except UnexpectedAnswerError as err:
                if not isinstance(err.__cause__, ModbusExceptionError):
                    # Asked at once, each question would meet the answer to the one before.
                    await asyncio.sleep(timeout_s)
        return None

    async def _settle_word_order(self, data: bytes) -> None:
        """Find the word order in which the block says what the meter shows live.

        Both fit while there is no voltage: then it stays an assumption. Raises
        ``WordOrderError`` when neither does, time and again.
        """
        for _ in range(_WORD_ORDER_TRIES):
            live = await self._read_live()
            orders: tuple[WordOrder, ...] = ("big", "little")
            blocks = {
                order: SignedBlock.parse(data[:BLOCK_LENGTH], word_order=order)
                for order in orders
            }
            fitting = [
                order for order in orders if _fits(blocks[order], live.voltage_v)
            ]
            if fitting:
                self._word_order = fitting[0]
                self._word_order_confirmed = len(fitting) == 1
                self._objection = None
                return
            # A voltage on its way up can be far ahead of the block by now.
            data = _bytes(await self._read(_BLOCK, BLOCK_TIMEOUT_S))
        raise WordOrderError(
            live=live.voltage_v,
            big=blocks["big"].voltage_v,
            little=blocks["little"].voltage_v,
        )

    def _is_genuine(self, data: bytes) -> bool | None:
        """Tell whether a block was signed with the key last read; None of a meter that signs none."""
        if self._scheme is None or self._public_key is None:
            return None
        return verify(
            data[:BLOCK_LENGTH], data[BLOCK_LENGTH:], self._public_key, self._scheme
        )

    async def _read_proof(self) -> bytes:
        """Read block and signature; once more when they do not fit, and then the key as well.

        What came altered the meter can say again. What it signs with another key says so.
        """
        data = await self._read_block()
        if self._scheme is None or self._is_genuine(data):
            return data
        data = await self._read_block()
        block = SignedBlock.parse(data[:BLOCK_LENGTH], word_order=self._word_order)
        is_it = block.serial_number == self.identity.serial_number
        if is_it and not self._is_genuine(data):
            with suppress(MeterUnreachableError, UnexpectedAnswerError):
                key = self._public_key = await self._read_public_key(self._scheme)
                self._identity = replace(
                    self.identity, public_key=_shown(key), public_key_form=key.form
                )
        return data

    async def _snapshot(self) -> Snapshot:
        try:
            data = await self._read_proof()
        except MeterUnreachableError:
            self._doubt()
            raise
        block = SignedBlock.parse(data[:BLOCK_LENGTH], word_order=self._word_order)
        self._take(block)
        energy_import_wh, energy_export_wh = self._directed(self._energy)
        return Snapshot(
            signed_value=self._signed_value(data),
            energy_import_wh=energy_import_wh,
            energy_export_wh=energy_export_wh,
            reversed=not self._low_side_sensing,
        )

    def _signed_value(self, data: bytes) -> SignedMeterValue | None:
        if self._scheme is None or self._public_key is None:
            return None
        return SignedMeterValue(
            signed_meter_data=b64encode(data).decode(),
            signing_method=self._scheme.name,
            encoding_method="",
            public_key=_shown(self._public_key),
        )

    async def _read_values(self, turn_until: float) -> _Live:
        """Read the live values, and the energies when they are due, in one turn."""
        async with self._turn_by(turn_until):
            if self._relink_is_due:
                self._relink_is_due = False
                if self._line.heard_at > self._in_vain_since:
                    # The link leads to others; next time they are to be heard anew.
                    self._in_vain_since = _now()
                else:
                    with suppress(ModbusError):
                        await self._unit.disconnect()
            live = self._live_in(await self._ask(_LIVE, LIVE_TIMEOUT_S))
            if self._energy_task is not None:
                if not self._energy_task.done():
                    return live
                energy_task, self._energy_task = self._energy_task, None
                energy_task.result()
            if _now() < self._energy_pace.due_at:
                return live
            if self._energy_pace.is_prompt:
                await self._read_energy(live)
            else:
                self._energy_task = asyncio.create_task(self._read_energy(live))
            return live

    @asynccontextmanager
    async def _turn_by(self, until: float) -> AsyncIterator[None]:
        """Hold the line, if it can be had by then. Raises ``LineBusyError``."""
        try:
            async with asyncio.timeout_at(until):
                await self._turn.acquire()
        except TimeoutError as err:
            self._errors.add("busy")
            raise LineBusyError(error="its line is busy") from err
        try:
            yield
        finally:
            self._turn.release()

    async def _read_energy(self, live: _Live) -> None:
        """Read the energies, or the whole block when something else is to be learnt from it."""
        pace = self._energy_pace
        whole = (
            not self._recognized
            or self._objection is not None
            or _now() >= self._block_due_at
            or (live.voltage_v != 0 and not self._word_order_confirmed)
        )
        request = _BLOCK if whole else _ENERGY
        try:
            data = _bytes(await self._ask_past_late_answers(request))
            if not whole and not self._recognized:
                return  # the link was down in between: a whole block is wanted now
            pace.answered(self._durations_s[request.name])
            if whole:
                if not self._word_order_confirmed:
                    await self._settle_word_order(data)
                self._take(SignedBlock.parse(data, word_order=self._word_order))
            else:
                self._take_energy(
                    EnergyRecords.parse(data, word_order=self._word_order)
                )
        except (WrongMeterError, WordOrderError) as err:
            self._objection = err
        except MeterUnreachableError:
            pace.missed()
        except UnexpectedAnswerError:
            pass  # it says nothing of how long they take: the next reading asks again

    async def _ask_past_late_answers(self, request: _Request) -> list[int]:
        """Send a request; once more when something else was answered, while there is time.

        Where what was asked before is answered late, the right answer comes next.
        """
        pace = self._energy_pace
        async with self._turn:
            until = _now() + pace.timeout_s
            try:
                return await self._ask(request, pace.timeout_s)
            except UnexpectedAnswerError:
                rest_s = until - _now()
                if rest_s <= pace.expected_s or not self._unit.connected:
                    raise
                with suppress(MeterUnreachableError):
                    return await self._ask(request, rest_s)
                raise

    def _take(self, block: SignedBlock) -> None:
        """Note what a whole block says. Raises ``WrongMeterError``."""
        if block.serial_number != self.identity.serial_number:
            self._objection = WrongMeterError(
                found=block.serial_number, expected=self.identity.serial_number
            )
            raise self._objection
        if isinstance(self._objection, WrongMeterError):
            self._objection = None
        self._recognized = True
        self._cable_resistance_ohm = block.cable_resistance_ohm
        self._block_due_at = _now() + BLOCK_INTERVAL_S
        self._take_energy(block)

    def _take_energy(self, energy: EnergyRecords) -> None:
        # In the wrong word order, while one is assumed, a register reads as absurd.
        self._energy = energy if energy.possible and self._objection is None else None
        self._energy_read_at = uptime_s()

    def _known_energy(self) -> EnergyRecords | None:
        max_age_s = ENERGY_MAX_AGE_S + 2 * self._energy_pace.interval_s
        too_old = uptime_s() > self._energy_read_at + max_age_s
        return self._energy if self._recognized and not too_old else None

    def _directed(
        self, energy: EnergyRecords | None
    ) -> tuple[Decimal | None, Decimal | None]:
        """Return import and export as the installation has them."""
        if energy is None:
            return None, None
        if self._low_side_sensing:
            return energy.energy_import_wh, energy.energy_export_wh
        return energy.energy_export_wh, energy.energy_import_wh

    def _object(self) -> None:
        if self._objection is not None:
            raise self._objection.with_traceback(None)

    def _doubt(self) -> None:
        """Have the next whole block show, at once, that the same meter is there."""
        self._recognized = False
        self._energy_pace.begin_anew()


class EnergyPace:
    """How often to ask for the energies, and how long to wait, by what they took before."""

    def __init__(self, expected_s: float = 0.0) -> None:
        """Be ready to ask a meter that may take so long."""
        self.expected_s = expected_s
        self.interval_s = 0.0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Ask at once; what was missed while the line was lost says nothing of the meter."""
        self.took_s = self.expected_s
        self.due_at = 0.0
        self.timeout_s = _energy_timeout_s(self.expected_s)
        self._missed = 0

    def forgive(self) -> None:
        """Begin anew if any was missed: more likely through the line than through the meter."""
        if self._missed:
            self.begin_anew()

    @property
    def is_prompt(self) -> bool:
        """Whether the answer can be expected within a reading."""
        return self.took_s <= ENERGY_PATIENCE_S

    def answered(self, after_s: float) -> None:
        """Go by what the answer took, and by the one before where that was faster.

        A slow one alone may be the line's, or this machine's.
        """
        faster_s = min(after_s, self.expected_s or after_s)
        self.expected_s = self.took_s = after_s
        self._missed = 0
        self.timeout_s = _energy_timeout_s(after_s)
        self.interval_s = max(0.0, faster_s - ENERGY_PROMPT_S) / ENERGY_SHARE
        self.due_at = _now() + self.interval_s

    def missed(self) -> None:
        """Give it more time, less often, unless it was prompt until now."""
        self.took_s = self.timeout_s
        self._missed += 1
        if self.timeout_s <= ENERGY_TIMEOUT_S and self._missed < MISSED_AT_ONCE:
            return
        self.due_at = _now() + (self.timeout_s - ENERGY_TIMEOUT_S) / MISSED_SHARE
        self.timeout_s = _energy_timeout_s(self.timeout_s)


def _energy_timeout_s(took_s: float) -> float:
    return min(max(ENERGY_TIMEOUT_S, 2 * took_s), BLOCK_TIMEOUT_S)


async def _insist[T](ask: Callable[[], Awaitable[T]], tries: int) -> T:
    """Ask once more, or so many times in all, when an answer is lost or garbled.

    That the line was busy afterwards tells less than what was asked before.
    """
    failure: MeterUnreachableError | UnexpectedAnswerError | None = None
    for _ in range(tries - 1):
        try:
            return await ask()
        except LineBusyError:
            pass
        except (MeterUnreachableError, UnexpectedAnswerError) as err:
            failure = err
    try:
        return await ask()
    except LineBusyError as err:
        raise failure or err from err


@asynccontextmanager
async def _asking(unit: ModbusUnit) -> AsyncIterator[asyncio.Task[list[int]]]:
    """Ask for the live values, whatever comes of it."""
    asked = asyncio.create_task(unit.read_input_registers(LIVE_ADDRESS, LIVE_COUNT))
    try:
        yield asked
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


async def until_open(unit: ModbusUnit, asked: asyncio.Task[list[int]]) -> None:
    """Wait for the link, which the first request opens in its own time."""
    while not (unit.connected or asked.done()):
        await asyncio.wait({asked}, timeout=0.01)


def _fits(block: SignedBlock, live_voltage_v: Decimal) -> bool:
    """Whether a meter that shows this voltage can have written this block.

    Wide, for the voltage moves between the two; the wrong word order is off by 65536.
    """
    if live_voltage_v == 0:
        return block.possible
    tolerance_v = 20 + max(abs(live_voltage_v), abs(block.voltage_v)) / 2
    return block.possible and abs(live_voltage_v - block.voltage_v) <= tolerance_v


def _shown(public_key: PublicKey) -> str:
    return public_key.point.hex().upper()


def _bytes(words: list[int]) -> bytes:
    return pack(f">{len(words)}H", *words)


def _now() -> float:
    return asyncio.get_running_loop().time()
