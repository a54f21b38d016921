"""Whether one Home Assistant carries 100 IEM-DCR and 20 DCT1 on five lines."""

import asyncio
from contextlib import AsyncExitStack
from itertools import batched
import time

from .cadence import missed
from .home import dct1, home, iem_dcr
from .result import Must, Result, percentile
from .wire import WatchedLine

IEM_DCRS = 100
DCT1S = 20
LINES = 5
METERS = IEM_DCRS + DCT1S
SETTLE_S = 20
FULL_S = 660
"""Set-up, and the ten minutes of polls that are remembered of each meter."""

AT_ONCE = 4
"""Meters that are set up at a time."""


async def ask(*, quick: bool) -> list[Result]:
    """Set all of them up and watch them."""
    duration_s = 60 if quick else 1800
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(home())
        lines = [
            await stack.enter_async_context(
                WatchedLine([dct1(number) for number in numbers], baud_rate=19200)
            )
            for numbers in batched(range(1, DCT1S + 1), DCT1S // LINES, strict=True)
        ]
        servers = [
            await stack.enter_async_context(iem_dcr(number))
            for number in range(1, IEM_DCRS + 1)
        ]
        await asyncio.sleep(SETTLE_S)
        empty_mb = where.memory_mb()
        began = time.monotonic()
        meters = []
        for some in batched(servers, AT_ONCE, strict=False):
            meters += await asyncio.gather(*map(where.add_iem_dcr, some))
        for line in lines:
            meters += [await where.add_dct1(line, meter) for meter in line.meters]
        set_up_s = time.monotonic() - began
        await asyncio.sleep(SETTLE_S if quick else FULL_S)
        await where.watch((one.entities["energy_import"] for one in meters), loop=True)
        memory_mb, cpu_s, simulated_s = (
            where.memory_mb(),
            where.cpu_s(),
            time.process_time(),
        )
        await asyncio.sleep(duration_s)
        cores = (where.cpu_s() - cpu_s) / duration_s
        simulators = (time.process_time() - simulated_s) / duration_s
        grown_mb = where.memory_mb() - memory_mb
        seen = await where.seen()
    name = f"{IEM_DCRS} IEM-DCR and {DCT1S} DCT1 on {LINES} lines:"
    left_out = sum(missed(times) for times in seen["written_at"].values())
    lags_ms = [lag_s * 1000 for lag_s in seen["lags_s"]]
    return [
        Result.of(
            f"{name} event loop late, p99",
            [percentile(lags_ms, 99)],
            "ms",
            must=Must(bound=50),
        ),
        Result.of(f"{name} event loop late, most", [max(lags_ms)], "ms"),
        Result.of(
            f"{name} CPU of Home Assistant", [cores], "cores", must=Must(bound=1)
        ),
        Result.of(f"{name} CPU of the simulators", [simulators], "cores"),
        Result.of(
            f"{name} memory per meter",
            [(memory_mb - empty_mb) / METERS],
            "MB",
            must=Must(bound=1),
        ),
        Result.of(
            f"{name} growth in {duration_s / 60:g} minutes",
            [grown_mb],
            "MB",
            limit=memory_mb,
            # A minute of a young process cannot tell.
            must=None if quick else Must(bound=0.02, of="limit"),
        ),
        Result.of(
            f"{name} readings left out, of a hundred",
            [100 * left_out / METERS / duration_s],
            "%",
        ),
        Result.of(f"{name} set-up of all of them", [set_up_s], "s"),
    ]
