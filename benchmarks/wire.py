"""Lines that count what passes over them, and what physics asks of a line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import time
from typing import NamedTuple, Self, override

from pymodbus.pdu import ModbusPDU

from simulators.dct1 import SimulatedDct1
from simulators.line import SerialLine

REQUEST_BYTES = 8
"""Address, function code, two bytes each of address and count, CRC."""

ANSWER_BYTES = 5
"""Beside the registers: address, function code, byte count, CRC."""

OURS = (6, 20)
"""Registers of each request for a reading: voltage, current and power; the energies."""

YAML = (2, 2, 2, 4, 4)
"""The same five values, one request each."""

WHOLE = 77
"""Registers that are read in place of the energies every five minutes."""

RECEIPT = (6, WHOLE + 48)
"""Registers for a snapshot of a DCT1 that signs with 384 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What passed over a line in some time."""

    requests: int = 0
    bytes: int = 0
    took_s: float = 0
    """Of the clock, from the first byte of each request to the last of its answer."""

    def __sub__(self, earlier: Traffic) -> Traffic:
        """Return what passed since."""
        return Traffic(
            requests=self.requests - earlier.requests,
            bytes=self.bytes - earlier.bytes,
            took_s=self.took_s - earlier.took_s,
        )


class Exchange(NamedTuple):
    """A request and its answer, by this machine's monotonic clock."""

    began_at: float
    """When the request was heard."""

    ended_at: float
    """When the last byte of the answer was sent."""

    registers: int


class WatchedLine(SerialLine):
    """A serial line that counts."""

    traffic = Traffic()

    def __init__(self, meters: Sequence[SimulatedDct1], *, baud_rate: int) -> None:
        """Lay a line with 8N1."""
        super().__init__(meters, baud_rate=baud_rate)
        self.meters = meters

    @override
    async def __aenter__(self) -> Self:
        """Open the line, with nothing counted."""
        self.busy: list[Exchange] = []
        """What took the line, in its order."""
        self._heard_at = 0.0
        return await super().__aenter__()

    @override
    async def _exchange(self, request: ModbusPDU, length: int) -> bytes:
        self._heard_at = time.monotonic()
        frame = await super()._exchange(request, length)
        self._count(requests=1, bytes_=length)
        return frame

    @override
    async def _transmit(self, frame: bytes, send: Callable[[bytes], None]) -> None:
        sent_at = 0.0

        def note(chunk: bytes) -> None:
            # Before, for whoever hears it may be done before this process goes on.
            nonlocal sent_at
            sent_at = time.monotonic()
            send(chunk)

        await super()._transmit(frame, note)
        if not sent_at:
            return
        registers = (len(frame) - ANSWER_BYTES) // 2
        self.busy.append(Exchange(self._heard_at, sent_at, registers))
        took_s = sent_at - self._heard_at + self.silence_s
        self._count(bytes_=len(frame), took_s=took_s)

    def _count(self, requests: int = 0, bytes_: int = 0, took_s: float = 0) -> None:
        before = self.traffic
        self.traffic = Traffic(
            requests=before.requests + requests,
            bytes=before.bytes + bytes_,
            took_s=before.took_s + took_s,
        )

    def busy_s(self, began_at: float, ended_at: float) -> float:
        """Return for how long the line was taken within this time, by the clock."""
        return sum(
            max(0, min(one.ended_at, ended_at) - max(one.began_at, began_at))
            for one in self.busy
        )

    def bus_s(self, traffic: Traffic) -> float:
        """Return how long the line is taken by this, silence before and after included."""
        silences_s = 2 * traffic.requests * self.silence_s
        return traffic.bytes * self.character_s + silences_s

    def least_s(self, *counts: int) -> float:
        """Return the least time that requests for so many registers each take."""
        size = sum(REQUEST_BYTES + ANSWER_BYTES + 2 * count for count in counts)
        return self.bus_s(Traffic(requests=len(counts), bytes=size))
