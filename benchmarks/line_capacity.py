"""How many DCT1s a line serves each second, and what happens when there are more."""

import asyncio
from contextlib import AsyncExitStack
from math import ceil

from .cadence import missed
from .home import Home, dct1, home
from .result import Must, Result
from .wire import OURS, WatchedLine

SETTLE_S = 5
BEYOND = 1.3
"""How many times the limit is too many."""


async def readings(
    where: Home, line: WatchedLine, duration_s: float, added: list[str]
) -> list[list[float]]:
    """Set up the meters of a line that are not yet; return when each was read."""
    for meter in line.meters:
        entity_id = (await where.add_dct1(line, meter)).entities["energy_import"]
        added.append(entity_id)
    await asyncio.sleep(SETTLE_S)
    await where.watch(added)
    await asyncio.sleep(duration_s)
    written = (await where.seen())["written_at"]
    return [written[entity_id] for entity_id in added]


async def of_line(
    baud_rate: int, share: float, duration_s: float
) -> tuple[list[list[float]], float, float]:
    """Return when each of so many meters was read, the limit and the line's own overhead."""
    async with AsyncExitStack() as stack:
        line = WatchedLine([], baud_rate=baud_rate)
        limit = 1 / line.least_s(*OURS)
        line.meters = [dct1(number) for number in range(1, ceil(share * limit) + 1)]
        for meter in line.meters:
            line.connect(meter)
        await stack.enter_async_context(line)
        where = await stack.enter_async_context(home())
        before = line.traffic
        found = await readings(where, line, duration_s, [])
        passed = line.traffic - before
    return found, limit, passed.took_s / line.bus_s(passed)


async def ask(*, quick: bool) -> list[Result]:
    """Fill lines to 85 % of what physics allows, and then beyond it."""
    duration_s = 20 if quick else 60
    results = []
    for baud_rate in (9600, 19200) if quick else (9600, 19200, 38400):
        found, limit, stretch = await of_line(baud_rate, 0.85, duration_s)
        # Each second of each meter counts: one that is left out is one meter less.
        in_time = sum(not missed(times) for times in found)
        results += [
            Result.of(
                f"meters on one line of {baud_rate} baud with a reading each second,"
                f" of {len(found)} tried",
                [in_time],
                "",
                limit=limit,
                must=Must(at="least", bound=0.85, of="limit"),
            ),
            Result.of(
                f"simulated line of {baud_rate} baud: slower than physics by",
                [(stretch - 1) * 100],
                "%",
            ),
        ]
    found, limit, _ = await of_line(9600, BEYOND, duration_s)
    counts = [len(times) for times in found]
    return [
        *results,
        Result.of(
            f"{len(found)} meters on a line of 9600 baud, which are too many:"
            " readings of one, least",
            [min(counts) / duration_s],
            "1/s",
            limit=limit / len(found),
            must=Must(at="least", bound=0.5, of="limit"),
        ),
        Result.of(
            "... readings of one, most",
            [max(counts) / duration_s],
            "1/s",
            limit=limit / len(found),
            must=Must(bound=1.5, of="limit"),
        ),
    ]
