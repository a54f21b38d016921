"""Home Assistant killed (``kill -9``) in the middle of starts and stops, and at every write."""

import asyncio
from dataclasses import dataclass
from random import Random
import sys
import time

from demo.process import ROOT

from .fault import FOREVER
from .ledger import Ledger
from .site import PROBE, Post, Site
from .tally import Invariant, Tally
from .watcher import Watcher

LONGEST_S = 0.9
"""A start or stop of the DCT1 at 9600 baud takes about half of it."""

DUE_S = 8
"""The write that it dies at comes sooner."""

BACK_S = 20
"""From its start until every meter is there."""

OFF_S = 1.6
REGISTRIES_S = 12
"""Home Assistant writes new entries and entities to disk that much later."""

WRITES = ("starting", "started", "stopping", "stopped", "failed", "gap", "paused")


@dataclass(frozen=True, kw_only=True)
class Point:
    """A write to the archive at which it dies; None is any instant."""

    write: str | None = None
    before: bool = False

    def __str__(self) -> str:
        """Name it."""
        if self.write is None:
            return "kill: at any instant"
        return f"kill: {'before' if self.before else 'after'} the record {self.write}"


POINTS = [
    Point(write=write, before=before) for write in WRITES for before in (True, False)
]


@dataclass(kw_only=True)
class Kills:
    """Kills again and again."""

    site: Site
    watcher: Watcher
    ledger: Ledger
    tally: Tally
    dice: Random

    async def kill(self, count: int) -> None:
        """Kill so many times, every other time at a write."""
        await asyncio.sleep(REGISTRIES_S)
        offset = self.dice.randrange(len(POINTS))
        for number in range(count):
            point = (
                POINTS[(number // 2 + offset) % len(POINTS)] if number % 2 else Point()
            )
            await self.kill_once(point)
            if number % 10 == 9:
                self.tally.say(f"killed {number + 1} of {count}")
        self.tally.expect(
            Invariant.RECEIPTS,
            "whole" in (chain := await verify_archive(self.site)),
            "after all kills",
            chain,
        )

    async def kill_once(self, point: Point) -> None:
        """Let it die in the middle of something, start it again, and look for what was lost."""
        posts = [post for post in self.site.posts if post.struck]
        async with self.watcher.watching(self.site.client):
            asked = await self.stir(point, posts)
            if point.write is None:
                await asyncio.sleep(self.dice.uniform(0, LONGEST_S))
            else:
                try:
                    async with asyncio.timeout(DUE_S):
                        await self.site.home.ended()
                except TimeoutError:
                    self.tally.say(f"{point}: did not come to it")
            await self.site.home.kill()
            await asyncio.gather(*asked)
        self.put_right(posts)
        began = time.monotonic()
        await self.site.home.come_up()
        self.tally.faults[str(point)] += 1
        async with self.watcher.watching(self.site.client):
            while not all(self.watcher.of(post).available for post in self.site.posts):
                if time.monotonic() > began + BACK_S:
                    break
                await asyncio.sleep(0.05)
            self.tally.note_worst(
                "from a start after a kill until every meter is there",
                time.monotonic() - began,
            )
            for post in posts:
                self.tally.expect(
                    Invariant.BACK,
                    self.watcher.of(post).available,
                    f"{point}: {post.name}",
                    f"not there after {BACK_S} s",
                )
            async with asyncio.TaskGroup() as group:
                for post in posts:
                    group.create_task(self.settle(post, f"{point}: {post.name}"))

    async def settle(self, post: Post, where: str) -> None:
        """Bring a meter to rest and count its receipts."""
        await self.ledger.settle(post, where)
        await self.ledger.check(post, where)

    async def stir(self, point: Point, posts: list[Post]) -> list[asyncio.Task[object]]:
        """Have every meter do what leads to the write; what was asked may never be answered."""
        starting = {"starting", "started", "failed"}
        running = [
            post
            for post in posts
            if (
                self.dice.random() < 0.5
                if point.write is None
                else point.write not in starting
            )
        ]
        await asyncio.gather(*(self.ledger.start(post) for post in running))
        if point.write is not None:
            await self.site.client.action(
                PROBE, "die", at=point.write, before=point.before
            )
        match point.write:
            case "gap":
                for post in posts:
                    if post.server is not None:
                        await post.server.refuse()
                await asyncio.sleep(OFF_S)
                for post in posts:
                    if post.server is not None:
                        await post.server.accept()
                return []
            case "paused":
                return [asyncio.create_task(self.site.home.stop())]
            case "failed":
                for post in posts:
                    if post.server is not None:
                        post.server.misanswer(
                            fault="428", count=FOREVER, node="POST receipt"
                        )
        return [
            asyncio.create_task(
                self.ledger.stop(post) if post in running else self.ledger.start(post)
            )
            for post in posts
        ]

    @staticmethod
    def put_right(posts: list[Post]) -> None:
        """Let every meter answer as it should."""
        for post in posts:
            if post.server is not None:
                post.server.heal()


async def verify_archive(site: Site) -> str:
    """Return what the archive's own check says."""
    checked = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "scripts" / "verify.py")),
        *("--archive", str(site.home.archive)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await checked.communicate()
    return (
        f"{'whole' if checked.returncode == 0 else 'broken'}: {said.decode().strip()}"
    )
