"""Whether one Home Assistant carries 100 IEM-DCR and 20 DCT1 on five lines."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import batched
import time
from typing import Any

from .cadence import missed
from .home import Home, dct1, home, iem_dcr, rest_yaml
from .result import Must, Result, percentile
from .wire import WatchedLine

IEM_DCRS = 100
DCT1S = 20
LINES = 5
METERS = IEM_DCRS + DCT1S
SETTLE_S = 20
FULL_S = 640
"""The ten minutes of polls that are remembered of each meter; the recorder has filled its memory, and
Home Assistant has had to do with five minutes of their states twice."""

CALM_S = 3
"""After a look at the memory, which all readings have to wait for."""

AT_ONCE = 4
"""Meters that are set up at a time."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a Home Assistant has taken, and what of it is in use."""

    process_mb: float
    in_use_mb: float

    @classmethod
    async def of(cls, where: Home) -> Memory:
        """Look at it."""
        return cls(process_mb=where.memory_mb(), in_use_mb=await where.in_use_mb())


def left_out_percent(seen: dict[str, Any]) -> float:
    """Return how many of a hundred seconds of all meters had no reading."""
    written, (began, ended) = seen["written_at"].values(), seen["window"]
    left_out = sum(missed(times, seen["window"]) for times in written)
    return float(100 * left_out / len(written) / (ended - began))


async def ask(*, quick: bool) -> list[Result]:
    """Set all of them up and watch them, beside another that reads the IEM-DCR with rest sensors."""
    duration_s = 60 if quick else 1800
    async with AsyncExitStack() as stack:
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
        where = await stack.enter_async_context(home())
        await asyncio.sleep(SETTLE_S)
        empty = await Memory.of(where)
        peer = await stack.enter_async_context(home(rest_yaml(servers)))
        began = time.monotonic()
        meters = []
        for some in batched(servers, AT_ONCE, strict=False):
            meters += await asyncio.gather(*map(where.add_iem_dcr, some))
        for line in lines:
            meters += [await where.add_dct1(line, meter) for meter in line.meters]
        set_up_s = time.monotonic() - began
        await asyncio.sleep(SETTLE_S)
        set_up_mb = where.memory_mb()
        if not quick:
            await asyncio.sleep(FULL_S)
        before, peer_before = await Memory.of(where), await Memory.of(peer)
        await asyncio.sleep(CALM_S)
        await where.watch((one.entities["energy_import"] for one in meters), loop=True)
        await peer.watch(
            (
                f"sensor.yaml_{number}_energy_import"
                for number in range(1, IEM_DCRS + 1)
            ),
            loop=True,
        )
        cpu_s, simulated_s = [where.cpu_s(), peer.cpu_s()], time.process_time()
        await asyncio.sleep(duration_s)
        cores, peer_cores = (
            (one.cpu_s() - before_s) / duration_s
            for one, before_s in zip((where, peer), cpu_s, strict=True)
        )
        simulators = (time.process_time() - simulated_s) / duration_s
        seen, peer_seen = await where.seen(), await peer.seen()
        for one in (where, peer):
            await one.watch([])  # what the probe has seen is not the integration's
        after, peer_after = await Memory.of(where), await Memory.of(peer)
    name = f"{IEM_DCRS} IEM-DCR and {DCT1S} DCT1 on {LINES} lines:"
    lags_ms, peer_lags_ms, timers_ms, peer_timers_ms = (
        [lag_s * 1000 for lag_s in one[what]]
        for what in ("lags_s", "timers_s")
        for one in (seen, peer_seen)
    )
    growth = f"{name} growth in {duration_s / 60:g} minutes"
    return [
        Result.of(
            f"{name} event loop late, p99 of timers",
            [percentile(timers_ms, 99)],
            "ms",
            peer=[percentile(peer_timers_ms, 99)],
            must=Must(bound=50),
        ),
        Result.of(
            f"{name} event loop late, p99 of all moments",
            [percentile(lags_ms, 99)],
            "ms",
            peer=[percentile(peer_lags_ms, 99)],
            must=Must(bound=50),
        ),
        Result.of(
            f"{name} event loop late, most",
            [max(lags_ms)],
            "ms",
            peer=[max(peer_lags_ms)],
        ),
        Result.of(
            f"{name} CPU of Home Assistant",
            [cores],
            "cores",
            peer=[peer_cores],
            must=Must(bound=1),
        ),
        Result.of(f"{name} CPU of the simulators", [simulators], "cores"),
        Result.of(
            f"{name} memory per meter",
            [(set_up_mb - empty.process_mb) / METERS],
            "MB",
            must=Must(bound=1),
        ),
        Result.of(
            f"{name} memory in use per meter when its growth begins to count",
            [(before.in_use_mb - empty.in_use_mb) / METERS],
            "MB",
            peer=[(peer_before.in_use_mb - empty.in_use_mb) / IEM_DCRS],
            must=Must(bound=1),
        ),
        Result.of(
            f"{name} memory of the process per meter by then",
            [(before.process_mb - empty.process_mb) / METERS],
            "MB",
            peer=[(peer_before.process_mb - empty.process_mb) / IEM_DCRS],
        ),
        Result.of(
            f"{growth}: memory in use",
            [after.in_use_mb - before.in_use_mb],
            "MB",
            peer=[peer_after.in_use_mb - peer_before.in_use_mb],
            limit=before.in_use_mb,
            # A minute of a young process cannot tell.
            must=None if quick else Must(bound=0.02, of="limit"),
        ),
        Result.of(
            f"{growth}: memory of the process",
            [after.process_mb - before.process_mb],
            "MB",
            peer=[peer_after.process_mb - peer_before.process_mb],
            limit=before.process_mb,
        ),
        Result.of(
            f"{name} seconds without a reading, of a hundred",
            [left_out_percent(seen)],
            "%",
            peer=[left_out_percent(peer_seen)],
        ),
        Result.of(f"{name} set-up of all of them", [set_up_s], "s"),
    ]
