"""Let everything go wrong with ten meters and their Home Assistant; count what does not hold."""

import argparse
import asyncio
import json
from pathlib import Path
from random import Random
import sys

from .archive import ArchiveFaults
from .campaign import Campaign
from .disk import own_mounts
from .kills import Kills
from .ledger import Ledger
from .plan import FULL, QUICK, Plan, soak
from .site import site
from .tally import Invariant, Tally
from .watcher import Watcher

SETTLE_S = 8
MAX_GROWTH_MB = 2.0
WARM_ROUNDS = 2
"""Of a soak: after a third of it Home Assistant's caches are full."""

AT_ONCE = 2
"""Home Assistants that are killed side by side."""


async def run(plan: Plan, seed: int, only: str, *, own_disk: bool) -> Tally:
    """Let everything go wrong that is planned."""
    tally, dice = Tally(seed=seed), Random(seed)
    if plan.archive and not own_disk:
        tally.say(
            "no file system may be mounted here: SQLite alone plays the full disk"
        )
    if plan.strikes_s or plan.archive:
        await strike(plan, dice, tally, only, own_disk=own_disk)
    if plan.kills:
        # A start of Home Assistant keeps one core busy.
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(
                    kill(plan.kills // AT_ONCE, Random(dice.random()), tally)
                )
    if plan.bounds_memory:
        warm_mb, *_, last_mb = tally.numbers["in_use_mb"][WARM_ROUNDS:]
        tally.expect(
            Invariant.MEMORY,
            last_mb - warm_mb < MAX_GROWTH_MB,
            "soak",
            f"{warm_mb} MB -> {last_mb} MB",
        )
    return tally


async def strike(
    plan: Plan, dice: Random, tally: Tally, only: str, *, own_disk: bool
) -> None:
    """Strike ten meters and one Home Assistant."""
    async with site(own_disk=own_disk) as up:
        tally.say(f"{len(up.posts)} meters are up")
        watcher = Watcher(posts=up.posts, tally=tally, log=up.home.log)
        ledger = Ledger(client=up.client, watcher=watcher, tally=tally)
        if plan.strikes_s:
            campaign = Campaign(
                site=up,
                watcher=watcher,
                ledger=ledger,
                tally=tally,
                dice=dice,
                only=only,
            )
            async with watcher.watching(up.client):
                await asyncio.sleep(SETTLE_S)
                await campaign.rounds(plan)
        if plan.archive:
            faults = ArchiveFaults(site=up, watcher=watcher, ledger=ledger, tally=tally)
            await faults.strike(quick=plan.quick)


async def kill(count: int, dice: Random, tally: Tally) -> None:
    """Kill a Home Assistant with a few meters."""
    async with site(small=True) as up:
        watcher = Watcher(posts=up.posts, tally=tally, log=up.home.log)
        ledger = Ledger(client=up.client, watcher=watcher, tally=tally)
        kills = Kills(site=up, watcher=watcher, ledger=ledger, tally=tally, dice=dice)
        await kills.kill(count)


def main() -> int:
    """Parse the command line, strike, print and write."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in under six minutes")
    parser.add_argument(
        "--soak",
        type=float,
        metavar="MINUTES",
        help="faults for so long, and the growth of memory",
    )
    parser.add_argument("--seed", type=int, default=1, help="other faults with another")
    parser.add_argument(
        "--only",
        default="",
        metavar="KIND",
        help="only faults whose kind has this in it",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    if options.soak is not None:
        plan = soak(options.soak)
    elif options.only:
        plan = plan.only(options.only)
    own_disk = own_mounts()
    tally = asyncio.run(run(plan, options.seed, options.only, own_disk=own_disk))
    print(tally.table())
    if options.json is not None:
        options.json.write_text(
            json.dumps(tally.report(), indent=2, ensure_ascii=False) + "\n"
        )
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
