"""Find receipts in the archive, judged by the keys their meters are and were trusted by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from .archive import Archive, RecordKind
from .metering.verdict import Objection, Reason, Verdict, judge
from .session import Account, decode


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Which receipts; None is any."""

    meter: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The end of a session counts; ``until`` itself does not."""

    verdict: Verdict | None = None

    user: str | None = None
    """The identification or the client id."""


def find(archive: Archive, query: Query) -> list[Account]:
    """Return the accounts of finished sessions, oldest first. Raises ``ArchiveError``."""
    return [
        account
        for account in _accounts(archive, query)
        if query.user
        in (
            None,
            account.session.request.identification_data,
            account.session.particulars.client_id,
        )
        and query.verdict
        in (None, account.judgement.verdict if account.judgement else None)
    ]


def _accounts(archive: Archive, query: Query) -> Iterator[Account]:
    keys: dict[str, tuple[str, ...]] = {}
    for record in archive.stopped(
        meter=query.meter, since=query.since, until=query.until
    ):
        account = decode(record.body)
        if record.meter not in keys:
            keys[record.meter] = tuple(
                str(key.body["public_key"])
                for key in archive.of_kind(record.meter, RecordKind.KEY)
            )
        yield _judged_anew(account, keys[record.meter])


def _judged_anew(account: Account, keys: tuple[str, ...]) -> Account:
    """Judge again what was made with a key that has become trusted since."""
    receipt = account.session.receipt
    if (
        receipt is None
        or account.judgement is None
        or account.judgement.reason is not Reason.KEY_CHANGED
    ):
        return account
    for key in keys:
        judgement = judge(receipt, trusted_key=key)
        if judgement.verdict is Verdict.VALID:
            anew = replace(account, judgement=judgement)
            if Objection.LIVE_REGISTER_DIFFERS in account.judgement.objections:
                # Only the moment of the stop could tell.
                return anew.with_objection(Objection.LIVE_REGISTER_DIFFERS)
            return anew
    return account
