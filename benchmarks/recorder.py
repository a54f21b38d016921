"""By how many rows an hour of a meter makes the database grow."""

import asyncio
from contextlib import AsyncExitStack, closing
import json
import sqlite3

from demo.meters import Meter

from .home import Home, dct1, home
from .result import Must, Result
from .wire import WatchedLine

SETTLE_S = 30
COMMIT_S = 8
"""The recorder writes every five seconds."""

VALUES = ("power", "voltage", "current", "energy_import")
"""What changes each second while a car charges."""


def rows(where: Home, meter: Meter) -> int:
    """Return how many rows the database has of a meter."""
    path = where.folder / "home-assistant_v2.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM states JOIN states_meta USING (metadata_id)"
            " WHERE entity_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(meter.entities.values())),),
        )
    return int(count)


async def ask(*, quick: bool) -> list[Result]:
    """Let three meters run side by side: idle, charging, charging economically."""
    runs, run_s = (1, 180) if quick else (3, 600)
    async with AsyncExitStack() as stack:
        lines = {
            name: await stack.enter_async_context(
                WatchedLine([dct1(number, charging=number > 1)], baud_rate=9600)
            )
            for number, name in enumerate(
                ("idle", "charging", "charging economically"), 1
            )
        }
        where = await stack.enter_async_context(home())
        meters = {
            name: await where.add_dct1(line, line.meters[0])
            for name, line in lines.items()
        }
        await where.choose(
            meters["charging economically"],
            low_side_sensing=True,
            recording="economical",
            economy={},
        )
        await asyncio.sleep(SETTLE_S)
        hourly: dict[str, list[float]] = {name: [] for name in meters}
        changes = []
        for _ in range(runs):
            await asyncio.sleep(COMMIT_S)
            before = {name: rows(where, meter) for name, meter in meters.items()}
            charging = meters["charging"].entities
            await where.watch(charging[key] for key in VALUES)
            await asyncio.sleep(run_s)
            written = (await where.seen())["written_at"]
            changes.append(sum(len(times) for times in written.values()) * 3600 / run_s)
            await asyncio.sleep(COMMIT_S)
            for name, meter in meters.items():
                grown = rows(where, meter) - before[name]
                hourly[name].append(grown * 3600 / (run_s + COMMIT_S))
    return [
        Result.of(
            "recorder: a DCT1, idle",
            hourly["idle"],
            "rows/h",
            must=Must(bound=0),
        ),
        Result.of(
            "recorder: a DCT1, charging; limit: a row for each change and second",
            hourly["charging"],
            "rows/h",
            limit=3600 * len(VALUES),
            must=Must(bound=1, of="limit"),
        ),
        Result.of(
            "recorder: a DCT1, charging economically; limit: the line above",
            hourly["charging economically"],
            "rows/h",
            limit=hourly["charging"][0],
            must=Must(bound=0.1, of="limit"),
        ),
    ]
