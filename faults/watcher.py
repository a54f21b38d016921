"""Watches every state as it is written, and holds it against what the meters show."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
import re
import time

from demo.client import Client, Event, Json
from demo.home_assistant import complaints
from demo.meters import DOMAIN

from .site import Post
from .tally import Invariant, Tally

TICK_S = 0.1
FRESH_S = 3.0
"""A meter that was not read for so long is not there."""

ENERGY_FRESH_S = 13.0
"""Energies may be ten seconds old, two intervals of reading them and a poll on top."""

VOLTAGE_FRESH_S = 2.5
SLACK_S = 0.25
"""For the way from a write in Home Assistant to here."""

MISSED_S = 1.5
"""Two readings so far apart have a second between them that was missed."""

SIGNATURE_S = 1.0
"""A neighbour that dies while it signs is waited for so long: for half as long again as its last
signature took, of which the slowest here take 0.66 s."""

NUMBER = re.compile(r"\d+(\.\d+)?")
GONE = ("unavailable", "unknown")
ENERGIES = ("energy_import", "energy_export")
LOST_LINE = re.compile(r"Error fetching (.+) data: ")
EXPECTED = re.compile(
    rf"{LOST_LINE.pattern}|its adapter moved|Error during service call|too frequently"
)
"""What Home Assistant says of a meter that is lost, of an action that is refused, and of so many
of these as only a campaign has."""

BACK_LINE = re.compile(r"Fetching (.+) data recovered")


@dataclass(kw_only=True)
class Seen:
    """What was seen of a meter."""

    states: dict[str, str] = field(default_factory=dict)
    beats: deque[float] = field(default_factory=lambda: deque(maxlen=600))
    """When a new voltage was shown, which is with each reading."""

    turns: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=200))
    """When it went and came."""

    energies: dict[str, Decimal] = field(default_factory=dict)
    registers: deque[tuple[float, int]] = field(
        default_factory=lambda: deque(maxlen=400)
    )
    """What its import register showed, and when."""

    outcomes: list[Json] = field(default_factory=list)
    went: int = 0
    came: int = 0
    lost_lines: int = 0
    back_lines: int = 0
    judged: tuple[int, int, int, int] = (0, 0, 0, 0)
    """``counts`` up to which the log was held against what was seen."""

    stale_told: bool = False

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """How often it went, lines that it did, how often it came, lines that it did."""
        return self.went, self.lost_lines, self.came, self.back_lines

    @property
    def available(self) -> bool:
        """Whether it is shown as there."""
        return self.states.get("voltage", "unavailable") not in GONE

    def turned(self, available: bool, since: float) -> float | None:
        """Return when it first went, or came, since."""
        return next(
            (at for at, is_ in self.turns if at >= since and is_ is available), None
        )

    def gap_s(self, since: float, until: float) -> float:
        """Return the longest time without a reading."""
        beats = [at for at in self.beats if since - MISSED_S <= at <= until]
        return max(
            (after - before for before, after in pairwise(beats)), default=until - since
        )


@dataclass(kw_only=True)
class Watcher:
    """Watches all meters."""

    posts: list[Post]
    tally: Tally
    log: Path
    seen: dict[str, Seen] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    _entities: dict[str, tuple[Post, str]] = field(default_factory=dict)
    _devices: dict[str, Post] = field(default_factory=dict)
    _log_read: int = 0
    _asleep_s: float = 0

    def __post_init__(self) -> None:
        """Know the entities."""
        for post in self.posts:
            self.seen[post.name] = Seen()
            self._devices[post.meter.device_id] = post
            for key, entity_id in post.meter.entities.items():
                self._entities[entity_id] = (post, key)

    @asynccontextmanager
    async def watching(self, client: Client) -> AsyncGenerator[None]:
        """Watch for as long as a Home Assistant runs."""
        for seen in self.seen.values():
            seen.states.clear()
        async with client.socket() as socket:
            socket.heard = self.take
            await socket.subscribe("state_changed")
            await socket.subscribe(f"{DOMAIN}_event")
            for state in await client.get("/api/states"):
                # Of what has changed since, the event was here first.
                if not self._is_known(state["entity_id"]):
                    self.note(state["entity_id"], state["state"], time.monotonic())
            ticking = asyncio.create_task(self._tick())
            try:
                yield
            finally:
                ticking.cancel()

    def _is_known(self, entity_id: str) -> bool:
        if (found := self._entities.get(entity_id)) is None:
            return True
        post, key = found
        return key in self.of(post).states

    def of(self, post: Post) -> Seen:
        """Return what was seen of a meter."""
        return self.seen[post.name]

    def take(self, event: Event) -> None:
        """Take an event of the bus."""
        if event.type == "state_changed":
            if (new := event.data["new_state"]) is not None:
                self.note(event.data["entity_id"], new["state"], event.at)
        elif (post := self._devices.get(event.data.get("device_id", ""))) is not None:
            if event.data["type"].startswith("transaction_"):
                self.of(post).outcomes.append(event.data)

    def note(self, entity_id: str, state: str, at: float) -> None:
        """Take a state, and hold it against the meter."""
        if (found := self._entities.get(entity_id)) is None:
            return
        post, key = found
        seen = self.of(post)
        was_available = seen.available
        before = seen.states.get(key)
        seen.states[key] = state
        if key == "voltage":
            if seen.available != was_available:
                seen.turns.append((at, seen.available))
                seen.came += seen.available
                seen.went += was_available
            if seen.available and state != before:
                seen.beats.append(at)
                seen.stale_told = False
                self._judge_voltage(post, state, at)
        if key in ENERGIES and state not in GONE:
            self._judge_energy(post, key, state, at)

    def _judge_voltage(self, post: Post, state: str, at: float) -> None:
        recent = {
            round(Decimal(value) / 10, 1)
            for shown_at, value in post.car.shown
            if at - VOLTAGE_FRESH_S - SLACK_S <= shown_at
        }
        self.tally.expect(
            Invariant.FRESH,
            round(Decimal(state), 1) in recent,
            post.name,
            f"{state} V was not there within {VOLTAGE_FRESH_S} s",
        )

    def _judge_energy(self, post: Post, key: str, state: str, at: float) -> None:
        seen = self.of(post)
        value = Decimal(state) * 1000 if NUMBER.fullmatch(state) else Decimal(-1)
        last = seen.energies.get(key)
        lowest, highest = Decimal(0), Decimal(0)
        if key == "energy_import":
            seen.registers.append((time.monotonic(), post.import_wh))
            highest = Decimal(seen.registers[-1][1])
            lowest = Decimal(
                next(
                    (
                        wh
                        for read_at, wh in reversed(seen.registers)
                        if read_at <= at - ENERGY_FRESH_S
                    ),
                    post.first_wh,
                )
            )
        self.tally.expect(
            Invariant.ENERGY,
            lowest <= value <= highest and (last is None or value >= last),
            f"{post.name} {key}",
            f"{state} after {last}, the meter shows {lowest} to {highest} Wh",
        )
        seen.energies[key] = value

    async def _tick(self) -> None:
        """Note the registers, and see that nothing stands still."""
        while True:
            slept_at = time.monotonic()
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self._asleep_s = max(self._asleep_s, now - slept_at - TICK_S)
            self.tally.note_worst("this process late", now - slept_at - TICK_S)
            for post in self.posts:
                seen = self.of(post)
                seen.registers.append((now, post.import_wh))
                if not (seen.available and seen.beats) or seen.stale_told:
                    continue
                age_s = now - seen.beats[-1]
                if age_s > FRESH_S + SLACK_S:
                    seen.stale_told = True
                    self.tally.expect(
                        Invariant.FRESH,
                        False,
                        post.name,
                        f"nothing new for {age_s:.1f} s",
                    )

    def still_shown(self, post: Post) -> dict[str, str]:
        """Return what a meter that is gone shows nevertheless."""
        seen = self.of(post)
        return {
            key: state
            for key, state in seen.states.items()
            if state != "unavailable"
            and not post.meter.entities[key].startswith("event.")
        }

    def read_log(self) -> None:
        """Count the lines about meters that went and came, and keep what else complains."""
        with self.log.open() as file:
            file.seek(self._log_read)
            text = file.read()
            whole = text.rpartition("\n")[0] + "\n" if "\n" in text else ""
            self._log_read += len(whole.encode())
        titles = {post.title: self.of(post) for post in self.posts}
        for line in whole.splitlines():
            if (lost := LOST_LINE.search(line)) and lost[1] in titles:
                titles[lost[1]].lost_lines += 1
            elif (back := BACK_LINE.search(line)) and back[1] in titles:
                titles[back[1]].back_lines += 1
        self.unexpected += [
            complaint
            for complaint in complaints(whole, DOMAIN)
            if not EXPECTED.search(complaint.splitlines()[0])
        ]

    def undisturbed(
        self, posts: Iterable[Post], since: float, until: float, where: str
    ) -> None:
        """Hold the cadence of meters that nothing was done to against the clock."""
        for post in posts:
            gap_s = self.of(post).gap_s(since, until)
            most_s = MISSED_S if post.alone else 1 + SIGNATURE_S
            self.tally.note_worst("gap between readings of an undisturbed meter", gap_s)
            self.tally.expect(
                Invariant.OTHERS,
                gap_s < most_s,
                f"{post.name} beside {where}",
                f"{gap_s:.2f} s without a reading",
            )
