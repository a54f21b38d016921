"""How many DCT1s a line serves each second, and what happens when there are more."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from .cadence import Window, missed
from .home import dct1, home
from .result import Must, Result
from .wire import OURS, WatchedLine

BAUD_RATES = (9600, 19200, 38400, 57600, 115200)
SETTLE_S = 5
BEYOND = 1.3
"""How many times the limit is too many."""


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What was seen of a line with so many meters."""

    readings: list[list[float]]
    """When each meter was read."""

    window: Window
    limit: float
    """How many meters physics allows."""

    stretch: float
    """How much longer than by physics the simulated line took."""


async def fill(baud_rate: int, share: float, duration_s: float) -> Filled:
    """Put so many meters on a line as are this share of the limit, and watch them."""
    async with AsyncExitStack() as stack:
        line = WatchedLine([], baud_rate=baud_rate)
        limit = 1 / line.least_s(*OURS)
        line.meters = [dct1(number) for number in range(1, ceil(share * limit) + 1)]
        for meter in line.meters:
            line.connect(meter)
        await stack.enter_async_context(line)
        where = await stack.enter_async_context(home())
        shown = [
            (await where.add_dct1(line, meter)).entities["energy_import"]
            for meter in line.meters
        ]
        await asyncio.sleep(SETTLE_S)
        before = line.traffic
        await where.watch(shown)
        await asyncio.sleep(duration_s)
        seen = await where.seen()
        passed = line.traffic - before
    return Filled(
        readings=[seen["written_at"][entity_id] for entity_id in shown],
        window=seen["window"],
        limit=limit,
        stretch=passed.took_s / line.bus_s(passed),
    )


def longest_s(times: list[float], window: Window) -> float:
    """Return the longest time within a window without a reading."""
    began, ended = window
    return max(after - before for before, after in pairwise((began, *times, ended)))


async def ask(*, quick: bool) -> list[Result]:
    """Fill lines to 85 % of what physics allows, and then one beyond it."""
    duration_s = 20 if quick else 60
    results = []
    for baud_rate in BAUD_RATES[:2] if quick else BAUD_RATES:
        line = await fill(baud_rate, 0.85, duration_s)
        # Each second of each meter counts: one that is left out is one meter less.
        in_time = sum(not missed(times, line.window) for times in line.readings)
        results += [
            Result.of(
                f"meters on one line of {baud_rate} baud with a reading each second,"
                f" of {len(line.readings)} tried",
                [in_time],
                "",
                limit=line.limit,
                must=Must(at="least", bound=0.85, of="limit"),
            ),
            Result.of(
                f"simulated line of {baud_rate} baud: slower than physics by",
                [(line.stretch - 1) * 100],
                "%",
            ),
        ]
    line = await fill(9600, BEYOND, duration_s)
    meters = len(line.readings)
    fair = line.limit / meters
    rates = [len(times) / duration_s for times in line.readings]
    return [
        *results,
        Result.of(
            f"{meters} meters on a line of 9600 baud, which are too many:"
            " readings of each, its fair share as its limit",
            rates,
            "1/s",
            limit=fair,
            must=Must(at="least", bound=0.8, of="limit", each=True),
        ),
        Result.of(
            f"{meters} meters on a line of 9600 baud: longest time between two readings"
            " of each, that between fair ones as its limit",
            [longest_s(times, line.window) for times in line.readings],
            "s",
            limit=1 / fair,
            must=Must(bound=3, of="limit", each=True),
        ),
    ]
