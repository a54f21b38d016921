"""By how many rows of states an hour of a meter makes the database grow."""

import asyncio
from contextlib import AsyncExitStack, closing
import json
import sqlite3
from statistics import median
import time

from demo.meters import Meter

from .home import Home, car, dct1, home, iem_dcr
from .result import Must, Result
from .start_stop import act
from .wire import WatchedLine

SETTLE_S = 10
COMMIT_S = 8
"""The recorder writes every five seconds."""

VALUES = ("power", "voltage", "current", "energy_import")
"""What changes each second while a car charges."""

NONE = Must(bound=0, each=True)
EACH_CHANGE = Must(bound=1, of="limit", each=True)


def rows(where: Home, meter: Meter, since: float, until: float) -> int:
    """Return how many states the database has of a meter, written within this time.

    Statistics come every five minutes and every hour, whatever is read.
    """
    path = where.folder / "home-assistant_v2.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM states JOIN states_meta USING (metadata_id)"
            " WHERE states_meta.entity_id IN (SELECT value FROM json_each(?))"
            " AND last_updated_ts >= ? AND last_updated_ts < ?",
            (json.dumps(list(meter.entities.values())), since, until),
        )
    return int(count)


async def ask(*, quick: bool) -> list[Result]:
    """Let meters run side by side, each with a car of its own or none."""
    runs, run_s = (1, 45) if quick else (3, 120)
    async with AsyncExitStack() as stack:
        cars = {
            "idle": car(plugged=False),
            "plugged": car(charging=False),
            "charging": car(),
            "charging in a transaction": car(),
            "charging economically": car(),
        }
        lines = {
            name: await stack.enter_async_context(
                WatchedLine([dct1(number, its_car)], baud_rate=9600)
            )
            for number, (name, its_car) in enumerate(cars.items(), 1)
        }
        servers = {
            f"{name} IEM-DCR": await stack.enter_async_context(iem_dcr(number, its_car))
            for number, (name, its_car) in enumerate(
                (("idle", car(plugged=False)), ("charging", car())), 1
            )
        }
        where = await stack.enter_async_context(home())
        meters = {
            name: await where.add_dct1(line, line.meters[0])
            for name, line in lines.items()
        } | {name: await where.add_iem_dcr(server) for name, server in servers.items()}
        await act(where, meters["charging in a transaction"], "start")
        await where.choose(
            meters["charging economically"],
            low_side_sensing=True,
            recording="economical",
            economy={},
        )
        await asyncio.sleep(SETTLE_S)
        hourly: dict[str, list[float]] = {name: [] for name in meters}
        # A change more falls into a run where its seconds are not those of the readings.
        most = 3600 * (run_s + 1) / run_s
        for _ in range(runs):
            began = time.time()
            await asyncio.sleep(run_s + COMMIT_S)
            for name, meter in meters.items():
                grown = rows(where, meter, began, began + run_s)
                hourly[name].append(grown * 3600 / run_s)
    return [
        Result.of(
            "recorder: a DCT1, no car there",
            hourly["idle"],
            "rows/h",
            must=NONE,
        ),
        Result.of(
            "recorder: an IEM-DCR, no car there",
            hourly["idle IEM-DCR"],
            "rows/h",
            must=NONE,
        ),
        Result.of(
            "recorder: a DCT1, a car there whose voltage moves",
            hourly["plugged"],
            "rows/h",
            limit=most,
            must=EACH_CHANGE,
        ),
        Result.of(
            "recorder: a DCT1, charging; limit: a row for each change and second",
            hourly["charging"],
            "rows/h",
            limit=most * len(VALUES),
            must=EACH_CHANGE,
        ),
        Result.of(
            "recorder: an IEM-DCR, charging; the same limit",
            hourly["charging IEM-DCR"],
            "rows/h",
            limit=most * len(VALUES),
            must=EACH_CHANGE,
        ),
        Result.of(
            "recorder: a DCT1, charging in a transaction, whose energy is one value more",
            hourly["charging in a transaction"],
            "rows/h",
            limit=most * (len(VALUES) + 1),
            must=EACH_CHANGE,
        ),
        Result.of(
            "recorder: a DCT1, charging economically; limit: every change",
            hourly["charging economically"],
            "rows/h",
            limit=median(hourly["charging"]),
            must=Must(bound=0.1, of="limit", each=True),
        ),
    ]
