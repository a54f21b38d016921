"""The judgement of the campaign of faults: what it must not let pass."""

import asyncio
from dataclasses import replace
import json
from pathlib import Path
from random import Random
import time
from typing import Any, cast

import pytest

from demo.meters import Meter
from faults import campaign as module
from faults.campaign import Campaign
from faults.fault import Fault, Loss, nothing
from faults.ledger import Ledger
from faults.plan import FULL, QUICK, soak
from faults.site import Post, Site, WatchedCar
from faults.tally import Invariant, Tally
from faults.watcher import Watcher
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr

SERIAL = "1ISA0200000001"
FIRST_WH = 34_567_891
KEYS = ("voltage", "energy_import", "transaction", "transaction_id")
LOGGED = "2026-11-22 00:30:47.048+00:00 ERROR (MainThread) [custom_components.dc_meter]"
THERE = {"voltage": "400.0", "energy_import": "34567.891"}


@pytest.fixture(name="post")
def post_fixture() -> Post:
    """Return a meter, new, with no car that charges."""
    car = WatchedCar()
    car.stop()
    simulated = SimulatedIemDcr(
        serial_number=SERIAL, import_wh=FIRST_WH, signature_delay_s=0, car=car
    )
    return Post(
        name=SERIAL,
        car=car,
        meter=Meter(
            name=SERIAL,
            serial_number=SERIAL,
            device_id="device",
            entities={key: f"sensor.{key}" for key in KEYS},
        ),
        title=f"IEM-DCR {SERIAL}",
        simulated=simulated,
        server=IemDcrServer(simulated),
        first_wh=FIRST_WH,
    )


@pytest.fixture(name="watcher")
def watcher_fixture(post: Post, tmp_path: Path) -> Watcher:
    """Return who watches it."""
    return Watcher(posts=[post], tally=Tally(seed=1), log=tmp_path / "console.log")


@pytest.fixture(name="campaign")
def campaign_fixture(watcher: Watcher, post: Post) -> Campaign:
    """Return who judges, without a Home Assistant; 400 V are never old."""
    post.car.shown.append((float("inf"), 4000))
    return Campaign(
        site=cast("Site", None),
        watcher=watcher,
        ledger=cast("Ledger", None),
        tally=watcher.tally,
        dice=Random(1),
    )


def broken(watcher: Watcher) -> set[Invariant]:
    """Return what did not hold."""
    return {one["invariant"] for one in watcher.tally.broken}


@pytest.mark.parametrize(
    "shown", ["0", "34567.890", "34567.892", "134567.891", "nonsense", "NaN"]
)
def test_an_energy_that_the_meter_does_not_show_is_noticed(
    watcher: Watcher, shown: str
) -> None:
    """It fell, jumped, is 0, or is no number; one Wh is enough."""
    watcher.note("sensor.energy_import", "34567.891", time.monotonic())
    assert not broken(watcher)
    watcher.note("sensor.energy_import", shown, time.monotonic())
    assert broken(watcher) == {Invariant.ENERGY}


def test_a_voltage_from_before_is_noticed(watcher: Watcher, post: Post) -> None:
    """What the car had just now is fresh, what it never had is not."""
    voltage = post.car.flow().voltage_dv / 10
    watcher.note("sensor.voltage", str(voltage), time.monotonic())
    assert not broken(watcher)
    watcher.note("sensor.voltage", str(voltage - 100), time.monotonic())
    assert broken(watcher) == {Invariant.FRESH}


def test_a_second_without_a_reading_is_noticed(watcher: Watcher, post: Post) -> None:
    """Of a meter that nothing was done to."""
    seen = watcher.of(post)
    seen.beats.extend([10.0, 11.0, 12.0, 14.0, 15.0])
    watcher.undisturbed([post], 10.5, 12.5, "a fault")
    assert not broken(watcher)
    watcher.undisturbed([post], 11.5, 15.0, "a fault")
    assert broken(watcher) == {Invariant.OTHERS}


@pytest.mark.parametrize(("alone", "gap_s"), [(True, 1.5), (False, 2.0)])
def test_who_shares_a_line_waits_for_a_signature_that_never_comes(
    watcher: Watcher, post: Post, alone: bool, gap_s: float
) -> None:
    """For no longer than that, and nobody else does."""
    post = replace(post, alone=alone)
    seen = watcher.of(post)
    seen.beats.extend([10.0, 10.0 + gap_s - 0.1])
    watcher.undisturbed([post], 10.0, 13.0, "a fault")
    assert not broken(watcher)
    seen.beats[-1] += 0.1
    watcher.undisturbed([post], 10.0, 13.0, "a fault")
    assert broken(watcher) == {Invariant.OTHERS}


