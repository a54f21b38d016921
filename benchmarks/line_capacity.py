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
    """What was seen of a line with so many meters in one run."""

    readings: list[list[float]]
    """When each meter was read."""

    window: Window
    limit: float
    """How many meters physics allows."""

    stretch: float
    """How much longer than by physics the simulated line took."""


async def fill(
    baud_rate: int, share: float, runs: int, duration_s: float
) -> list[Filled]:
    """Put so many meters on a line as are this share of the limit; watch them again and again."""
    filled = []
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
        for _ in range(runs):
            before = line.traffic
            await where.watch(shown)
            await asyncio.sleep(duration_s)
            seen = await where.seen()
            passed = line.traffic - before
            filled.append(
                Filled(
                    readings=[seen["written_at"][entity_id] for entity_id in shown],
                    window=seen["window"],
                    limit=limit,
                    stretch=passed.took_s / line.bus_s(passed),
                )
            )
    return filled


def longest_s(times: list[float], window: Window) -> float:
    """Return the longest time within a window without a reading."""
    began, ended = window
    return max(after - before for before, after in pairwise((began, *times, ended)))


async def ask(*, quick: bool) -> list[Result]:
    """Fill lines to 85 % of what physics allows, and then one beyond it."""
    runs, duration_s = (1, 15) if quick else (3, 40)
    results = []
    for baud_rate in BAUD_RATES[:2] if quick else BAUD_RATES:
        filled = await fill(baud_rate, 0.85, runs, duration_s)
        results += [
            Result.of(
                f"meters on one line of {baud_rate} baud with a reading each second,"
                f" of {len(filled[0].readings)} tried",
                # Each second of each meter counts: one that is left out is one meter less.
                [
                    sum(not missed(times, run.window) for times in run.readings)
                    for run in filled
                ],
                "",
                limit=filled[0].limit,
                must=Must(at="least", bound=0.85, of="limit"),
            ),
            Result.of(
                f"simulated line of {baud_rate} baud: slower than physics by",
                [(run.stretch - 1) * 100 for run in filled],
                "%",
            ),
        ]
    filled = await fill(9600, BEYOND, runs, duration_s)
    meters = len(filled[0].readings)
    fair = filled[0].limit / meters
    return [
        *results,
        Result.of(
            f"{meters} meters on a line of 9600 baud, which are too many:"
            " readings of each, its fair share as its limit",
            [len(times) / duration_s for run in filled for times in run.readings],
            "1/s",
            limit=fair,
            must=Must(at="least", bound=0.8, of="limit", each=True),
        ),
        Result.of(
            f"{meters} meters on a line of 9600 baud: longest time between two readings"
            " of each, that between fair ones as its limit",
            [longest_s(times, run.window) for run in filled for times in run.readings],
            "s",
            limit=1 / fair,
            must=Must(bound=3, of="limit", each=True),
        ),
    ]
