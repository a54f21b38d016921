"""Strikes many meters at once and independently, and checks after each fault what must hold."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
import time
from typing import Any

from demo.meters import DOMAIN

from .fault import BACK_S, Fault, Loss, Moment, do
from .http import of_server
from .ledger import Ledger
from .line import of_line
from .plan import Plan
from .power import of_meter
from .site import PROBE, Post, Site
from .tally import Invariant, Tally
from .watcher import FRESH_S, GONE, SLACK_S, Watcher

REST_S = (0.6, 1.2)
INTO_A_CALL_S = 0.6
"""A start or a stop takes about as long."""

CALM_S = 3.0
LOG_S = 2.0
"""A line of the log may be there so much later than the states."""

NEVER_S = 60.0
"""What is not back after so long does not come back."""

LOOKS = 6
"""At what is alive: some of it comes and goes with each reading."""

MOST_GROWN = 12
"""Types of objects, to tell where memory goes."""

LASTING_OBJECTS = (
    *("DcMeterCoordinator", "Sessions", "Trust", "Dct1", "IemDcr", "Nodes"),
    *("KeptRegisters", "Registers", "Polls", "ClockWatch", "DcMeterData", "Archive"),
)
SPARE = ("SyncWorker_#", "asyncio_#", "RequestHandler.start")
"""Threads that Home Assistant keeps for later, and those who wait for what a client says next."""


@dataclass(kw_only=True)
class Campaign:
    """Faults against meters, in rounds; after each round everything is looked at as a whole."""

    site: Site
    watcher: Watcher
    ledger: Ledger
    tally: Tally
    dice: Random
    only: str = ""
    _before: dict[str, Any] | None = None
    _warm: dict[str, int] | None = None

    def faults(self, post: Post, dice: Random) -> list[Fault]:
        """Return what can strike a meter, and no other with it."""
        found = of_meter(post, dice)
        if post.server is not None:
            found += of_server(post, dice)
        elif post.alone:
            found += of_line(self.site, post)
        return [fault for fault in found if self.only in fault.kind]

    async def rounds(self, plan: Plan) -> None:
        """Go on for as long as is planned."""
        # What is opened when it is first used stays open.
        await self.site.client.action(DOMAIN, "get_receipts")
        await self.look("before")
        for post in self.site.posts:
            seen = self.watcher.of(post)
            seen.judged = seen.counts
        until = time.monotonic() + plan.strikes_s
        while time.monotonic() < until:
            await self.round(min(until, time.monotonic() + plan.round_s))

    async def round(self, until: float) -> None:
        """Strike every meter until then; then see what is left of it."""
        async with asyncio.TaskGroup() as group:
            for post in self.site.posts:
                if post.struck:
                    group.create_task(
                        self.strike_on(post, Random(self.dice.random()), until)
                    )
        self.tally.say(
            f"{self.tally.faults.total()} faults,"
            f" {self.tally.sessions['stopped']} sessions,"
            f" {len(self.tally.broken)} broken"
        )
        await self.look(f"after {self.tally.faults.total()} faults")

    async def strike_on(self, post: Post, dice: Random, until: float) -> None:
        """Strike one meter again and again."""
        while time.monotonic() < until:
            faults = self.faults(post, dice)
            if not faults:
                return
            (fault,) = dice.choices(faults, [fault.weight for fault in faults])
            await self.strike(post, fault, dice.choice(fault.moments), dice)

    async def strike(
        self, post: Post, fault: Fault, moment: Moment, dice: Random
    ) -> None:
        """Bring one fault about at a moment of a session, and check what came of it."""
        where = f"{fault.kind} at {moment.name.lower()} of {post.name}"
        seen = self.watcher.of(post)
        await asyncio.sleep(dice.uniform(*REST_S))
        await self.judge_presence(post, f"before {where}")
        if moment in (Moment.RUNNING, Moment.STOP):
            await self.ledger.start(post)
            await asyncio.sleep(dice.uniform(*REST_S))
        call: asyncio.Task[object] | None = None
        if moment is Moment.START:
            call = asyncio.create_task(self.ledger.start(post))
        elif moment is Moment.STOP:
            call = asyncio.create_task(self.ledger.stop(post))
        if call is not None:
            await asyncio.sleep(dice.uniform(0, INTO_A_CALL_S))
        was_lost, struck = not seen.available, time.monotonic()
        if was_lost:
            self.tally.numbers.setdefault("lost_when_struck", []).append(where)
        await do(fault.begin)
        await asyncio.sleep(dice.uniform(*fault.lasts_s))
        self.judge_loss(post, fault, struck, where, was_lost=was_lost)
        await do(fault.end)
        ended = time.monotonic()
        await self.judge_return(post, fault, ended, where)
        if call is not None:
            await call
        await self.ledger.settle(post, where)
        await self.judge_log(post, fault, where)
        await self.ledger.check(post, where)
        until = time.monotonic()
        self.watcher.undisturbed(
            (other for other in self.site.posts if not other.struck),
            struck,
            until,
            where,
        )
        self.tally.faults[fault.kind] += 1

    def judge_loss(
        self, post: Post, fault: Fault, struck: float, where: str, *, was_lost: bool
    ) -> None:
        """See that the meter is shown as lost soon, or not at all.

        Who is lost already cannot be lost again, and must not come back before the end.
        """
        seen = self.watcher.of(post)
        lost_at = seen.turned(False, struck)
        match fault.loss:
            case Loss.MUST:
                if was_lost and seen.turned(True, struck) is None:
                    lost_at = struck
                took_s = float("inf") if lost_at is None else lost_at - struck
                self.tally.expect(
                    Invariant.LOST,
                    took_s <= FRESH_S + SLACK_S,
                    where,
                    f"lost after {took_s:.2f} s",
                )
                if lost_at is not None:
                    self.tally.note_worst("from loss to unavailable", took_s)
                    shown = self.watcher.still_shown(post)
                    self.tally.expect(
                        Invariant.FRESH, not shown, where, f"still shown: {shown}"
                    )
            case Loss.MUST_NOT:
                self.tally.expect(
                    Invariant.KEPT, lost_at is None, where, "shown as lost"
                )

    async def judge_return(
        self, post: Post, fault: Fault, ended: float, where: str
    ) -> None:
        """See that the meter is back soon, with its energies."""
        seen = self.watcher.of(post)

        def whole() -> bool:
            return seen.available and seen.states["energy_import"] not in GONE

        while not whole() and time.monotonic() < ended + NEVER_S:
            await asyncio.sleep(0.02)
        took_s = time.monotonic() - ended
        if seen.turned(True, ended) is not None:
            self.tally.note_worst(
                "from return to there"
                + (", under another name" if fault.reloads else ""),
                took_s,
            )
        self.tally.expect(
            Invariant.BACK,
            took_s <= fault.back_s + SLACK_S,
            where,
            f"{'there' if whole() else 'not there'} after {took_s:.2f} s,"
            f" went and came {[round(at - ended, 2) for at, _ in seen.turns][-4:]} s from the end",
        )

    async def judge_presence(self, post: Post, where: str) -> None:
        """See that a meter stays there, but for the last of what was done to it before.

        That is an answer that comes late: it may go once more, and is soon back.
        """
        seen, began = self.watcher.of(post), time.monotonic()
        while not seen.available and time.monotonic() < began + BACK_S:
            await asyncio.sleep(0.02)
        self.tally.expect(Invariant.BACK, seen.available, where, "gone again")

    async def judge_log(self, post: Post, fault: Fault, where: str) -> None:
        """See that each loss and each return since the last time left one line.

        The lines reach the file some time after the states.
        """
        seen = self.watcher.of(post)
        until = time.monotonic() + LOG_S
        while True:
            await asyncio.sleep(0.3)
            self.watcher.read_log()
            went, lost_lines, came, back_lines = (
                now - before
                for now, before in zip(seen.counts, seen.judged, strict=True)
            )
            holds = went == lost_lines and (fault.reloads or came == back_lines)
            if holds or time.monotonic() >= until:
                break
        seen.judged = seen.counts
        self.tally.expect(
            Invariant.LOG,
            holds,
            where,
            f"{lost_lines} lines for {went} losses, {back_lines} for {came} returns",
        )

    async def look(self, where: str) -> None:
        """Compare what is alive with what was at first; all meters are left alone meanwhile."""
        await asyncio.sleep(CALM_S)
        self.watcher.read_log()
        # What comes and goes counts as there before, and as gone after.
        now = await self.alive(min if self._before else max)
        for what in ("process_mb", "in_use_mb"):
            self.tally.numbers.setdefault(what, []).append(now[what])
        if self._before is None:
            self._before = now
            return
        # The first round warms up.
        warm = self._warm = self._warm or now["types"]
        more_of = {name: n - warm.get(name, 0) for name, n in now["types"].items()}
        self.tally.numbers["grown"] = dict(Counter(more_of).most_common(MOST_GROWN))
        before = self._before
        for what in ("tasks", "threads", "objects", "open"):
            more = {
                name: f"{before[what].get(name, 0)} -> {count}"
                for name, count in now[what].items()
                if count > before[what].get(name, 0)
            }
            self.tally.expect(Invariant.ALIVE, not more, where, f"{what}: {more}")
        self.tally.expect(
            Invariant.LOG,
            not self.watcher.unexpected,
            where,
            "; ".join(self.watcher.unexpected)[:2000],
        )
        self.watcher.unexpected.clear()

    async def alive(self, extreme: Callable[[list[int]], int]) -> dict[str, Any]:
        """Return the least or the most that is alive over some looks, and the memory."""
        looks = []
        names = {post.server.port: post.name for post in self.site.posts if post.server}
        for _ in range(LOOKS):
            look = await self.site.client.action(PROBE, "tell")
            look["open"] = self.site.home.open_files(names)
            look["objects"] = {
                name: look["objects"].get(name, 0) for name in LASTING_OBJECTS
            }
            for what in ("threads", "tasks"):
                look[what] = {
                    name: count
                    for name, count in look[what].items()
                    if name not in SPARE
                }
            looks.append(look)
            await asyncio.sleep(0.31)
        found = {
            what: {
                name: extreme([look[what].get(name, 0) for look in looks])
                for look in looks
                for name in look[what]
            }
            for what in ("tasks", "threads", "objects", "open")
        }
        return found | {
            "process_mb": round(self.site.home.memory_mb(), 1),
            "in_use_mb": round(await self.site.home.in_use_mb(), 1),
            "types": looks[-1]["types"],
        }
