"""The one receipt that a meter holds: whose it is, and whether another is about to replace it."""

from dataclasses import replace
from hashlib import sha256
from time import monotonic

from .archive import RecordKind
from .ledger import Ledger, signed_part
from .metering.errors import NoReceiptError, UnexpectedAnswerError
from .metering.meter import Meter, Snapshot
from .metering.verdict import Verdict
from .session import FOREIGN, Session

RECEIPT_PATIENCE_S = 60
"""How long a meter that shows no receipt of an ended transaction is asked for it."""


class HeldReceipt:
    """What is known of it. Whatever asks the archive may raise ``ArchiveError``."""

    def __init__(self, meter: Meter, ledger: Ledger) -> None:
        """Begin with knowing nothing."""
        self._meter = meter
        self._ledger = ledger
        self.digest: str | None = None
        """Of the receipt last seen; what runs now has none yet."""

        self.is_known = False
        """Whether it was looked at since the meter was last away, and none is about to follow."""

        self._look_until = 0.0
        """Until when another may be about to follow."""

        self._missed_since: float | None = None

    @property
    def can_be_told(self) -> bool:
        """Whether the next can be told from it."""
        return self.is_known and self.digest is not None

    def note(self, receipt: Snapshot | None) -> None:
        """Take note of the receipt that the meter holds."""
        self.digest = next(iter(_digests(receipt)), None)

    def looked(self) -> None:
        """Take note that it was looked at, or that there is no use in it."""
        self.is_known = monotonic() >= self._look_until

    def look_again(self, *, for_another: bool) -> None:
        """Look again; for as long as the next may be being signed, if it is about to follow."""
        self.is_known = False
        if for_another:
            self._look_until = monotonic() + RECEIPT_PATIENCE_S

    def stop_looking(self) -> None:
        """Take note that no other is about to follow."""
        self._look_until = 0.0

    def meter_was_away(self) -> None:
        """Know nothing of what it holds by now; nor is a receipt missed meanwhile."""
        self.look_again(for_another=monotonic() < self._look_until)
        self._missed_since = None

    def wait_anew(self) -> None:
        """Give the meter its time for a receipt once more."""
        self._missed_since = None

    async def ask(self, *, may_be_ours: bool = False) -> Snapshot | None:
        """Ask for it; a meter that has never made any may say so in its own way.

        Where it may be the first of all, and ours, that is believed after a while; until then
        ``NoReceiptError`` is raised. Raises what ``Meter.last_receipt`` does.
        """
        try:
            return await self._meter.last_receipt()
        except UnexpectedAnswerError:
            if await self._ledger.latest(RecordKind.STOPPED):
                raise
            if may_be_ours:
                self._miss()
            return None

    async def of_ended(self, session: Session) -> Snapshot | None:
        """Return the receipt since a session that has ended; None where it left none.

        Raises ``NoReceiptError`` while the meter may still be signing it, and what
        ``Meter.last_receipt`` does.
        """
        receipt = await self._meter.last_receipt()
        if receipt is None or await self.is_earlier(session, receipt):
            self._miss()
            return None
        self._missed_since = None
        return receipt

    async def is_unseen(self, receipt: Snapshot) -> bool:
        """Tell whether it is of a transaction that came and went unseen.

        What the meter held before the archive had any of its receipts is left alone.
        """
        has_any = await self._ledger.latest(RecordKind.STOPPED) is not None
        return has_any and not await self._ledger.keeps(receipt)

    async def is_earlier(self, session: Session, receipt: Snapshot) -> bool:
        """Tell whether a receipt is from before a session."""
        is_held_before = session.held_before in _digests(receipt)
        return is_held_before or await self._ledger.keeps(receipt)

    def is_named_in(self, session: Session, receipt: Snapshot) -> bool:
        """Tell whether a receipt is this session's, by the user it names.

        Each of ours names one, or the transaction in that place; what cannot be read may.
        """
        judgement = self._ledger.account(replace(session, end=receipt)).judgement
        if judgement is None or judgement.verdict is not Verdict.VALID:
            return True
        is_named = bool(judgement.user) or session.transaction_id.startswith(FOREIGN)
        return is_named and session.can_be_of(judgement.user)

    def _miss(self) -> None:
        """Raise ``NoReceiptError`` until the meter was asked for long enough."""
        now = monotonic()
        if self._missed_since is None:
            self._missed_since = now
        if now - self._missed_since < RECEIPT_PATIENCE_S:
            raise NoReceiptError(seconds=RECEIPT_PATIENCE_S)
        self._missed_since = None


def _digests(receipt: Snapshot | None) -> tuple[str, ...]:
    """Return the digest of what is signed, for it may be signed anew, and of the whole text.

    Sessions that began with an earlier release have the latter.
    """
    if receipt is None or receipt.signed_value is None:
        return ()
    value = receipt.signed_value
    return tuple(
        sha256(text.encode()).hexdigest()
        for text in (signed_part(value), value.signed_meter_data)
    )
