"""Sessions that are started and stopped, and the receipts there must be of them."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
import re
import time
from uuid import uuid4

import aiohttp
from cryptography.exceptions import InvalidSignature

from demo.client import Client, Json, RefusedError
from demo.meters import DOMAIN
from demo.signatures import Signed, verify_dct1, verify_ocmf

from .site import POWER_W, Post
from .tally import Invariant, Tally
from .watcher import Watcher

PAGE = re.compile(r'"PG":"T(\d+)"')
SETTLED = {(1, 1), (2, 1)}
"""How often a receipt may be kept, and how often genuine: one that came altered may be there as well."""

NEWEST = SETTLED | {(1, 0)}
REST_S = 90
"""A receipt that is missed is waited for a minute."""

ASK_TIMEOUT_S = 60


@dataclass(kw_only=True)
class Account:
    """What is known of one meter's sessions."""

    answered: dict[str, Json] = field(default_factory=dict)
    """Stops that answered, by transaction."""

    due: set[str] = field(default_factory=set)
    """Transactions that began, and did not fail."""

    receipts: dict[str, Json] = field(default_factory=dict)
    wrong_pages: dict[int, int] = field(default_factory=dict)
    """Pages that are lost or doubled, which was said."""

    outcomes_read: int = 0


@dataclass(kw_only=True)
class Ledger:
    """Starts, stops, and keeps account."""

    client: Client
    watcher: Watcher
    tally: Tally
    accounts: dict[str, Account] = field(default_factory=dict)

    def of(self, post: Post) -> Account:
        """Return the account of a meter."""
        return self.accounts.setdefault(post.name, Account())

    async def start(self, post: Post) -> bool:
        """Start; tell whether the meter was said to have begun."""
        if post.server is not None:
            post.car.stop()
        try:
            answer = await self.ask(post, "start", transaction_id=str(uuid4()))
        finally:
            post.car.set_power(POWER_W)
        self.tally.sessions["starts"] += 1
        return answer is not None

    async def stop(self, post: Post) -> Json | None:
        """Stop; return what was answered, None when it was refused."""
        if post.server is not None:
            post.car.stop()
        try:
            answer = await self.ask(post, "stop")
        finally:
            post.car.set_power(POWER_W)
        if answer is not None:
            self.of(post).answered[answer["transaction_id"]] = answer
        return answer

    async def ask(self, post: Post, action: str, **data: str) -> Json | None:
        """Call an action of a meter; None when it was refused, or nobody was there."""
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                return await self.client.action(
                    DOMAIN,
                    f"{action}_transaction",
                    device_id=post.meter.device_id,
                    **data,
                )
        except RefusedError as err:
            if not re.search(r": (400|500) ", str(err)):
                raise
            return None
        except aiohttp.ClientError, ConnectionError:
            return None

    def rests(self, post: Post) -> bool:
        """Tell whether no session runs, and none waits for its receipt."""
        states = self.watcher.of(post).states
        return (
            states.get("transaction") == "off"
            and states.get("transaction_id") == "unknown"
            # One that began unseen is shown with the next reading.
            and post.simulated.describe().get("transaction") is None
        )

    async def settle(self, post: Post, where: str) -> None:
        """Stop what runs, and wait until nothing does."""
        began = time.monotonic()
        states = self.watcher.of(post).states
        while not self.rests(post) and time.monotonic() < began + REST_S:
            if states.get("transaction") == "on":
                await self.stop(post)
            await asyncio.sleep(0.2)
        self.tally.note_worst(
            "until a session came to its end", time.monotonic() - began
        )
        self.tally.expect(
            Invariant.REST,
            self.rests(post),
            where,
            f"switch is {states.get('transaction')}, session {states.get('transaction_id')}",
        )

    async def check(self, post: Post, where: str, *, limit: int = 30) -> None:
        """Hold the archive against what was told and what the meter counts; nothing runs."""
        account = self.of(post)
        outcomes = self.watcher.of(post).outcomes
        for outcome in outcomes[account.outcomes_read :]:
            transaction_id = outcome["transaction_id"]
            if outcome["type"] == "transaction_failed":
                account.due.discard(transaction_id)
            else:
                account.due.add(transaction_id)
        account.outcomes_read = len(outcomes)
        answer = await self.client.action(
            DOMAIN, "get_receipts", device_id=post.meter.device_id, limit=limit
        )
        ids = Counter(receipt["transaction_id"] for receipt in answer["receipts"])
        for receipt in answer["receipts"]:
            if receipt["transaction_id"] not in account.receipts:
                account.receipts[receipt["transaction_id"]] = receipt
                self.tally.sessions["stopped"] += 1
                self.tally.sessions[f"stopped {post.kind}"] += 1
                self.judge(post, receipt, where)
        expect = self.tally.expect
        expect(
            Invariant.RECEIPTS,
            answer["total"] == len(account.receipts) and set(ids.values()) <= {1},
            where,
            f"{answer['total']} receipts, {len(account.receipts)} known, {ids.most_common(1)}",
        )
        for transaction_id in account.due - account.receipts.keys():
            expect(Invariant.RECEIPTS, False, where, f"{transaction_id} is lost")
        account.due.clear()
        for transaction_id, stop in account.answered.items():
            kept = account.receipts.get(transaction_id, {})
            expect(
                Invariant.RECEIPTS,
                kept.get("signed_meter_value") == stop.get("signed_meter_value"),
                where,
                f"{transaction_id} is not kept as it was answered",
            )
        account.answered.clear()
        if post.server is not None:
            self.check_pages(post, where)

    def check_pages(self, post: Post, where: str) -> None:
        """Hold the receipts against the IEM-DCR's own count of transactions.

        One that stays altered is kept; with the next transaction the genuine one is, beside it.
        """
        kept: Counter[int] = Counter()
        genuine: Counter[int] = Counter()
        for receipt in self.of(post).receipts.values():
            text = receipt["signed_meter_value"]["signed_meter_data"]
            if found := PAGE.search(text):
                kept[int(found[1])] += 1
                genuine[int(found[1])] += receipt["verdict"]["verdict"] == "valid"
        known = self.of(post).wrong_pages
        newest: int = post.simulated.describe()["transactions"]
        wrong = {
            page: kept[page]
            for page in range(1, newest + 1)
            if (kept[page], genuine[page]) not in (SETTLED if page < newest else NEWEST)
            and known.get(page) != kept[page]
        }
        known |= wrong
        self.tally.expect(Invariant.RECEIPTS, not wrong, where, f"pages kept: {wrong}")

    def judge(self, post: Post, receipt: Json, where: str) -> None:
        """Verify a receipt without the integration, and hold its verdict against that."""
        verdict = receipt.get("verdict", {}).get("verdict", "none")
        self.tally.sessions[f"verdict {verdict}"] += 1
        try:
            self.verify(post, receipt)
        except (InvalidSignature, ValueError) as err:
            found = repr(err)
        else:
            found = "valid"
        self.tally.expect(
            Invariant.VALID,
            (verdict == "valid") == (found == "valid"),
            where,
            f"{receipt['transaction_id']}: verdict {verdict}, found {found}",
        )

    def verify(self, post: Post, receipt: Json) -> None:
        """Raise ``InvalidSignature`` or ``ValueError`` unless the meter has signed what it counted."""
        values = [
            receipt[key]
            for key in ("start_signed_meter_value", "signed_meter_value")
            if key in receipt
        ]
        if len(values) != (1 if post.server else 2):
            raise ValueError(f"{len(values)} signed values")
        found = [self.signed(value) for value in values]
        registers = [wh for one in found for wh in one.import_wh]
        if any(one.meter != post.meter.serial_number for one in found):
            raise ValueError(f"of meter {found[0].meter}")
        if registers != sorted(registers) or not (
            post.first_wh <= registers[0] <= registers[-1] <= post.import_wh
        ):
            raise ValueError(f"registers {registers}")

    @staticmethod
    def signed(value: Json) -> Signed:
        """Verify one signature."""
        return (verify_ocmf if value["encoding_method"] == "OCMF" else verify_dct1)(
            value
        )
