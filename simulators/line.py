"""An RS485 line with meters on it, reached through a pseudo terminal or a network gateway.

Frames are decoded and built by pymodbus; the line adds what a wire has: its pace, silence
where nobody answers, and faults.
"""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
import os
from pathlib import Path
import tempfile
import termios
import tty
from typing import Any, ClassVar, Literal, Protocol, Self

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
)

from .faults import Faults

type Parity = Literal["N", "E"]

MAX_FRAME = 260
MAX_READ = 125

CHUNK_S = 0.01
"""Answers reach the master in pieces of so many seconds, much as through a USB adapter."""

CARRIED_S = 0.002
CARRIED_FOR_S = 0.01
"""By so much a line makes up for timers that go off late, up to a millisecond each, where a
request follows an answer as soon as it can."""

MAX_GAP_S = 0.1
"""A frame that stays unfinished for so long is given up. The standard says 1.5 characters, which
no operating system keeps."""

MIN_SILENCE_S = 0.001_75
"""Between frames, whatever the pace (Modbus over serial line, 2.5.1.1)."""

NOISE = bytes((0x00, 0xFF, 0xFE, 0xF0, 0x80))

MAX_ADDRESS = 247
MAX_EXCEPTION = 11
"""The greatest exception code that Modbus knows."""


class ModbusMeter(Protocol):
    """What a line needs of a meter."""

    address: int
    powered: bool

    async def read_input_registers(
        self, address: int, count: int
    ) -> list[int] | ExcCodes:
        """Answer function code 4 with registers or an exception code."""


