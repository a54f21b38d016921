"""Whether a reading comes each second, when it is due, and how soon it is shown."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from math import ceil, floor, inf
from statistics import median

from .home import dct1, home, modbus_yaml
from .result import Must, Result, percentile
from .wire import WatchedLine

SETTLE_S = 10
NEAR_S = 0.025
SHOWN = ("voltage", "current", "power", "energy_import", "energy_export")


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
    """Watch one meter, four on one line, and one that YAML reads, all at once."""
    duration_s = 60 if quick else 600
    async with AsyncExitStack() as stack:
        alone, four, theirs = [
            await stack.enter_async_context(WatchedLine(meters, baud_rate=baud_rate))
            for meters, baud_rate in (
                ([dct1(1)], 9600),
                ([dct1(number) for number in range(2, 6)], 19200),
                ([dct1(1)], 9600),
            )
        ]
        ours = await stack.enter_async_context(home())
        yaml = await stack.enter_async_context(home(modbus_yaml([theirs])))
        meters = [
            await ours.add_dct1(line, meter)
            for line in (alone, four)
            for meter in line.meters
        ]
        await asyncio.sleep(SETTLE_S)
        own = [meter.entities[key] for meter in meters for key in SHOWN]
        yamls = [f"sensor.yaml_1_{key}" for key in SHOWN]
        for one, entity_ids in ((ours, own), (yaml, yamls)):
            await one.watch(entity_ids)
        before = four.traffic
        await asyncio.sleep(duration_s)
        seen, yaml_seen = await ours.seen(), await yaml.seen()
        busy = four.traffic - before
    written, yaml_written = seen["written_at"], yaml_seen["written_at"]
    window, yaml_window = seen["window"], yaml_seen["window"]
    energies = [written[meter.entities["energy_import"]] for meter in meters]
    peer = yaml_written["sensor.yaml_1_energy_import"]
    shown = shown_after_ms(
        [one.ended_at for one in alone.busy],
        [written[meters[0].entities[key]] for key in SHOWN],
    )
    peer_shown = shown_after_ms(
        [one.ended_at for one in theirs.busy],
        [yaml_written[entity_id] for entity_id in yamls],
    )
    results = []
    for name, found in (
        ("one DCT1 at 9600 baud", energies[:1]),
        ("four DCT1 on one line at 19200 baud", energies[1:]),
    ):
        results += [
            Result.of(
                f"{name}: seconds with a reading within 25 ms of its slot, worst meter",
                [min(near_percent(times, window) for times in found)],
                "%",
                peer=[near_percent(peer, yaml_window)],
                must=Must(at="least", bound=99),
            ),
            Result.of(
                f"{name}: seconds without a reading, of {duration_s}",
                [sum(missed(times, window) for times in found)],
                "",
                peer=[missed(peer, yaml_window)],
                must=Must(bound=0),
            ),
        ]
    return [
        *results,
        Result.of(
            "DCT1: last byte of the answer to state written, p99",
            [percentile(shown, 99)],
            "ms",
            peer=[percentile(peer_shown, 99)],
            must=Must(bound=5),
        ),
        Result.of(
            "DCT1: last byte of the answer to state written, median",
            [median(shown)],
            "ms",
            peer=[median(peer_shown)],
        ),
        Result.of(
            "simulated line of four: time it takes, its limit computed from what passed",
            [busy.took_s / duration_s * 1000],
            "ms/s",
            limit=four.bus_s(busy) / duration_s * 1000,
        ),
    ]
