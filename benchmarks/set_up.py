"""How long the set-up of an entry takes beside its device."""

import asyncio
from contextlib import AsyncExitStack
import time

from .home import dct1, home, iem_dcr
from .result import Must, Result
from .wire import WatchedLine

SETTLE_S = 10
PAUSE_S = 2.3


async def ask(*, quick: bool) -> list[Result]:
    """Reload the entry of each meter again and again."""
    runs = 5 if quick else 15
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(WatchedLine([dct1()], baud_rate=9600))
        server = await stack.enter_async_context(iem_dcr())
        where = await stack.enter_async_context(home())
        meters = {
            "DCT1 at 9600 baud, bus time taken off": await where.add_dct1(
                line, line.meters[0]
            ),
            "IEM-DCR": await where.add_iem_dcr(server),
        }
        await asyncio.sleep(SETTLE_S)
        results = []
        for name, meter in meters.items():
            entry = await where.entry_of(meter)
            path = f"/api/config/config_entries/entry/{entry['entry_id']}/reload"
            took = []
            for _ in range(runs):
                began_at = time.monotonic()
                await where.client.post(path)
                ended_at = time.monotonic()
                took_s = ended_at - began_at
                if name.startswith("DCT1"):
                    took_s -= line.busy_s(began_at, ended_at)
                took.append(took_s * 1000)
                state = (await where.entry_of(meter))["state"]
                assert state == "loaded", state
                await asyncio.sleep(PAUSE_S)
            results.append(
                Result.of(
                    f"unload and set-up of an entry: {name}",
                    took,
                    "ms",
                    must=Must(bound=1000, each=True),
                )
            )
    return results
