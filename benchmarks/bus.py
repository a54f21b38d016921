"""What a DCT1 at 9600 baud costs its line, as against Home Assistant's own Modbus sensors."""

import asyncio
from contextlib import AsyncExitStack

from .home import dct1, home, modbus_yaml
from .result import Must, Result
from .wire import OURS, YAML, Traffic, WatchedLine

SETTLE_S = 5


async def ask(*, quick: bool) -> list[Result]:
    """Read the same meter both ways at once, each on a line of its own; count on the lines."""
    runs, run_s = (3, 10) if quick else (5, 30)
    async with AsyncExitStack() as stack:
        line, theirs = lines = [
            await stack.enter_async_context(WatchedLine([dct1()], baud_rate=9600))
            for _ in range(2)
        ]
        ours = await stack.enter_async_context(home())
        await stack.enter_async_context(home(modbus_yaml([theirs])))
        await ours.add_dct1(line, line.meters[0])
        await asyncio.sleep(SETTLE_S)
        passed: list[list[Traffic]] = [[], []]
        for _ in range(runs):
            before = [one.traffic for one in lines]
            await asyncio.sleep(run_s)
            for counted, one, earlier in zip(passed, lines, before, strict=True):
                counted.append(one.traffic - earlier)
    bus_ms = [[line.bus_s(traffic) / run_s * 1000 for traffic in one] for one in passed]
    readings = [
        [traffic.requests / needed / run_s for traffic in one]
        for one, needed in zip(passed, (len(OURS), len(YAML)), strict=True)
    ]
    requests = [[traffic.requests / run_s for traffic in one] for one in passed]
    limit_ms = line.least_s(*OURS) * 1000
    return [
        Result.of(
            "DCT1 at 9600 baud: requests",
            requests[0],
            "1/s",
            peer=requests[1],
            must=Must(bound=2),
        ),
        Result.of(
            "DCT1 at 9600 baud: bytes both ways",
            [traffic.bytes / run_s for traffic in passed[0]],
            "B/s",
            peer=[traffic.bytes / run_s for traffic in passed[1]],
        ),
        Result.of(
            "DCT1 at 9600 baud: bus time, as against YAML",
            bus_ms[0],
            "ms/s",
            peer=bus_ms[1],
            limit=limit_ms,
            must=Must(bound=0.8, of="peer"),
        ),
        Result.of(
            "DCT1 at 9600 baud: bus time, as against the limit",
            bus_ms[0],
            "ms/s",
            limit=limit_ms,
            must=Must(bound=1.1, of="limit"),
        ),
        Result.of(
            "DCT1 at 9600 baud: bus time of one reading of the five values",
            [ms / rate for ms, rate in zip(bus_ms[0], readings[0], strict=True)],
            "ms",
            peer=[ms / rate for ms, rate in zip(bus_ms[1], readings[1], strict=True)],
            limit=limit_ms,
        ),
        Result.of("DCT1 at 9600 baud: readings", readings[0], "1/s", peer=readings[1]),
        Result.of(
            "simulated line: time it takes, its limit computed from what passed",
            [traffic.took_s / run_s * 1000 for traffic in passed[0]],
            "ms/s",
            limit=bus_ms[0][0],
        ),
    ]
