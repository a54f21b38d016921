"""What a meter costs the processor, as against Home Assistant's own sensors."""

import asyncio
from contextlib import AsyncExitStack
from statistics import median
import time

from .home import Home, bare_yaml, dct1, home, iem_dcr, modbus_yaml, rest_yaml
from .result import Must, Result
from .wire import WatchedLine

METERS = 4
SETTLE_S = 30
"""What Home Assistant does after its start is done by then."""


async def ask(*, quick: bool) -> list[Result]:
    """Run seven at once: one without meters, three of each kind; subtract what the first takes."""
    runs, run_s = (3, 15) if quick else (5, 30)
    async with AsyncExitStack() as stack:
        numbers = range(1, METERS + 1)
        lines, yaml_lines, bare_lines = [
            [
                await stack.enter_async_context(
                    WatchedLine([dct1(number)], baud_rate=9600)
                )
                for number in numbers
            ]
            for _ in range(3)
        ]
        servers, rest_servers, bare_servers = [
            [await stack.enter_async_context(iem_dcr(number)) for number in numbers]
            for _ in range(3)
        ]
        empty, of_dct1, of_modbus, bare_dct1, of_iem_dcr, of_rest, bare_iem_dcr = (
            homes
        ) = [
            await stack.enter_async_context(home(given))
            for given in (
                None,
                None,
                modbus_yaml(yaml_lines),
                bare_yaml(lines=bare_lines),
                None,
                rest_yaml(rest_servers),
                bare_yaml(servers=bare_servers),
            )
        ]
        for line in lines:
            await of_dct1.add_dct1(line, line.meters[0])
        for server in servers:
            await of_iem_dcr.add_iem_dcr(server)
        await asyncio.sleep(SETTLE_S)
        spent: dict[int, list[tuple[float, float]]] = {one.pid: [] for one in homes}
        simulators = []
        for _ in range(runs):
            began = [(one.cpu_s(), one.loop_cpu_s()) for one in homes]
            simulated = time.process_time()
            await asyncio.sleep(run_s)
            for one, (whole, loop) in zip(homes, began, strict=True):
                spent[one.pid].append((one.cpu_s() - whole, one.loop_cpu_s() - loop))
            simulators.append((time.process_time() - simulated) / run_s * 100)

    def per_meter(one: Home, which: int) -> list[float]:
        """Return the milliseconds of a second, without those of who has no meters."""
        return [
            (took[which] - idle[which]) / METERS / run_s * 1000
            for took, idle in zip(spent[one.pid], spent[empty.pid], strict=True)
        ]

    def compared(
        name: str, ours: Home, theirs: Home, bare: Home, share: float
    ) -> list[Result]:
        """Return the whole with what it must be, and the event loop's share of it."""
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
        ]

    return [
        *compared(
            "{} per DCT1 (five Modbus sensors in YAML)",
            of_dct1,
            of_modbus,
            bare_dct1,
            0.6,
        ),
        *compared(
            "{} per IEM-DCR (five rest sensors on one resource)",
            of_iem_dcr,
            of_rest,
            bare_iem_dcr,
            0.7,
        ),
        Result.of(
            "CPU of a Home Assistant without meters",
            [took / run_s * 1000 for took, _ in spent[empty.pid]],
            "ms/s",
        ),
        Result.of(
            f"simulators of {6 * METERS} meters: share of one core", simulators, "%"
        ),
    ]