class Line(ABC):
    """The wire: who is on it, how fast it is, what is wrong with it. One request at a time."""

    ACTIONS: ClassVar[tuple[str, ...]] = (
        "cut",
        "mend",
        "drop",
        "corrupt",
        "truncate",
        "stranger",
        "echo",
        "garbage",
        "exception",
        "late",
        "delay",
    )

    def __init__(
        self,
        meters: Iterable[ModbusMeter] = (),
        *,
        baud_rate: int = 9600,
        parity: Parity = "N",
        stop_bits: Literal[1, 2] = 1,
    ) -> None:
        """Lay the line; meters are told apart by their addresses."""
        self._meters: dict[int, ModbusMeter] = {}
        for meter in meters:
            self.connect(meter)
        self.baud_rate = baud_rate
        self.parity = parity
        self.stop_bits = stop_bits
        self.character_s = (1 + 8 + (parity != "N") + stop_bits) / baud_rate
        """What one byte takes."""
        self.silence_s = max(3.5 * self.character_s, MIN_SILENCE_S)
        self.requests = 0
        """Requests heard so far, whoever they were for."""
        self._rtu = FramerRTU(DecodePDU(True))
        self._turn = asyncio.Lock()
        self._cut: Literal["silent", "mute", "unplugged"] | None = None
        self._faults = Faults()
        self._exception_code: int = ExcCodes.DEVICE_FAILURE
        self._delay_s = 0.0
        self._held_back_s = 0.0
        self._sent_at_s = 0.0
        self._late_s = 0.0
        """How much later than on a wire what passed last was through: this machine's share."""

    def connect(self, meter: ModbusMeter) -> None:
        """Put a meter on the line. Raises ``ValueError`` when its address is taken."""
        if meter.address in self._meters:
            raise ValueError(f"address {meter.address} is taken on this line")
        self._meters[meter.address] = meter

    async def cut(
        self, *, mode: Literal["silent", "mute", "unplugged"] = "silent"
    ) -> None:
        """Cut the line: silent loses every byte, mute is a gateway that never answers, unplugged takes the port itself away."""
        if mode == "unplugged" and self._cut != "unplugged":
            await self._unplug()
        elif mode != "unplugged" and self._cut == "unplugged":
            await self._plug()
        self._cut = mode

    async def mend(self) -> None:
        """Make the line whole again and forget every fault."""
        if self._cut == "unplugged":
            await self._plug()
        self._cut = None
        self._faults.clear()
        self._delay_s = 0.0

    def drop(self, *, count: int = 1) -> None:
        """Lose the next answers."""
        self._faults.plan("drop", count)

    def corrupt(self, *, count: int = 1) -> None:
        """Send the next answers with a wrong CRC."""
        self._faults.plan("corrupt", count)

    def truncate(self, *, count: int = 1) -> None:
        """Break the next answers off in their middle."""
        self._faults.plan("truncate", count)

    def stranger(self, *, count: int = 1) -> None:
        """Send the next answers as if another address had given them."""
        self._faults.plan("stranger", count)

    def echo(self, *, count: int = 1) -> None:
        """Send the request back before the next answers, as two wires do without care."""
        self._faults.plan("echo", count)

    def garbage(self, *, count: int = 1) -> None:
        """Send noise before the next answers."""
        self._faults.plan("garbage", count)

    def exception(self, *, count: int = 1, code: int = ExcCodes.DEVICE_FAILURE) -> None:
        """Answer the next requests with a Modbus exception."""
        if not 1 <= code <= MAX_EXCEPTION:
            raise ValueError(f"code is from 1 to {MAX_EXCEPTION}")
        self._exception_code = code
        self._faults.plan("exception", count)

    def late(self, *, count: int = 1, seconds: float) -> None:
        """Hold the next answers back by so many seconds: they meet what is asked meanwhile."""
        if seconds < 0:
            raise ValueError("seconds is not negative")
        self._held_back_s = seconds
        self._faults.plan("late", count)

    def delay(self, *, seconds: float) -> None:
        """Hold every answer back by so many seconds; 0 ends it."""
        if seconds < 0:
            raise ValueError("seconds is not negative")
        self._delay_s = seconds

    def describe(self) -> dict[str, Any]:
        """Return the line's state for the control interface."""
        return {
            "baud_rate": self.baud_rate,
            "parity": self.parity,
            "stop_bits": self.stop_bits,
            "addresses": sorted(self._meters),
            "requests": self.requests,
            "cut": self._cut,
            "faults": self._faults.describe(),
            "delay_s": self._delay_s,
        }

    async def __aenter__(self) -> Self:
        """Open the line."""
        await self._plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take the line away and leave nothing behind."""
        if self._cut != "unplugged":
            await self._unplug()

    @abstractmethod
    async def _plug(self) -> None:
        """Make the line reachable."""

    @abstractmethod
    async def _unplug(self) -> None:
        """Make the line vanish."""

    async def _converse(
        self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]
    ) -> None:
        """Answer RTU frames until ``receive`` gives nothing more."""
        pending = b""
        while True:
            try:
                async with asyncio.timeout(MAX_GAP_S if pending else None):
                    received = await receive()
            except TimeoutError:
                pending = b""
                continue
            if not received:
                return
            pending = (pending + received)[-MAX_FRAME:]
            request = decode(self._rtu, pending)
            if request is not None:
                async with self._turn:
                    await self._transmit(
                        await self._exchange(request, len(pending)), send
                    )
                pending = b""

    async def _exchange(self, request: ModbusPDU, length: int) -> bytes:
        """Carry a request to its meter and return the RTU frame that comes back, if any."""
        takes_s = length * self.character_s + self.silence_s
        began_s = _now()
        if began_s - self._sent_at_s < CARRIED_FOR_S:
            # Who waited for the answer before would have gone on that much earlier.
            began_s -= min(self._late_s, CARRIED_S)
        await asyncio.sleep(began_s + takes_s - _now())
        self._late_s = _now() - began_s - takes_s
        self.requests += 1
        meter = self._meters.get(request.dev_id)
        if self._cut or meter is None or not meter.powered:
            return b""
        response = await self._execute(meter, request)
        held_back_s = self._held_back_s if self._faults.strikes("late") else 0
        await asyncio.sleep(self._delay_s + held_back_s)
        if not meter.powered or self._faults.strikes("drop"):
            return b""
        response.dev_id = request.dev_id
        if self._faults.strikes("stranger"):
            response.dev_id = request.dev_id % MAX_ADDRESS + 1
        frame = self._rtu.buildFrame(response)
        if self._faults.strikes("corrupt"):
            frame = frame[:-1] + bytes((frame[-1] ^ 0xFF,))
        if self._faults.strikes("truncate"):
            frame = frame[: len(frame) // 2]
        if self._faults.strikes("garbage"):
            frame = NOISE + frame
        if self._faults.strikes("echo"):
            frame = self._rtu.buildFrame(request) + frame
        return frame

    async def _execute(self, meter: ModbusMeter, request: ModbusPDU) -> ModbusPDU:
        if self._faults.strikes("exception"):
            return ExceptionResponse(request.function_code, self._exception_code)
        if not isinstance(request, ReadInputRegistersRequest):
            return ExceptionResponse(request.function_code, ExcCodes.ILLEGAL_FUNCTION)
        if not 1 <= request.count <= MAX_READ:
            return ExceptionResponse(request.function_code, ExcCodes.ILLEGAL_VALUE)
        answer = await meter.read_input_registers(request.address, request.count)
        if isinstance(answer, ExcCodes):
            return ExceptionResponse(request.function_code, answer)
        return ReadInputRegistersResponse(registers=answer)

    async def _transmit(self, frame: bytes, send: Callable[[bytes], None]) -> None:
        """Send at the line's pace: no byte is there before it can be."""
        started = _now() - self._late_s
        size = max(1, int(CHUNK_S / self.character_s))
        for begin in range(0, len(frame), size):
            chunk = frame[begin : begin + size]
            due = started + (begin + len(chunk)) * self.character_s
            await asyncio.sleep(due - _now())
            if self._cut:
                return
            self._sent_at_s = _now()
            self._late_s = self._sent_at_s - due
            send(chunk)


