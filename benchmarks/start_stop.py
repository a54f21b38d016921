"""How long a start and a stop take beside what the meter and its line take."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from itertools import pairwise
import time

from demo.meters import DOMAIN, Meter

from .home import Home, car, dct1, home, iem_dcr
from .result import Must, Result
from .wire import OURS, RECEIPT, Exchange, WatchedLine

SETTLE_S = 10
PAUSE_S = 1.3
"""Not a multiple of the second, so that a poll is met at every moment of it."""

SIGNATURE_S = 0.25
"""What the IEM-DCR takes to sign at the end."""

ARRIVES_S = 0.01
"""What a call takes until the meter is asked for it: a poll that begins meanwhile is first."""

BESIDE = Must(bound=60, each=True)


async def act(where: Home, meter: Meter, action: str) -> float:
    """Start or stop; return the milliseconds from the call to its answer."""
    began = time.monotonic()
    answer = await where.client.action(
        DOMAIN, f"{action}_transaction", device_id=meter.device_id
    )
    took_ms = (time.monotonic() - began) * 1000
    assert answer["status"] == "OK", answer
    return took_ms


def poll_s(busy: Iterable[Exchange], called_at: float) -> float:
    """Return for how long a poll that a call came upon went on taking the line."""
    for live, energies in pairwise(busy):
        is_poll = (live.registers, energies.registers) == OURS
        if is_poll and live.began_at - ARRIVES_S <= called_at < energies.ended_at:
            return energies.ended_at - max(live.began_at, called_at)
    return 0


async def ask(*, quick: bool) -> list[Result]:
    """Start and stop again and again; take off what cannot but pass over the line."""
    runs = 8 if quick else 40
    beside: dict[str, list[float]] = {}
    whole: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(
            WatchedLine([dct1(1, car(charging=False))], baud_rate=9600)
        )
        server = await stack.enter_async_context(iem_dcr(1, car(charging=False)))
        where = await stack.enter_async_context(home())
        of_dct1 = await where.add_dct1(line, line.meters[0])
        of_iem_dcr = await where.add_iem_dcr(server)
        await asyncio.sleep(SETTLE_S)
        snapshot_ms = line.least_s(*RECEIPT) * 1000
        for run in range(2 * runs):
            action = ("start", "stop")[run % 2]
            began_at = time.monotonic()
            took_ms = await act(where, of_dct1, action)
            # Not all that passed meanwhile: what else the integration asks for is its own doing.
            bus_ms = snapshot_ms + poll_s(line.busy, began_at) * 1000
            whole.setdefault(f"DCT1 at 9600 baud: {action}", []).append(took_ms)
            beside.setdefault(
                f"DCT1 at 9600 baud: {action}, bus time of a snapshot taken off,"
                " and of a poll under way",
                [],
            ).append(took_ms - bus_ms)
            took_ms = await act(where, of_iem_dcr, action)
            own_ms = SIGNATURE_S * 1000 if action == "stop" else 0
            whole.setdefault(f"IEM-DCR: {action}", []).append(took_ms)
            beside.setdefault(
                f"IEM-DCR: {action}, its {own_ms:.0f} ms for signing taken off", []
            ).append(took_ms - own_ms)
            await asyncio.sleep(PAUSE_S)
    return [
        *(
            Result.of(
                name,
                took,
                "ms",
                limit=snapshot_ms if name.startswith("DCT1") else None,
            )
            for name, took in whole.items()
        ),
        *(Result.of(name, took, "ms", must=BESIDE) for name, took in beside.items()),
    ]
