"""The archive of receipts on a disk that is full or read-only, and the archive damaged."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
import time

from demo.meters import DOMAIN

from .disk import Disk
from .ledger import Ledger
from .site import PROBE, Post, Site
from .tally import Invariant, Tally
from .watcher import Watcher

QUICK = ("head overwritten", "a receipt altered")
"""Damages that a quick campaign tries."""

TRIES = 6
"""Records that still fit where no page can be added."""

LOOK_S = 65
"""What fails is looked at each minute."""

RETRY_S = 90
"""A meter whose archive cannot be opened is set up again after 5, 10, 20, 40 s."""

SETTLE_S = 4
PAGE = 4096


def scribble(content: bytes) -> bytes:
    """Overwrite the head of the file."""
    return b"\xff" * 64 + content[64:]


def halve(content: bytes) -> bytes:
    """Lose the second half."""
    return content[: len(content) // PAGE // 2 * PAGE]


def alter(content: bytes) -> bytes:
    """Let a receipt say another energy."""
    return content.replace(b'\\"RV\\":\\"00', b'\\"RV\\":\\"90', 1)


type Damage = Callable[[bytes], bytes]

DAMAGES: dict[str, tuple[Damage, set[str]]] = {
    "head overwritten": (scribble, {"archive_unusable"}),
    "half of it missing": (halve, {"archive_unusable", "archive_damaged"}),
    "a receipt altered": (alter, {"archive_damaged"}),
}
"""What is done to the file, and one of what the user is told then."""


@dataclass(kw_only=True)
class ArchiveFaults:
    """Lets the archive fail."""

    site: Site
    watcher: Watcher
    ledger: Ledger
    tally: Tally

    async def strike(self, *, quick: bool) -> None:
        """Let it fail in every way."""
        failing = {
            "full, as SQLite has it": self.played("full"),
            "read-only, as SQLite has it": self.played("read_only"),
        }
        if self.site.disk is not None:
            failing["full"] = self.full(self.site.disk)
        for name, fails in failing.items():
            async with self.watcher.watching(self.site.client):
                await self.disk(name, fails, quick=quick)
        if self.site.disk is not None:
            await self.read_only_from_the_start(self.site.disk)
        for name, (damage, issues) in DAMAGES.items():
            if not quick or name in QUICK:
                await self.damage(name, damage, issues)

    def expect(self, holds: bool, where: str, seen: str) -> None:
        """Count a check."""
        self.tally.expect(Invariant.ARCHIVE, holds, where, seen)

    async def issues(self) -> set[str]:
        """Return what the user is told to mend."""
        async with self.site.client.socket() as socket:
            answer = await socket.command("repairs/list_issues")
        return {
            issue["translation_key"]
            for issue in answer["issues"]
            if issue["domain"] == DOMAIN
        }

    @asynccontextmanager
    async def played(self, fault: str) -> AsyncGenerator[None]:
        """Have SQLite answer as it does on a disk with this fault."""
        await self.site.client.action(PROBE, "disk", fault=fault)
        yield
        await self.site.client.action(PROBE, "disk", fault="none")

    @asynccontextmanager
    async def full(self, disk: Disk) -> AsyncGenerator[None]:
        """Leave no byte free, not even those that the write-ahead log has taken already."""
        await self.site.client.action(PROBE, "disk", fault="folded")
        disk.fill()
        yield
        disk.make_room()

    async def disk(
        self, name: str, fails: AbstractAsyncContextManager[None], *, quick: bool
    ) -> None:
        """Let no record be written; sessions are refused, and those that run are kept."""
        where = f"archive: disk {name}"
        running, other = self.pick("DCT1"), self.pick("IEM-DCR")
        await self.ledger.start(running[0])
        await self.ledger.start(other[0])
        async with fails:
            for post in (running[1], other[1]):
                await self.refused(post, where)
            for post in (running[0], other[0]):
                await self.ledger.stop(post)
            if not quick:
                await self.told({"archive_unusable"}, where)
            for post in self.site.posts:
                self.expect(
                    self.watcher.of(post).available, where, f"{post.name} is not shown"
                )
        for post in (*running[:2], *other[:2]):
            await self.ledger.settle(post, where)
            await self.ledger.check(post, where)
            self.expect(await self.ledger.start(post), where, f"{post.name} is refused")
            await self.ledger.settle(post, where)
            await self.ledger.check(post, where)
        self.tally.faults[where] += 1
        self.watcher.read_log()
        self.watcher.unexpected.clear()

    async def refused(self, post: Post, where: str) -> None:
        """See that nothing is begun that cannot be kept, after what still found room."""
        begun = post.simulated.describe().get("transactions", 0)
        for _ in range(TRIES):
            if not await self.ledger.start(post):
                break
            await self.ledger.stop(post)
            begun = post.simulated.describe().get("transactions", 0)
        else:
            self.expect(False, where, f"{post.name} starts nevertheless")
        self.expect(
            post.simulated.describe().get("transactions", 0) == begun,
            where,
            f"{post.name} has begun what cannot be kept",
        )

    async def read_only_from_the_start(self, disk: Disk) -> None:
        """Start where the archive cannot be opened; it is once that is mended."""
        where = "archive: disk read-only at the start"
        await self.site.home.stop()
        with disk.read_only():
            right = digest(self.site.home.archive)
            await self.site.home.come_up()
            await self.told({"archive_unusable"}, where)
            self.expect(
                digest(self.site.home.archive) == right, where, "it was written to"
            )
        async with self.watcher.watching(self.site.client):
            await self.back(where, RETRY_S)
        self.tally.faults[where] += 1

    async def back(self, where: str, within_s: float) -> None:
        """See that all meters come, with their receipts, and that the user is told no more."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            told = await self.issues() & {"archive_unusable", "archive_damaged"}
            there = all(self.watcher.of(post).available for post in self.site.posts)
            if there and not told:
                break
            await asyncio.sleep(0.5)
        for post in self.site.posts:
            self.expect(
                self.watcher.of(post).available, where, f"{post.name} is not there"
            )
            if post.struck:
                await self.ledger.check(post, where)
        self.expect(not told, where, f"after it was mended the user is told {told}")

    async def told(self, any_of: set[str], where: str) -> set[str]:
        """See that the user is told in time; return of what."""
        deadline = time.monotonic() + LOOK_S
        while not (issues := await self.issues()) & any_of:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(1)
        self.expect(bool(issues & any_of), where, f"the user is told {issues}")
        return issues

    def pick(self, kind: str) -> list[Post]:
        """Return the meters of a kind that faults strike."""
        return [post for post in self.site.posts if post.struck and post.kind == kind]

    async def damage(self, name: str, damage: Damage, told: set[str]) -> None:
        """Damage the file while Home Assistant does not run, and put it back afterwards."""
        where = f"archive: {name}"
        file = self.site.home.archive
        await self.site.home.stop()
        right = file.read_bytes()
        file.write_bytes(damaged := damage(right))
        self.expect(damaged != right, where, "nothing was damaged")
        await self.site.home.come_up()
        await asyncio.sleep(SETTLE_S)
        if "archive_unusable" in await self.told(told, where):
            self.expect(
                any(
                    digest(path) == sha256(damaged).hexdigest()
                    for path in file.parent.iterdir()
                ),
                where,
                f"the damaged file is gone: {sorted(file.parent.iterdir())}",
            )
        await self.site.home.stop()
        for path in file.parent.glob(f"{file.name}*"):
            path.unlink()
        file.write_bytes(right)
        await self.site.home.come_up()
        async with self.watcher.watching(self.site.client):
            await self.back(where, SETTLE_S)
        self.tally.faults[where] += 1


def digest(path: Path) -> str:
    """Return what tells a file's content."""
    return sha256(path.read_bytes()).hexdigest()