class SerialLine(Line):
    """A line whose master end is a pseudo terminal, at a path that survives unplugging."""

    def __init__(
        self,
        meters: Iterable[ModbusMeter] = (),
        *,
        baud_rate: int = 9600,
        parity: Parity = "N",
        stop_bits: Literal[1, 2] = 1,
        link: Path | None = None,
    ) -> None:
        """Lay the line; ``link`` is the path to open, one in a folder of its own when left out."""
        super().__init__(
            meters, baud_rate=baud_rate, parity=parity, stop_bits=stop_bits
        )
        self._given_link = link
        self.link = link or Path()

    @property
    def path(self) -> str:
        """What a client opens, while the line is open."""
        return str(self.link)

    async def __aenter__(self) -> Self:
        """Open the line."""
        if self._given_link is None:
            self.link = Path(tempfile.mkdtemp(prefix="serial-line-"), "port")
        return await super().__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        """Take the line away and leave nothing behind."""
        await super().__aexit__(*exc_info)
        if self._given_link is None:
            self.link.parent.rmdir()

    async def _plug(self) -> None:
        if self.link.is_symlink():  # one that a killed process left
            self.link.unlink()
        elif self.link.exists():
            raise FileExistsError(f"{self.link} is there and no link")
        # The slave stays open here too: it keeps the terminal alive between two clients.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.link.symlink_to(os.ttyname(self._slave))
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self._master, self._hear)
        self._task = asyncio.create_task(self._converse(self._heard.get, self._send))

    async def _unplug(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self.link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)

    def _hear(self) -> None:
        data = os.read(self._master, MAX_FRAME)
        settings = termios.tcgetattr(self._slave)
        # Another baud rate is noise to the meters. A pty keeps no parity, so that is not checked.
        if not self._cut and settings[5] == getattr(termios, f"B{self.baud_rate}"):
            self._heard.put_nowait(data)
        # A pty drops parity, and glibc fails a client's settings of which nothing takes effect:
        # leave the next client something to change.
        settings[2] &= ~termios.CLOCAL
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)

    def _send(self, data: bytes) -> None:
        with suppress(
            BlockingIOError
        ):  # nobody reads and the terminal's buffer is full
            os.write(self._master, data)


class TcpGateway(Line):
    """The same line behind a network gateway on 127.0.0.1: Modbus TCP, or RTU over TCP."""

    def __init__(
        self,
        meters: Iterable[ModbusMeter] = (),
        *,
        framer: Literal["socket", "rtu"] = "socket",
        port: int = 0,
        timeout_s: float = 1.0,
        says_no: bool = True,
        baud_rate: int = 9600,
        parity: Parity = "N",
        stop_bits: Literal[1, 2] = 1,
    ) -> None:
        """Lay the line; a Modbus TCP gateway waits ``timeout_s`` for a meter, and may say no then."""
        super().__init__(
            meters, baud_rate=baud_rate, parity=parity, stop_bits=stop_bits
        )
        self.host = "127.0.0.1"
        self.port = port
        self.framer = framer
        self._timeout_s = timeout_s
        self._says_no = says_no
        self._mbap = FramerSocket(DecodePDU(True))
        self._rtu_master = FramerRTU(DecodePDU(False))
        self._conversations: set[asyncio.Task[None]] = set()

    async def _plug(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _unplug(self) -> None:
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async def receive() -> bytes:
            return await reader.read(MAX_FRAME)

        converse = self._converse if self.framer == "rtu" else self._translate
        task = asyncio.create_task(converse(receive, writer.write))
        self._conversations.add(task)
        try:
            with suppress(asyncio.CancelledError, ConnectionError):
                await task
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _translate(
        self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]
    ) -> None:
        """Answer Modbus TCP, passing every request on to the line as RTU."""
        pending = b""
        while received := await receive():
            pending += received
            while (request := decode(self._mbap, pending)) is not None:
                pending = pending[6 + int.from_bytes(pending[4:6]) :]
                if self._cut == "mute":
                    continue
                response = await self._forward(request)
                if self._says_no or not response.isError():
                    send(self._mbap.buildFrame(response))

    async def _forward(self, request: ModbusPDU) -> ModbusPDU:
        answer = bytearray()
        async with self._turn:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    frame = await self._exchange(
                        request, len(self._rtu.buildFrame(request))
                    )
                    await self._transmit(frame, answer.extend)
                    if not frame:
                        await asyncio.sleep(self._timeout_s)
        response = decode(self._rtu_master, bytes(answer))
        if response is None or response.dev_id != request.dev_id:
            response = ExceptionResponse(
                request.function_code, ExcCodes.GATEWAY_NO_RESPONSE
            )
        response.dev_id = request.dev_id
        response.transaction_id = request.transaction_id
        return response


def decode(framer: FramerRTU | FramerSocket, data: bytes) -> ModbusPDU | None:
    """Return the PDU in these bytes; None when they are none, or not all there."""
    with suppress(ModbusIOException):
        return framer.handleFrame(data, 0, 0)[1]
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