def test_a_meter_that_is_gone_shows_nothing(watcher: Watcher, post: Post) -> None:
    """Every entity of it is unavailable; when it went is known."""
    for key, state in THERE.items():
        watcher.note(f"sensor.{key}", state, 1.0)
    watcher.note("sensor.voltage", "unavailable", 2.0)
    assert watcher.of(post).turned(False, 1.5) == 2.0
    assert watcher.still_shown(post) == {"energy_import": "34567.891"}


def test_lines_of_the_log_are_counted_and_others_complained_of(
    watcher: Watcher, post: Post
) -> None:
    """Half a line waits for its other half."""
    stamp = "2026-11-22 00:30:47.048+00:00"
    logger = "(MainThread) [custom_components.dc_meter]"
    text = (
        f"{LOGGED} Error fetching {post.title} data: no answer\n"
        f"{stamp} INFO {logger} Fetching {post.title} data recovered\n"
        f"{stamp} WARNING {logger} something odd\n"
    )
    watcher.log.write_text(text[:-5])
    watcher.read_log()
    watcher.log.write_text(text)
    watcher.read_log()
    seen = watcher.of(post)
    assert (seen.lost_lines, seen.back_lines) == (1, 1)
    assert [one.partition("] ")[2] for one in watcher.unexpected] == ["something odd"]


class Archive:
    """Answers as Home Assistant does to whoever asks for receipts."""

    def __init__(self, *receipts: dict[str, Any]) -> None:
        """Hold these."""
        self.receipts = receipts

    async def action(self, *_: str, **__: Any) -> dict[str, Any]:
        """Give all of them out."""
        return {"total": len(self.receipts), "receipts": list(self.receipts)}


def receipt(post: Post, number: int = 1, verdict: str = "valid") -> dict[str, Any]:
    """Let the meter carry a transaction out, and return what is kept of it."""
    meter = post.simulated
    assert isinstance(meter, SimulatedIemDcr)
    if number == 1:
        meter.post_gw(
            {"CT": "EVSEID", "CI": "DE*1", "TM": "2026-07-01T14:00:00,000+0200"}
        )
    for step in ("B", "E"):
        meter.post_receipt({"TX": step})
    return {
        "transaction_id": f"id-{number}",
        "verdict": {"verdict": verdict},
        "signed_meter_value": {
            "signed_meter_data": meter.get_receipt(),
            "signing_method": "ECDSA-secp256r1-SHA256",
            "encoding_method": "OCMF",
            "public_key": meter.get_publickey()["PK"],
        },
    }


async def judged(
    watcher: Watcher, post: Post, *receipts: dict[str, Any], **answered: Any
) -> set[Invariant]:
    """Return what does not hold of an archive."""
    ledger = Ledger(
        client=Archive(*receipts),  # type: ignore[arg-type]  # all that is asked of it
        watcher=watcher,
        tally=watcher.tally,
    )
    ledger.of(post).answered |= answered
    await ledger.check(post, "here")
    return broken(watcher)


LOSS = Fault(kind="gone", begin=nothing, end=nothing, loss=Loss.MUST)


def turn(watcher: Watcher, available: bool, at: float) -> None:
    """Show the meter as there, or as gone."""
    watcher.note("sensor.voltage", "400.0" if available else "unavailable", at)


def test_who_is_lost_already_is_lost_at_once(campaign: Campaign, post: Post) -> None:
    """But not if it comes back meanwhile."""
    watcher = campaign.watcher
    for at, there in enumerate([True, False]):
        turn(watcher, there, at)
    campaign.judge_loss(post, LOSS, 2.0, "a fault", was_lost=True)
    assert not broken(watcher)
    turn(watcher, True, 3.0)
    campaign.judge_loss(post, LOSS, 2.0, "a fault", was_lost=True)
    assert Invariant.LOST in broken(watcher)


@pytest.mark.parametrize(("at", "breaks"), [(5.2, False), (5.3, True), (None, True)])
def test_who_is_lost_too_late_is_noticed(
    campaign: Campaign, post: Post, at: float | None, breaks: bool
) -> None:
    watcher = campaign.watcher
    turn(watcher, True, 1.0)
    if at is not None:
        turn(watcher, False, at)
    campaign.judge_loss(post, LOSS, 2.0, "a fault", was_lost=False)
    assert (Invariant.LOST in broken(watcher)) is breaks


