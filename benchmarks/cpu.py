"""What a meter costs the processor, as against Home Assistant's own sensors."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import pairwise
from statistics import median
import time
from typing import Any

from .home import Home, bare_yaml, dct1, home, iem_dcr, modbus_yaml, rest_yaml
from .result import Must, Result
from .wire import Exchange, WatchedLine

METERS = 4
SPARING = {"recording": "economical", "economy": {}}
"""Options with which small changes wait to be shown."""

SETTLE_S = 30
"""What Home Assistant does after its start is done by then."""

PAUSE_S = 0.3
"""Between two readings, and not within one."""


def readings_per_s(seen: dict[str, Any]) -> float:
    """Return how often a meter was read, of those that were watched."""
    written, (began, ended) = seen["written_at"].values(), seen["window"]
    return float(sum(map(len, written)) / len(written) / (ended - began))


def spread_s(lines: Iterable[Sequence[Exchange]]) -> float:
    """Return the shortest part of a second within which the last reading of each line began."""
    phases = sorted(
        max(
            after.began_at
            for before, after in pairwise(busy)
            if after.began_at - before.ended_at > PAUSE_S
        )
        % 1
        for busy in lines
    )
    return 1 - max(
        after - before for before, after in pairwise((*phases, phases[0] + 1))
    )


async def ask(*, quick: bool) -> list[Result]:
    """Measure with four meters each, and with one, which no other can be read along with."""
    several = await measure(METERS, quick=quick)
    return several if quick else [*several, *await measure(1, quick=quick)]


async def measure(meters: int, *, quick: bool) -> list[Result]:
    """Run nine at once: one without meters, four of each kind; subtract what the first takes."""
    runs, run_s = (3, 15) if quick else (5, 30)
    async with AsyncExitStack() as stack:
        numbers = range(1, meters + 1)
        lines, sparing_lines, yaml_lines, bare_lines = [
            [
                await stack.enter_async_context(
                    WatchedLine([dct1(number)], baud_rate=9600)
                )
                for number in numbers
            ]
            for _ in range(4)
        ]
        servers, sparing_servers, rest_servers, bare_servers = [
            [await stack.enter_async_context(iem_dcr(number)) for number in numbers]
            for _ in range(4)
        ]
        empty = await stack.enter_async_context(home())
        of_dct1, sparing_dct1, *_ = dct1_homes = [
            await stack.enter_async_context(home(given))
            for given in (
                None,
                None,
                modbus_yaml(yaml_lines),
                bare_yaml(lines=bare_lines),
            )
        ]
        of_iem_dcr, sparing_iem_dcr, *_ = iem_dcr_homes = [
            await stack.enter_async_context(home(given))
            for given in (
                None,
                None,
                rest_yaml(rest_servers),
                bare_yaml(servers=bare_servers),
            )
        ]
        homes = [empty, *dct1_homes, *iem_dcr_homes]
        shown = [
            [(await add()).entities["energy_import"] for add in adding]
            for adding in (
                [partial(of_dct1.add_dct1, line, line.meters[0]) for line in lines],
                [partial(of_iem_dcr.add_iem_dcr, server) for server in servers],
            )
        ]
        for line in sparing_lines:
            await sparing_dct1.choose(
                await sparing_dct1.add_dct1(line, line.meters[0]), **SPARING
            )
        for server in sparing_servers:
            await sparing_iem_dcr.choose(
                await sparing_iem_dcr.add_iem_dcr(server), advanced={}, **SPARING
            )
        await asyncio.sleep(SETTLE_S)
        # What records economically does not show each reading.
        for (ours, _, *others), entity_ids in zip(
            (dct1_homes, iem_dcr_homes), shown, strict=True
        ):
            await ours.watch(entity_ids)
            for one, name in zip(others, ("yaml", "bare"), strict=True):
                await one.watch(f"sensor.{name}_{n}_energy_import" for n in numbers)
        spent: dict[int, list[tuple[float, float]]] = {one.pid: [] for one in homes}
        simulators = []
        for _ in range(runs):
            began = [(one.cpu_s(), one.loop_cpu_s()) for one in homes]
            simulated = time.process_time()
            await asyncio.sleep(run_s)
            for one, (whole, loop) in zip(homes, began, strict=True):
                spent[one.pid].append((one.cpu_s() - whole, one.loop_cpu_s() - loop))
            simulators.append((time.process_time() - simulated) / run_s * 100)
        readings = {
            one.pid: readings_per_s(await one.seen())
            for ours, _, *others in (dct1_homes, iem_dcr_homes)
            for one in (ours, *others)
        }
        spread, yaml_spread = (
            spread_s(line.busy for line in one) for one in (lines, yaml_lines)
        )

    def per_meter(one: Home, which: int) -> list[float]:
        """Return the milliseconds of a second, without those of who has no meters."""
        return [
            (took[which] - idle[which]) / meters / run_s * 1000
            for took, idle in zip(spent[one.pid], spent[empty.pid], strict=True)
        ]

    def per_reading(one: Home) -> list[float]:
        """Return the milliseconds of a reading."""
        return [ms / readings[one.pid] for ms in per_meter(one, 0)]

    def compared(name: str, its_homes: list[Home], share: float) -> list[Result]:
        """Return the whole with what it must be, the event loop's share, and the least to be had."""
        ours, sparing, theirs, bare = its_homes
        return [
            Result.of(
                name.format(part),
                per_meter(ours, which),
                "ms/s",
                peer=per_meter(theirs, which),
                limit=median(per_meter(bare, which)),
                must=must,
            )
            for which, part, must in (
                (0, "CPU", Must(bound=share, of="peer")),
                (1, "event loop's share of the CPU", None),
            )
        ] + [
            Result.of(
                name.format("CPU of a reading"),
                per_reading(ours),
                "ms",
                peer=per_reading(theirs),
                limit=median(per_reading(bare)),
            ),
            Result.of(
                name.format("CPU, recording economically,"),
                per_meter(sparing, 0),
                "ms/s",
                peer=per_meter(theirs, 0),
            ),
            Result.of(
                name.format("readings shown"),
                [readings[ours.pid]],
                "1/s",
                peer=[readings[theirs.pid]],
                limit=readings[bare.pid],
                # Who reads less costs less.
                must=Must(at="least", bound=0.99),
            ),
        ]

    how = ", alone" if meters == 1 else f", one of {meters}"
    return [
        *compared(f"{{}} per DCT1{how} (five Modbus sensors in YAML)", dct1_homes, 0.6),
        *compared(
            f"{{}} per IEM-DCR{how} (five rest sensors on one resource)",
            iem_dcr_homes,
            0.7,
        ),
        *(
            []
            if meters == 1
            else [
                Result.of(
                    f"part of a second in which the readings of {meters} DCT1 begin",
                    [spread],
                    "s",
                    peer=[yaml_spread],
                )
            ]
        ),
        Result.of(
            "CPU of a Home Assistant without meters",
            [took / run_s * 1000 for took, _ in spent[empty.pid]],
            "ms/s",
        ),
        Result.of(
            f"simulators of {8 * meters} meters: share of one core", simulators, "%"
        ),
    ]
