"""Kill a real Home Assistant in the middle of starts and stops; count what was lost.

Each round starts or stops a transaction on each meter and kills Home Assistant (``kill -9``) at
a random moment of it. After the last round the archive is held against the meters' own counts:
every transaction that a meter ended has its receipt exactly once, every receipt is genuine,
every answer that was given is kept, and the chain of records is whole.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
import json
from pathlib import Path
import random
import re
import sys
import time
from uuid import uuid4

import aiohttp

from .client import Client, Json, RefusedError
from .home_assistant import complaints
from .meters import DOMAIN, Meter
from .process import ROOT
from .signatures import verify_dct1, verify_ocmf
from .stage import Stage, stage

LONGEST_S = 0.9
"""A start or stop of the DCT1 at 9600 baud takes about half of it."""

SETTLE_S = 45
REGISTRIES_S = 12
"""Home Assistant writes new entries and entities to disk that much later."""

PAGE = re.compile(r'"PG":"T(\d+)"')


@dataclass(kw_only=True)
class Tally:
    """What was done and what came of it."""

    rounds: Counter[str] = field(default_factory=Counter)
    answered: dict[str, Json] = field(default_factory=dict)
    """Stops that answered, by transaction id."""

    failures: list[str] = field(default_factory=list)

    def expect(self, what: str, holds: bool) -> None:
        """Note what does not hold."""
        if not holds:
            self.failures.append(what)
            print(f"FAIL  {what}", flush=True)


async def campaign(kills: int, seed: int) -> Json:
    """Kill so many times; return what was seen."""
    began = time.monotonic()
    dice = random.Random(seed)
    tally = Tally()
    async with stage() as up:
        await up.simulation.steer_car(charging=False)
        await asyncio.sleep(REGISTRIES_S)
        for number in range(kills):
            await kill_once(up, dice, tally)
            print(f"{time.monotonic() - began:6.1f} s  killed {number + 1}", flush=True)
        await settle(up.client, up.meters, tally)
        http = up.client.http
        state = await (await http.get(up.simulation.control_url)).json()
        receipts = await all_receipts(up.client)
        await up.home_assistant.stop()
        for complaint in complaints(up.home_assistant.log.read_text(), DOMAIN):
            print(complaint, flush=True)
        check(receipts, state, tally)
        chain = await verify_archive(up.home_assistant.folder)
        tally.expect(f"the chain of records is whole: {chain}", "whole" in chain)
    return {
        "passed": not tally.failures,
        "seed": seed,
        "kills": kills,
        "killed_during": dict(tally.rounds),
        "receipts": len(receipts),
        "answered_stops": len(tally.answered),
        "lost_or_doubled": len(tally.failures),
        "failures": tally.failures,
        "duration_s": round(time.monotonic() - began, 1),
    }


async def kill_once(up: Stage, dice: random.Random, tally: Tally) -> None:
    """Ask something of every meter and kill Home Assistant while it is at it."""
    client, home_assistant, meters = up.client, up.home_assistant, up.meters
    actions = {meter.name: dice.choice(["start", "stop"]) for meter in meters}
    asked = [
        asyncio.create_task(ask(client, meter, actions[meter.name], tally))
        for meter in meters
    ]
    await asyncio.sleep(dice.uniform(0, LONGEST_S))
    assert home_assistant.process is not None
    home_assistant.process.child.kill()
    await home_assistant.ended()
    done = await asyncio.gather(*asked)
    for meter, answered in zip(meters, done, strict=True):
        moment = "after" if answered else "during"
        tally.rounds[f"{moment} {actions[meter.name]} of {meter.name}"] += 1
    await home_assistant.start()
    await client.log_in()
    await client.until_running()
    for meter in meters:
        while await state_of(client, meter) == "unavailable":
            await asyncio.sleep(0.2)


async def ask(client: Client, meter: Meter, action: str, tally: Tally) -> bool:
    """Start or stop; tell whether an answer came before the kill."""
    data = {"transaction_id": str(uuid4())} if action == "start" else {}
    try:
        response = await client.action(
            DOMAIN, f"{action}_transaction", device_id=meter.device_id, **data
        )
    except RefusedError:
        # Nothing has ever run, or the entry is still being set up.
        return True
    except aiohttp.ClientError, ConnectionError:
        return False
    if action == "stop":
        tally.answered[response["transaction_id"]] = response
    return True


async def settle(client: Client, meters: Iterable[Meter], tally: Tally) -> None:
    """Stop what runs, and wait until no meter's session is open."""
    for meter in meters:
        deadline = time.monotonic() + SETTLE_S
        while (shown := await state_of(client, meter)) != "off":
            if time.monotonic() > deadline:
                break
            await ask(client, meter, "stop", tally)
            await asyncio.sleep(1)
        tally.expect(f"{meter.name} comes to rest: {shown}", shown == "off")
    # What a meter ended while nobody watched is fetched at the next poll.
    await asyncio.sleep(3)


async def state_of(client: Client, meter: Meter) -> str:
    """Return the state of a meter's switch; unavailable while it is not there."""
    try:
        state = await client.get(f"/api/states/{meter.entities['transaction']}")
    except RefusedError:
        return "unavailable"
    return str(state["state"])


async def all_receipts(client: Client) -> list[Json]:
    """Return every receipt of the archive."""
    response = await client.action(DOMAIN, "get_receipts", limit=10_000)
    found: list[Json] = response["receipts"]
    return found


def check(receipts: list[Json], state: Json, tally: Tally) -> None:
    """Hold the archive against what was answered and what the meters count."""
    ids = Counter(receipt["transaction_id"] for receipt in receipts)
    for transaction_id, count in ids.items():
        tally.expect(f"{transaction_id} is kept once, not {count} times", count == 1)
    kept = {receipt["transaction_id"]: receipt for receipt in receipts}
    for transaction_id, answer in tally.answered.items():
        tally.expect(
            f"{transaction_id} is kept as it was answered",
            kept.get(transaction_id, {}).get("signed_meter_value")
            == answer["signed_meter_value"],
        )
    pages = Counter[int]()
    for receipt in receipts:
        tally.expect(
            f"{receipt['transaction_id']} is valid",
            receipt["verdict"]["verdict"] == "valid",
        )
        value = receipt["signed_meter_value"]
        # Raises when a signature does not fit; the integration's own verdict is not asked.
        if value["encoding_method"] == "OCMF":
            verify_ocmf(value)
            if (found := PAGE.search(value["signed_meter_data"])) is not None:
                pages[int(found[1])] += 1
        else:
            verify_dct1(value)
            verify_dct1(receipt["start_signed_meter_value"])
    ended = next(
        meter["transactions"]
        for meter in state["meters"].values()
        if meter["kind"] == "iem_dcr"
    )
    for page in range(1, ended + 1):
        tally.expect(
            f"the IEM-DCR's receipt T{page} is kept once, not {pages[page]} times",
            pages[page] == 1,
        )


async def verify_archive(folder: Path) -> str:
    """Return what the archive's own check says."""
    checked = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "scripts" / "verify.py")),
        *("--archive", str(folder / DOMAIN / "receipts.db")),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await checked.communicate()
    return (
        f"{'whole' if checked.returncode == 0 else 'broken'}: {said.decode().strip()}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = asyncio.run(campaign(options.kills, options.seed))
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    sys.exit(0 if report["passed"] else 1)
