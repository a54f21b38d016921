"""Look for DCT1s: which settings a line runs with, and who answers at which address."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import product

from modbus_connection import (
    GatewayPathUnavailableError,
    GatewayTargetError,
    ModbusConnectionError,
    ModbusError,
    ModbusExceptionError,
    ModbusSerialParams,
    ModbusTcpParams,
    ModbusUnit,
)

from .dct1 import (
    GATEWAY_PATIENCE_S,
    LIVE_ADDRESS,
    LIVE_COUNT,
    OPEN_TIMEOUT_S,
    SHARED_PATIENCE_S,
    Dct1,
    until_open,
)
from .errors import MeterUnreachableError, UnexpectedAnswerError
from .meter import MeterIdentity
from .turn import Turn

FACTORY_ADDRESS = 1
"""As sister meters leave the factory (inferred)."""

LOW_ADDRESSES = range(2, 11)
"""What people give the next meters of a line."""

HIGH_ADDRESSES = range(11, 248)

ANSWER_S = 0.25
"""Within this a meter begins to answer. For an older meter of the manufacturer, the UDM, its
protocol document gives 60 ms as typical and 600 ms as the most; the DCT1's own is not known."""

ADAPTER_S = 0.02
"""What a USB adapter holds bytes back (16 ms with FTDI's default latency timer)."""

NETWORK_S = 0.1
"""What a gateway or a serial proxy in a local network adds."""

SLOWEST_BAUDRATE = 9600

_PROBE_CHARACTERS = 8 + 17 + 7
"""The live values' request and answer, and the silence of 3.5 characters around each."""


type Line = ModbusSerialParams | ModbusTcpParams


@dataclass(frozen=True, kw_only=True)
class OpenLine:
    """A line that is held open."""

    unit: Callable[[int], AbstractAsyncContextManager[ModbusUnit]]
    """Hold the unit at an address."""

    turn: Turn
    """Held for each request; see ``Dct1``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundDct1:
    """A meter, and where it answers."""

    line: Line
    address: int
    identity: MeterIdentity


class _Answer(Enum):
    SILENCE = auto()
    GATEWAY = auto()
    """A gateway says that nobody answers: what is spoken to it is understood."""
    GARBLED = auto()
    EXCEPTION = auto()
    LIVE = auto()


def patience_s(line: Line) -> float:
    """Return how long an address has to answer before it counts as silent."""
    if isinstance(line, ModbusTcpParams):
        return GATEWAY_PATIENCE_S
    remote = "://" in line.device
    # A socket has no baud rate; the line behind it may be the slowest.
    baudrate = SLOWEST_BAUDRATE if remote else line.baudrate
    bits = 1 + line.bytesize + (line.parity != "N") + line.stopbits
    return (
        ANSWER_S
        + _PROBE_CHARACTERS * bits / baudrate
        + (NETWORK_S if remote else ADAPTER_S)
    )


@dataclass(kw_only=True)
class Dct1Search:
    """A search that can be interrupted at each meter found.

    It begins with the factory address at all settings, goes on with the low ones and then with
    all addresses at the first settings, and in a second stretch takes the rest. All devices of
    a line have the same settings: once anybody answers, the other addresses at those settings
    make the stretch.
    """

    lines: Sequence[Line]
    """What the line may be, the likeliest first."""

    open_line: Callable[[Line], AbstractAsyncContextManager[OpenLine]]
    """Raises whatever says that the line cannot be had; ``go_on`` lets it through."""

    known: Collection[str] = ()
    """Serial numbers of meters whose being found is no news."""

    taken: Collection[int] = ()
    """Addresses that are not to be asked, for somebody else does."""

    shared: bool = False
    """Whether others ask on the line meanwhile: they are left half the time."""

    found: list[FoundDct1] = field(default_factory=list)
    others: set[int] = field(default_factory=set)
    """Addresses at which something answers that is no DCT1, or more than one thing at once."""

    def __post_init__(self) -> None:
        """Put the addresses in order."""
        first, *rest = self.lines
        self._due = deque(
            [
                *self._at(self.lines, [FACTORY_ADDRESS]),
                *self._at(self.lines, LOW_ADDRESSES),
                *self._at([first], HIGH_ADDRESSES),
            ]
        )
        self._later = deque(self._at(rest, HIGH_ADDRESSES))
        self._answering: set[Line] = set()

    @property
    def is_over(self) -> bool:
        """Whether every address was asked at all settings."""
        return not self._due

    @property
    def due_lines(self) -> list[Line]:
        """The settings of the next stretch."""
        return list(dict.fromkeys(line for line, _ in self._due))

    @property
    def expected_s(self) -> float:
        """How long the next stretch takes when nobody answers."""
        pauses = 2 if self.shared else 1
        return pauses * sum(self._patience_s(line) for line, _ in self._due)

    async def go_on(self, progress: Callable[[float], None]) -> FoundDct1 | None:
        """Search until another meter is found; None at the end of a stretch.

        A stretch ends where the likely places have been searched, and there is more to
        search unless ``is_over``. ``progress`` is told its share of 1. The line is open only
        meanwhile. Raises ``MeterUnreachableError`` when it cannot be opened with any settings.
        """
        total_s = self.expected_s
        lost: Exception | None = None
        found: FoundDct1 | None = None
        while self._due and found is None:
            line = self._due[0][0]
            try:
                async with self.open_line(line) as opened:
                    with _speaking(opened):
                        while self._due and self._due[0][0] == line and found is None:
                            found = await self._ask(line, self._due[0][1], opened)
                            self._due.popleft()
                            progress(max(0.0, 1 - self.expected_s / total_s))
            except _LineLostError as err:
                lost = err.cause
                self._leave(line)
        if lost is not None and not self._due and not self._later and not self._heard:
            raise MeterUnreachableError(error=lost) from lost
        if not self._due:
            self._due, self._later = self._later, self._due
        return found

    def _patience_s(self, line: Line) -> float:
        return (
            min(patience_s(line), SHARED_PATIENCE_S)
            if self.shared
            else patience_s(line)
        )

    def _at(
        self, lines: Iterable[Line], addresses: Iterable[int]
    ) -> Iterator[tuple[Line, int]]:
        untaken = [address for address in addresses if address not in self.taken]
        return product(lines, untaken)

    @property
    def _heard(self) -> bool:
        return bool(self.found or self.others or self._answering)

    def _leave(self, line: Line) -> None:
        """Ask no more with settings that the link does not come up with."""
        self._due = deque(item for item in self._due if item[0] != line)
        self._later = deque(item for item in self._later if item[0] != line)

    def _stay(self, line: Line) -> None:
        """Take the settings for the line's own, for they were answered."""
        if line not in self._answering:
            self._answering.add(line)
            items = [*self._due, *self._later]
            self._due = deque(item for item in items if item[0] == line)
            self._later = deque(item for item in items if item[0] != line)

    async def _ask(
        self, line: Line, address: int, opened: OpenLine
    ) -> FoundDct1 | None:
        """Find out who is at an address; return a meter that is news."""
        async with opened.unit(address) as unit:
            answer = await _probe(unit, self._patience_s(line), opened.turn)
            if answer is _Answer.GARBLED:
                answer = await _probe(unit, self._patience_s(line), opened.turn)
            if answer in (_Answer.GATEWAY, _Answer.EXCEPTION, _Answer.LIVE):
                self._stay(line)
            if answer in (_Answer.SILENCE, _Answer.GATEWAY):
                if self.shared:
                    await asyncio.sleep(self._patience_s(line))
                return None
            identity = None
            if answer is _Answer.LIVE:
                async with _dct1(unit, line, opened.turn) as meter:
                    with suppress(MeterUnreachableError, UnexpectedAnswerError):
                        identity = await meter.identify()
        if identity is None:
            self.others.add(address)
            return None
        # Where one stop bit or two makes no difference it answers to both.
        if any(found.identity == identity for found in self.found):
            return None
        found = FoundDct1(line=line, address=address, identity=identity)
        self.found.append(found)
        return None if identity.serial_number in self.known else found


