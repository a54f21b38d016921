"""Whether a reading comes each second, when it is due, and how soon it is shown."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from math import ceil, floor, inf
from statistics import median

from .home import dct1, home, modbus_yaml
from .result import Must, Result, percentile
from .wire import OURS, WHOLE, YAML, WatchedLine

SETTLE_S = 10
NEAR_S = 0.025
LIVE = ("voltage", "current", "power")
"""What the first answer of a reading has."""

SHOWN = (*LIVE, "energy_import", "energy_export")


type Window = Sequence[float]
"""From when to when readings were watched for."""


def off_slot(times: Sequence[float], window: Window) -> list[float]:
    """Return for each second of a window how far from its slot it was read; never is infinite.

    Slots are a second apart; the readings themselves tell their phase. Of seconds that begin
    before the window or end after it nothing is said.
    """
    began, ended = window
    if not times:
        return [inf] * int(ended - began)
    since = [at - times[0] for at in times]
    phase = median(one - round(one) for one in since)
    off: dict[int, float] = {}
    for one in since:
        second = round(one - phase)
        off[second] = min(abs(one - phase - second), off.get(second, inf))
    first, last = (at - times[0] - phase for at in (began, ended))
    return [
        off.get(second, inf) for second in range(ceil(first + 0.5), floor(last + 0.5))
    ]


def near_percent(times: Sequence[float], window: Window) -> float:
    """Return how many of a hundred seconds had a reading within 25 ms of its slot."""
    off = off_slot(times, window)
    return 100 * sum(one <= NEAR_S for one in off) / len(off)


def missed(times: Sequence[float], window: Window) -> int:
    """Return how many seconds had no reading."""
    return off_slot(times, window).count(inf)


def shown_after_ms(
    answered_at: Sequence[float], written_at: Iterable[Sequence[float]]
) -> list[float]:
    """Return how long after each last byte the last state of its reading was written."""
    last: dict[int, float] = {}
    for times in written_at:
        for at in times:
            if index := bisect_right(answered_at, at):
                last[index - 1] = max(last.get(index - 1, 0), at)
    return [(at - answered_at[index]) * 1000 for index, at in last.items()]


async def ask(*, quick: bool) -> list[Result]:
    """Watch one meter and four on one line, and as many that YAML reads, all at once."""
    duration_s = 60 if quick else 600
    async with AsyncExitStack() as stack:
        alone, four, their_alone, their_four = [
            await stack.enter_async_context(WatchedLine(meters, baud_rate=baud_rate))
            for _ in range(2)
            for meters, baud_rate in (
                ([dct1(1)], 9600),
                ([dct1(number) for number in range(2, 6)], 19200),
            )
        ]
        ours = await stack.enter_async_context(home())
        yaml = await stack.enter_async_context(
            home(modbus_yaml([their_alone, their_four]))
        )
        meters = [
            await ours.add_dct1(line, meter)
            for line in (alone, four)
            for meter in line.meters
        ]
        await asyncio.sleep(SETTLE_S)
        own = [{key: meter.entities[key] for key in SHOWN} for meter in meters]
        yamls = [
            {key: f"sensor.yaml_{number}_{key}" for key in SHOWN}
            for number in range(1, len(meters) + 1)
        ]
        for one, entities in ((ours, own), (yaml, yamls)):
            await one.watch(
                entity_id for each in entities for entity_id in each.values()
            )
        before = four.traffic
        await asyncio.sleep(duration_s)
        seen, yaml_seen = await ours.seen(), await yaml.seen()
        busy = four.traffic - before
    window, yaml_window = seen["window"], yaml_seen["window"]
    found, yaml_found = (
        [told["written_at"][one["energy_import"]] for one in entities]
        for told, entities in ((seen, own), (yaml_seen, yamls))
    )
    results = []
    for name, which in (
        ("one DCT1 at 9600 baud", slice(1)),
        ("four DCT1 on one line at 19200 baud", slice(1, None)),
    ):
        results += [
            Result.of(
                f"{name}: seconds with a reading within 25 ms of its slot, worst meter",
                [min(near_percent(times, window) for times in found[which])],
                "%",
                peer=[
                    min(near_percent(times, yaml_window) for times in yaml_found[which])
                ],
                must=Must(at="least", bound=99),
            ),
            Result.of(
                f"{name}: seconds without a reading, of {duration_s}",
                [sum(missed(times, window) for times in found[which])],
                "",
                peer=[sum(missed(times, yaml_window) for times in yaml_found[which])],
                must=Must(bound=0),
            ),
        ]
    shown, yaml_shown, live, yaml_live = (
        shown_after_ms(
            [one.ended_at for one in line.busy if one.registers in counts],
            [told["written_at"][entities[key]] for key in keys],
        )
        for keys, line, counts, told, entities in (
            (SHOWN, alone, (*OURS, WHOLE), seen, own[0]),
            (SHOWN, their_alone, YAML, yaml_seen, yamls[0]),
            (LIVE, alone, OURS[:1], seen, own[0]),
            (LIVE, their_alone, YAML[:1], yaml_seen, yamls[0]),
        )
    )
    return [
        *results,
        Result.of(
            "DCT1: last byte of the answer to state written, p99",
            [percentile(shown, 99)],
            "ms",
            peer=[percentile(yaml_shown, 99)],
            must=Must(bound=5),
        ),
        Result.of(
            "DCT1: last byte of the answer to state written, median",
            [median(shown)],
            "ms",
            peer=[median(yaml_shown)],
        ),
        # A reading is shown as one: what is answered first waits for the energies.
        Result.of(
            "DCT1: voltage, current and power answered to their states written, median",
            [median(live)],
            "ms",
            peer=[median(yaml_live)],
        ),
        Result.of(
            "simulated line of four: time it takes, its limit computed from what passed",
            [busy.took_s / duration_s * 1000],
            "ms/s",
            limit=four.bus_s(busy) / duration_s * 1000,
        ),
    ]
