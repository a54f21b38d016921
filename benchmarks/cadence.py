"""Whether a reading comes each second, when it is due, and how soon it is shown."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from statistics import median

from .home import dct1, home, modbus_yaml
from .result import Must, Result, percentile
from .wire import WatchedLine

SETTLE_S = 10
NEAR_S = 0.025
SHOWN = ("voltage", "current", "power", "energy_import", "energy_export")


def slots(times: Sequence[float]) -> list[tuple[int, float]]:
    """Return of each reading the second it belongs to, and how far it is from its slot.

    Slots are a second apart; the readings themselves tell their phase.
    """
    since = [at - times[0] for at in times]
    phase = median(one - round(one) for one in since)
    return [
        (round(one - phase), abs(one - phase - round(one - phase))) for one in since
    ]


def near_percent(times: Sequence[float]) -> float:
    """Return how many of a hundred seconds had a reading within 25 ms of its slot."""
    found = slots(times)
    seconds = found[-1][0] - found[0][0] + 1
    return 100 * len({second for second, off in found if off <= NEAR_S}) / seconds


def missed(times: Sequence[float]) -> int:
    """Return how many seconds had no reading."""
    found = slots(times)
    return found[-1][0] - found[0][0] + 1 - len({second for second, _ in found})


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
        written = (await ours.seen())["written_at"]
        yaml_written = (await yaml.seen())["written_at"]
        busy = four.traffic - before
    energies = [written[meter.entities["energy_import"]] for meter in meters]
    peer = yaml_written["sensor.yaml_1_energy_import"]
    shown = shown_after_ms(
        alone.answered_at, [written[meters[0].entities[key]] for key in SHOWN]
    )
    peer_shown = shown_after_ms(
        theirs.answered_at, [yaml_written[entity_id] for entity_id in yamls]
    )
    results = []
    for name, found in (
        ("one DCT1 at 9600 baud", energies[:1]),
        ("four DCT1 on one line at 19200 baud", energies[1:]),
    ):
        results += [
            Result.of(
                f"{name}: seconds with a reading within 25 ms of its slot, worst meter",
                [min(near_percent(times) for times in found)],
                "%",
                peer=[near_percent(peer)],
                must=Must(at="least", bound=99),
            ),
            Result.of(
                f"{name}: seconds without a reading, of {duration_s}",
                [sum(missed(times) for times in found)],
                "",
                peer=[missed(peer)],
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
