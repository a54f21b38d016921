"""Find receipts in the archive, judged by the keys their meters are and were trusted by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from .archive import Archive, RecordKind, Selection
from .metering.verdict import Objection, Reason, Verdict, judge
from .session import Account, decode

_AT_ONCE = 500
"""Records read while whoever wants to write waits."""

_USERS = "$.session.request.identification_data", "$.session.particulars.client_id"
_VERDICT = "$.judgement.verdict"
_KEY_CHANGED: dict[str, str] = {"$.judgement.reason": Reason.KEY_CHANGED}
"""What only judging anew can tell; of all other receipts the archive knows the verdict."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Which receipts; None is any."""

    meter: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The end of a session counts, to the second; ``until`` itself does not."""

    verdict: Verdict | None = None

    user: str | None = None
    """The identification or the client id."""

    transaction_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some of the receipts asked for, newest first."""

    accounts: tuple[Account, ...]
    before: int | None
    """What to ask for the next page with; None when this is the last."""


def page(
    archive: Archive, query: Query, *, limit: int, before: int | None = None
) -> Page:
    """Return the newest receipts, or the newest before a record's number.

    Raises ``ArchiveError``.
    """
    found = list(islice(_found(archive, query, limit + 1, before), limit + 1))
    shown = found[:limit]
    return Page(
        accounts=tuple(account for _, account in shown),
        before=shown[-1][0] if len(found) > limit else None,
    )


def find(archive: Archive, query: Query) -> list[Account]:
    """Return the accounts of finished sessions, oldest first. Raises ``ArchiveError``."""
    return [account for _, account in _found(archive, query)][::-1]


def count(archive: Archive, query: Query) -> int:
    """Return how many receipts ``find`` would. Raises ``ArchiveError``."""
    selection = _selection(query)
    known = archive.count_stopped(selection)
    if query.verdict is None:
        return known
    in_doubt = replace(selection, says=(*selection.says, _KEY_CHANGED))
    return known - sum(
        not _fits(account, query) for _, account in _judged(archive, in_doubt)
    )


def _found(
    archive: Archive, query: Query, at_once: int = _AT_ONCE, before: int | None = None
) -> Iterator[tuple[int, Account]]:
    """Yield receipts, newest first, with the numbers of their records."""
    for number, account in _judged(archive, _selection(query), at_once, before):
        if _fits(account, query):
            yield number, account


def _judged(
    archive: Archive,
    selection: Selection,
    at_once: int = _AT_ONCE,
    before: int | None = None,
) -> Iterator[tuple[int, Account]]:
    keys: dict[str, tuple[str, ...]] = {}
    while records := archive.stopped(
        selection, limit=min(at_once, _AT_ONCE), before=before
    ):
        for record in records:
            if record.meter not in keys:
                keys[record.meter] = tuple(
                    str(key.body["public_key"])
                    for key in archive.of_kind(record.meter, RecordKind.KEY)
                )
            yield record.link.number, judged_anew(decode(record), keys[record.meter])
        before = records[-1].link.number


def _selection(query: Query) -> Selection:
    """Return what the archive can tell; a verdict that may have changed since it cannot."""
    says: list[dict[str, str]] = []
    if query.user is not None:
        says.append(dict.fromkeys(_USERS, query.user))
    if query.verdict is not None:
        says.append({_VERDICT: query.verdict, **_KEY_CHANGED})
    return Selection(
        meter=query.meter,
        transaction_id=query.transaction_id,
        since=query.since,
        until=query.until,
        says=tuple(says),
    )


def _fits(account: Account, query: Query) -> bool:
    """Tell whether a receipt that was selected is of the verdict asked for."""
    judgement = account.judgement
    return query.verdict is None or (
        judgement is not None and judgement.verdict is query.verdict
    )


def judged_anew(account: Account, keys: tuple[str, ...]) -> Account:
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
