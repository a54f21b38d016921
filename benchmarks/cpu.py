"""What a meter costs the processor, as against Home Assistant's own sensors."""

import asyncio
from contextlib import AsyncExitStack
import time

from .home import dct1, home, iem_dcr, modbus_yaml, rest_yaml
from .result import Must, Result
from .wire import WatchedLine

METERS = 4
SETTLE_S = 45
"""What Home Assistant does after its start is done by then."""


async def ask(*, quick: bool) -> list[Result]:
    """Run five at once: one without meters, two of each kind; subtract what the first takes."""
    runs, run_s = (3, 40) if quick else (7, 60)
    async with AsyncExitStack() as stack:
        numbers = range(1, METERS + 1)
        lines, yaml_lines = [
            [
                await stack.enter_async_context(
                    WatchedLine([dct1(number)], baud_rate=9600)
                )
                for number in numbers
            ]
            for _ in range(2)
        ]
        servers, rest_servers = [
            [await stack.enter_async_context(iem_dcr(number)) for number in numbers]
            for _ in range(2)
        ]
        _, of_dct1, of_modbus, of_iem_dcr, of_rest = homes = [
            await stack.enter_async_context(home(given))
            for given in (
                None,
                None,
                modbus_yaml(yaml_lines),
                None,
                rest_yaml(rest_servers),
            )
        ]
        for line in lines:
            await of_dct1.add_dct1(line, line.meters[0])
        for server in servers:
            await of_iem_dcr.add_iem_dcr(server)
        await asyncio.sleep(SETTLE_S)
        took: dict[int, list[float]] = {one.pid: [] for one in homes}
        idle, simulators = [], []
        for _ in range(runs):
            began = [one.cpu_s() for one in homes]
            simulated = time.process_time()
            await asyncio.sleep(run_s)
            spent = [
                (one.cpu_s() - before) / run_s * 1000
                for one, before in zip(homes, began, strict=True)
            ]
            simulators.append((time.process_time() - simulated) / run_s * 100)
            idle.append(spent[0])
            for one, ms in zip(homes, spent, strict=True):
                took[one.pid].append((ms - spent[0]) / METERS)
    return [
        Result.of(
            "CPU per DCT1 (five Modbus sensors in YAML)",
            took[of_dct1.pid],
            "ms/s",
            peer=took[of_modbus.pid],
            must=Must(bound=0.6, of="peer"),
        ),
        Result.of(
            "CPU per IEM-DCR (five rest sensors on one resource)",
            took[of_iem_dcr.pid],
            "ms/s",
            peer=took[of_rest.pid],
            must=Must(bound=0.7, of="peer"),
        ),
        Result.of("CPU of a Home Assistant without meters", idle, "ms/s"),
        Result.of(
            f"simulators of {4 * METERS} meters: share of one core", simulators, "%"
        ),
    ]
