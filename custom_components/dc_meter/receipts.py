"""Find receipts in the archive, judged by the keys their meters are and were trusted by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
import logging
from time import sleep
from typing import override

from .archive import (
    MAX_NUMBER,
    Archive,
    DamagedRecordError,
    Record,
    RecordKind,
    Selection,
)
from .metering.verdict import Objection, Reason, Verdict, judge
from .session import Account, decode, judged

_LOGGER = logging.getLogger(__name__)

_BREATH_AFTER = 20
_BREATH_S = 1e-6
"""After how many receipts an export stands aside for a moment. Else every other thread waits until
the interpreter interrupts it, which takes 5 ms, and an append does so at each of its steps."""

_USERS = (
    "$.judgement.user",
    "$.session.request.identification_data",
    "$.session.particulars.client_id",
)
_VERDICT = "$.judgement.verdict"
_KEY_CHANGED: dict[str, str] = {"$.judgement.reason": Reason.KEY_CHANGED}
"""What only judging anew can tell; of all other receipts the archive knows the verdict."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Which receipts; None is any."""

    meter: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """When the end was recorded counts, to the second; ``until`` itself does not."""

    verdict: Verdict | None = None

    user: str | None = None
    """The identification, signed or asked for, or the client id."""

    transaction_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some of the receipts asked for, newest first."""

    accounts: tuple[Account, ...]
    before: int | None
    """What to ask for the next page with; None when this is the last."""


class Receipts(Iterable[Account]):
    """The receipts asked for, oldest first: those that are there now.

    Each time somebody goes through them they are read anew, a few at a time: however many
    there are, they take no memory. Going through them and counting them may raise
    ``ArchiveError``.
    """

    def __init__(self, archive: Archive, query: Query) -> None:
        """Prepare."""
        self._archive = archive
        self._query = query
        self._before = archive.last_number() + 1
        self._keys = _TrustedKeys(archive)

    @override
    def __iter__(self) -> Iterator[Account]:
        records = self._archive.stopped(
            _selection(self._query), before=self._before, oldest_first=True
        )
        for place, (_, account) in enumerate(_judged(records, self._keys), 1):
            if _fits(account, self._query):
                yield account
            if place % _BREATH_AFTER == 0:
                sleep(_BREATH_S)

    def __len__(self) -> int:
        """Count them without reading more of them than has to be."""
        selection = _selection(self._query)
        known = self._archive.count_stopped(selection, before=self._before)
        if self._query.verdict is None and self._query.user is None:
            return known
        selection = replace(selection, says=(*selection.says, _KEY_CHANGED))
        records = self._archive.stopped(selection, before=self._before)
        return known - sum(
            not _fits(account, self._query)
            for _, account in _judged(records, self._keys)
        )


def page(
    archive: Archive, query: Query, *, limit: int, before: int = MAX_NUMBER
) -> Page:
    """Return the newest receipts, or the newest before a record's number.

    Raises ``ArchiveError``.
    """
    records = archive.stopped(_selection(query), before=before)
    judged = _judged(records, _TrustedKeys(archive))
    found = list(islice((one for one in judged if _fits(one[1], query)), limit + 1))
    shown = found[:limit]
    return Page(
        accounts=tuple(account for _, account in shown),
        before=shown[-1][0] if len(found) > limit else None,
    )


def _selection(query: Query) -> Selection:
    """Return what the archive can tell: neither verdict nor user of what is judged anew."""
    says: list[dict[str, str]] = []
    if query.user is not None:
        says.append({**dict.fromkeys(_USERS, query.user), **_KEY_CHANGED})
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
    """Tell whether a receipt that was selected is of the verdict and the user asked for."""
    session, judgement = account.session, account.judgement
    verdict, user = (judgement.verdict, judgement.user) if judgement else (None, None)
    if query.verdict not in (None, verdict):
        return False
    return query.user in (None, user) or session.is_of([query.user])


def _judged(
    records: Iterable[Record], keys: _TrustedKeys
) -> Iterator[tuple[int, Account]]:
    """Yield the numbers of records and their accounts, judged by the keys of now."""
    for record in records:
        number = record.link.number
        yield number, judged_anew(decode(record), keys.of(record.meter, since=number))


class _TrustedKeys:
    """The keys that meters are and were trusted by, read when they are asked for."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[str, tuple[tuple[int, str], ...]] = {}

    def of(self, meter: str, *, since: int) -> Iterator[str]:
        """Yield the keys a meter became trusted by since a record; damaged ones are left out."""
        if meter not in self._known:
            self._known[meter] = tuple(self._read(meter))
        yield from (key for number, key in self._known[meter] if number > since)

    def _read(self, meter: str) -> Iterator[tuple[int, str]]:
        archive = self._archive
        for number, key in archive.texts(meter, RecordKind.KEY, "$.public_key"):
            if key is not None:
                yield number, key
            elif number not in archive.damaged:
                archive.damaged.add(number)
                _LOGGER.warning(
                    "Receipts of %s are judged without one of its keys: %s",
                    meter,
                    DamagedRecordError(number),
                )


def judged_anew(account: Account, keys: Iterable[str]) -> Account:
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
            anew = replace(judged(account.session, judgement), record=account.record)
            if Objection.LIVE_REGISTER_DIFFERS in account.judgement.objections:
                # Only the moment of the stop could tell.
                return anew.with_objection(Objection.LIVE_REGISTER_DIFFERS)
            return anew
    return account
