"""Whether one Home Assistant carries 100 IEM-DCR and 20 DCT1 on five lines."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import batched
import time
from typing import Any

from demo.meters import Meter

from .cadence import missed
from .cpu import SPARING
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

RUN_S = 1800
CALM_S = 15
"""After a look at the memory, which all readings have to wait for. It leaves no garbage behind: Python
looks for some itself about that often, and shall not be spared it."""

SPARING_S = 60
"""For how long the meters are watched while they record economically."""

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


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen of a Home Assistant in some time."""

    seen: dict[str, Any]
    cores: float

    def late_ms(self, what: str) -> list[float]:
        """Return how late the event loop was: ``lags_s`` or ``timers_s``."""
        return [lag_s * 1000 for lag_s in self.seen[what]]


async def watch(
    homes: Sequence[Home], entity_ids: Iterable[Iterable[str]], duration_s: float
) -> list[Watched]:
    """Watch some, with these entities of each."""
    for one, its in zip(homes, entity_ids, strict=True):
        await one.watch(its, loop=True)
    before_s = [one.cpu_s() for one in homes]
    await asyncio.sleep(duration_s)
    cores = [
        (one.cpu_s() - earlier) / duration_s
        for one, earlier in zip(homes, before_s, strict=True)
    ]
    watched = [
        Watched(seen=await one.seen(), cores=its)
        for one, its in zip(homes, cores, strict=True)
    ]
    for one in homes:
        await one.watch([])  # what the probe has seen is not the integration's
    return watched


def left_out_percent(seen: dict[str, Any]) -> float:
    """Return how many of a hundred seconds of all meters had no reading."""
    written, (began, ended) = seen["written_at"].values(), seen["window"]
    left_out = sum(missed(times, seen["window"]) for times in written)
    return float(100 * left_out / len(written) / (ended - began))


async def record_economically(where: Home, meter: Meter) -> None:
    """Have small changes of a meter wait."""
    is_iem_dcr = meter.serial_number.startswith("1ISA")
    await where.choose(meter, **({"advanced": {}} if is_iem_dcr else {}), **SPARING)


async def ask(*, quick: bool) -> list[Result]:
    """Set all of them up and watch them, beside another that reads the IEM-DCR with rest sensors."""
    duration_s = 60 if quick else RUN_S
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
        their_servers = [
            await stack.enter_async_context(iem_dcr(number))
            for number in range(1, IEM_DCRS + 1)
        ]
        where = await stack.enter_async_context(home())
        await asyncio.sleep(SETTLE_S)
        empty = await Memory.of(where)
        peer = await stack.enter_async_context(home(rest_yaml(their_servers)))
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
        simulated_s = time.process_time()
        ours, theirs = await watch(
            (where, peer),
            (
                [one.entities["energy_import"] for one in meters],
                [
                    f"sensor.yaml_{number}_energy_import"
                    for number in range(1, IEM_DCRS + 1)
                ],
            ),
            duration_s,
        )
        simulators = (time.process_time() - simulated_s) / duration_s
        after, peer_after = await Memory.of(where), await Memory.of(peer)
        sparing = None
        if not quick:
            for few in batched(meters, AT_ONCE, strict=False):
                await asyncio.gather(*(record_economically(where, one) for one in few))
            await asyncio.sleep(SETTLE_S)
            sparing = await watch((where, peer), ([], []), SPARING_S)
    name = f"{IEM_DCRS} IEM-DCR and {DCT1S} DCT1 on {LINES} lines:"
    growth = f"{name} growth in {duration_s / 60:g} minutes"
    return [
        Result.of(
            f"{name} event loop late, p99 of timers",
            [percentile(ours.late_ms("timers_s"), 99)],
            "ms",
            peer=[percentile(theirs.late_ms("timers_s"), 99)],
            must=Must(bound=50),
        ),
        Result.of(
            f"{name} event loop late, p99 of all moments",
            [percentile(ours.late_ms("lags_s"), 99)],
            "ms",
            peer=[percentile(theirs.late_ms("lags_s"), 99)],
            must=Must(bound=50),
        ),
        Result.of(
            f"{name} event loop late, most",
            [max(ours.late_ms("lags_s"))],
            "ms",
            peer=[max(theirs.late_ms("lags_s"))],
        ),
        Result.of(
            f"{name} CPU of Home Assistant",
            [ours.cores],
            "cores",
            peer=[theirs.cores],
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
            must=Must(bound=1),
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
            [left_out_percent(ours.seen)],
            "%",
            peer=[left_out_percent(theirs.seen)],
        ),
        Result.of(f"{name} set-up of all of them", [set_up_s], "s"),
        *([] if sparing is None else of_economy(name, *sparing)),
    ]


def of_economy(name: str, ours: Watched, theirs: Watched) -> list[Result]:
    """Return what was seen while the meters recorded economically."""
    return [
        Result.of(
            f"{name} event loop late, p99 of all moments, recording economically",
            [percentile(ours.late_ms("lags_s"), 99)],
            "ms",
            peer=[percentile(theirs.late_ms("lags_s"), 99)],
        ),
        Result.of(
            f"{name} CPU of Home Assistant, recording economically",
            [ours.cores],
            "cores",
            peer=[theirs.cores],
        ),
    ]