class _LineLostError(Exception):
    """The link does not come up, or broke down."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def _speaking(opened: OpenLine) -> Iterator[None]:
    """Let meters of the line know that they share it."""
    opened.turn.speakers.add(opened)
    try:
        yield
    finally:
        opened.turn.speakers.discard(opened)


@asynccontextmanager
async def _dct1(unit: ModbusUnit, line: Line, turn: Turn) -> AsyncIterator[Dct1]:
    meter = Dct1(unit, turn=turn, behind_gateway=isinstance(line, ModbusTcpParams))
    try:
        yield meter
    finally:
        await meter.close()
        # The line may outlive the search, and is not to keep the meter's patience.
        unit.require_timeout(None)


async def _probe(unit: ModbusUnit, timeout_s: float, turn: Turn) -> _Answer:
    """Ask once for the live values."""
    async with turn:
        reading = asyncio.create_task(
            unit.read_input_registers(LIVE_ADDRESS, LIVE_COUNT)
        )
        try:
            await _opened(unit, reading)
            async with asyncio.timeout(timeout_s):
                await reading
        except TimeoutError:
            return _Answer.SILENCE
        except (ModbusConnectionError, OSError) as err:
            raise _LineLostError(err) from err
        except GatewayPathUnavailableError, GatewayTargetError:
            return _Answer.GATEWAY
        except ModbusExceptionError:
            return _Answer.EXCEPTION
        except ModbusError:
            return _Answer.GARBLED
        finally:
            reading.cancel()
    return _Answer.LIVE


async def _opened(unit: ModbusUnit, reading: asyncio.Task[list[int]]) -> None:
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await until_open(unit, reading)
    except TimeoutError as err:
        raise _LineLostError(err) from err
