"""What the archive keeps of one meter's sessions, and what that proves."""

from dataclasses import replace

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .archive import Archive, DamagedRecordError, Record, RecordKind
from .metering.meter import SignedMeterValue, Snapshot
from .metering.verdict import Judgement, Receipt, Verdict, judge
from .receipts import judged_anew
from .session import Account, Session, decode, encode, judged
from .trust import Trust

_OF_SESSIONS = tuple(kind for kind in RecordKind if kind is not RecordKind.KEY)


class Ledger:
    """The sessions of one meter in the archive. Every coroutine may raise ``ArchiveError``."""

    def __init__(
        self, hass: HomeAssistant, archive: Archive, trust: Trust, serial_number: str
    ) -> None:
        """Prepare. Receipts are judged by the key that is trusted when they are."""
        self._hass = hass
        self._archive = archive
        self._trust = trust
        self.serial_number = serial_number
        self.written = 0
        """How many records were written here."""

    async def write(self, kind: RecordKind, account: Account) -> Account:
        """Write what became of a session; return it with where it is kept."""
        body = encode(account)
        link = await self._hass.async_add_executor_job(
            lambda: self._archive.append(
                meter=self.serial_number,
                transaction_id=account.session.transaction_id,
                kind=kind,
                written_at=dt_util.now(),
                body=body,
            )
        )
        self.written += 1
        return replace(account, record=link)

    async def latest(self, *kinds: RecordKind) -> Record | None:
        """Return the newest record of these kinds; of any that tells of a session without them."""
        return await self._hass.async_add_executor_job(
            self._archive.latest, self.serial_number, kinds or _OF_SESSIONS
        )

    async def last_stopped(self) -> Account | None:
        """Return the session that ended last. Raises ``DamagedRecordError``."""
        record = await self.latest(RecordKind.STOPPED)
        return None if record is None else decode(record)

    async def of_transaction(self, transaction_id: str) -> tuple[Record, ...]:
        """Return the records of one transaction, oldest first."""
        return await self._hass.async_add_executor_job(
            self._archive.of_transaction, self.serial_number, transaction_id
        )

    async def keeps(self, receipt: Snapshot) -> bool:
        """Tell whether this receipt is kept, of whatever session."""
        if receipt.signed_value is None:
            return False
        is_kept = await self._hass.async_add_executor_job(
            self._archive.keeps,
            self.serial_number,
            receipt.signed_value.signed_meter_data,
        )
        return is_kept or await self._proves_what_is_kept(receipt.signed_value)

    async def _proves_what_is_kept(self, value: SignedMeterValue) -> bool:
        """Tell whether the last receipt proves the same: asked for again, it may be signed anew.

        Or proves no less, where neither can be believed.
        """
        try:
            last = await self.last_stopped()
        except DamagedRecordError:
            return False
        if last is None or (receipt := last.session.receipt) is None:
            return False
        kept = self.judged_anew(last).judgement
        found = self._judge(Receipt(begin=None, end=value))
        if (
            signed_part(receipt.end) == signed_part(value)
            and found.verdict is not Verdict.VALID
        ):
            return True
        return (
            kept is not None
            and kept.verdict is found.verdict is Verdict.VALID
            and None not in (found.begin, found.end)
            and (kept.meter, kept.transaction, kept.begin, kept.end)
            == (found.meter, found.transaction, found.begin, found.end)
        )

    def account(self, session: Session) -> Account:
        """Judge what the meter signed of a session, and say what it costs."""
        receipt = session.receipt
        return judged(session, None if receipt is None else self._judge(receipt))

    def judged_anew(self, account: Account) -> Account:
        """Judge again by a key that may have been accepted since."""
        trusted = self._trust.key
        return (
            account if trusted is None else judged_anew(account, (trusted.public_key,))
        )

    def _judge(self, receipt: Receipt) -> Judgement:
        trusted = self._trust.key
        return judge(
            receipt, trusted_key=None if trusted is None else trusted.public_key
        )


def signed_part(value: SignedMeterValue) -> str:
    """Return what is signed of an OCMF text; all of what is none."""
    return value.signed_meter_data.rpartition("|")[0] or value.signed_meter_data