async def test_a_line_of_the_log_may_come_a_moment_late(
    campaign: Campaign, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never comes is noticed."""
    watcher = campaign.watcher
    watcher.log.touch()
    turn(watcher, True, 1.0)
    monkeypatch.setattr(module, "LOG_S", 0.7)
    watcher.of(post).judged = watcher.of(post).counts
    turn(watcher, False, 2.0)
    judged = asyncio.create_task(campaign.judge_log(post, LOSS, "a fault"))
    await asyncio.sleep(0.4)
    watcher.log.write_text(f"{LOGGED} Error fetching {post.title} data: no answer\n")
    await judged
    assert not broken(watcher)
    turn(watcher, True, 3.0)
    await campaign.judge_log(post, LOSS, "a fault")
    assert broken(watcher) == {Invariant.LOG}


async def test_who_went_again_is_noticed_before_it_is_struck(
    campaign: Campaign, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is soon back."""
    monkeypatch.setattr(module, "BACK_S", 0.1)
    watcher = campaign.watcher
    turn(watcher, False, 1.0)
    back = asyncio.get_running_loop().call_later(0.05, turn, watcher, True, 2.0)
    await campaign.judge_presence(post, "a fault")
    assert not broken(watcher)
    assert back.when() < asyncio.get_running_loop().time()
    turn(watcher, False, 3.0)
    await campaign.judge_presence(post, "a fault")
    assert broken(watcher) == {Invariant.BACK}


async def test_receipts_that_are_all_there_are_in_order(
    watcher: Watcher, post: Post
) -> None:
    """Each once, as it was answered."""
    first, second = receipt(post), receipt(post, 2)
    assert not await judged(watcher, post, first, second, **{"id-1": first})


@pytest.mark.parametrize("kept", [[], [0], [0, 0], [0, 1, 1]])
async def test_a_receipt_lost_or_doubled_is_noticed(
    watcher: Watcher, post: Post, kept: list[int]
) -> None:
    """The meter counts its transactions itself."""
    made = [receipt(post), receipt(post, 2)]
    found = await judged(watcher, post, *(made[number] for number in kept))
    assert found == {Invariant.RECEIPTS}


@pytest.mark.parametrize("is_newest", [True, False])
async def test_a_receipt_that_came_altered_is_alone_until_the_next_begins(
    watcher: Watcher, post: Post, is_newest: bool
) -> None:
    """By then the genuine one is kept as well."""
    made = [receipt(post)] if is_newest else [receipt(post), receipt(post, 2)]
    made[0]["verdict"] = {"verdict": "signature_invalid"}
    found = await judged(watcher, post, *made)
    assert (Invariant.RECEIPTS in found) is not is_newest


@pytest.mark.parametrize(("forged", "notices"), [(True, False), (False, True)])
async def test_a_receipt_that_came_altered_may_be_kept_beside_the_genuine_one(
    watcher: Watcher, post: Post, forged: bool, notices: bool
) -> None:
    """The same transaction twice; no genuine receipt is there twice."""
    genuine = receipt(post)
    value = genuine["signed_meter_value"]
    other = {**genuine, "transaction_id": "foreign-1"}
    if forged:
        text = value["signed_meter_data"].replace("34567.891", "94567.891")
        other["signed_meter_value"] = {**value, "signed_meter_data": text}
        other["verdict"] = {"verdict": "signature_invalid"}
    found = await judged(watcher, post, genuine, other)
    assert (Invariant.RECEIPTS in found) == notices


async def test_a_receipt_that_differs_from_its_answer_is_noticed(
    watcher: Watcher, post: Post
) -> None:
    """What was told is what is kept."""
    made = receipt(post)
    told = {**made, "signed_meter_value": {}}
    assert await judged(watcher, post, made, **{"id-1": told}) == {Invariant.RECEIPTS}


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("34567.891", "34567.892", "valid"),
        (SERIAL, "1ISA0200000009", "valid"),
        ("OCMF", "OCMF", "signature_invalid"),
    ],
)
async def test_a_wrong_verdict_is_noticed(
    watcher: Watcher, post: Post, old: str, new: str, verdict: str
) -> None:
    """Forged and valid, or genuine and not."""
    made = receipt(post, verdict=verdict)
    value = made["signed_meter_value"]
    value["signed_meter_data"] = value["signed_meter_data"].replace(old, new)
    assert Invariant.VALID in await judged(watcher, post, made)


def test_a_report_can_be_written_and_says_what_broke() -> None:
    """Counts by kind, and each invariant with how often it was checked and broken."""
    tally = Tally(seed=7)
    tally.faults.update(["line: silence", "line: silence", "http: 500"])
    tally.expect(Invariant.KEPT, True, "here", "")
    tally.expect(Invariant.KEPT, False, "there", "shown as lost")
    report = json.loads(json.dumps(tally.report()))
    assert report["passed"] is False
    assert report["faults"] == {"all": 3, "http: 500": 1, "line: silence": 2}
    assert report["invariants"] == {Invariant.KEPT: {"checked": 2, "broken": 1}}
    assert report["broken"][0]["where"] == "there"
    assert "3 faults" in tally.table()


def test_a_kind_of_fault_can_be_tried_alone() -> None:
    """Strikes, the archive or the kills, without the other two."""
    assert FULL.only("http") == replace(FULL, archive=False, kills=0)
    assert QUICK.only("kill") == replace(QUICK, strikes_s=0, archive=False)
    assert QUICK.only("archive") == replace(QUICK, strikes_s=0, kills=0)
    assert soak(60).bounds_memory
