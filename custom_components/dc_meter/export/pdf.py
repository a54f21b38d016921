"""Receipts on paper: one session, or a statement of many. The same input gives the same bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal

from fpdf.enums import Align

from custom_components.dc_meter.metering.verdict import OCMF, Covered, Verdict
from custom_components.dc_meter.session import Account

from .entry import Entry, Register, kwh, local
from .paper import AMBER, GREY, RED, TEAL, WIDTH, Colour, Paper, cut
from .parties import Parties
from .words import WORDS, Words

_REGISTERS = ((WIDTH - 3 * 38, Align.L), *((38.0, Align.R),) * 3)
_SESSIONS = (
    *((26.0, Align.L), (33.0, Align.L), (24.0, Align.L)),
    *((18.0, Align.R), (22.0, Align.R), (18.0, Align.R)),
    *((6.0, Align.C), (23.0, Align.L)),
)
_SESSIONS_SIZE = 7.5
_MOST_GAPS = 10
_LONGEST_CURRENCY = 8


def receipt(account: Account, parties: Parties, *, created_at: datetime) -> bytes:
    """Return one session, on one page unless the signed text or an address is long."""
    sheet = _Sheet(parties, created_at)
    sheet.add_receipt(Entry.of(account))
    return sheet.content


def statement(
    accounts: Iterable[Account],
    parties: Parties,
    *,
    created_at: datetime,
    with_receipts: bool = False,
) -> bytes:
    """Return a table of sessions with totals, and then their receipts if wanted.

    The accounts are gone through several times, so that no more than one is in memory.
    """
    sheet = _Sheet(parties, created_at)
    sheet.add_statement(accounts)
    if with_receipts:
        for account in accounts:
            sheet.add_receipt(Entry.of(account))
    return sheet.content


@dataclass(kw_only=True, slots=True)
class _Total:
    """What sessions come to; None where no energy is known."""

    sessions: int = 0
    import_wh: Decimal | None = None
    export_wh: Decimal | None = None
    costs: dict[str, Decimal] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        self.sessions += 1
        self.import_wh = _sum(self.import_wh, entry.imported.energy_wh)
        self.export_wh = _sum(self.export_wh, entry.exported.energy_wh)
        price, cost = entry.price, entry.account.cost
        if price is not None and cost is not None:
            before = self.costs.get(price.currency, Decimal(0))
            self.costs[price.currency] = before + cost


class _Sheet:
    """What is said on paper, from top to bottom."""

    def __init__(self, parties: Parties, created_at: datetime) -> None:
        self._parties = parties
        self._words: Words = WORDS[parties.language]
        created = self._words.moment(local(created_at, parties.time_zone))
        self._created = f"{self._words.created} {created}"
        self._paper = Paper(
            language=parties.language,
            created_at=created_at,
            page_of=self._words.page_of,
        )

    @property
    def content(self) -> bytes:
        return bytes(self._paper.output())

    def add_receipt(self, entry: Entry) -> None:
        words, paper, judged = self._words, self._paper, entry.judgement
        paper.head(words.receipt, entry.transaction_id, self._created)
        paper.columns(self._names())
        paper.figures(
            [
                (
                    words.energy,
                    _kwh(words, entry.imported.energy_wh) or words.unknown,
                    "kWh",
                ),
                (words.duration, _duration(entry) or words.unknown, "h"),
                (words.cost, *(_cost(words, entry) or (words.unknown, ""))),
            ]
        )
        paper.remark(
            f"{words.says(judged)} \xb7 "
            f"{words.billable if entry.billable else words.not_billable}",
            _colour(entry),
            [words.explains(judged), *words.concerns(entry)],
            list(_proof(words, entry)),
        )
        paper.details(_details(words, entry, self._parties.time_zone))
        self._registers(entry)
        if gaps := words.gaps_of(entry, self._parties.time_zone):
            paper.section(words.gaps)
            paper.sentences(gaps[:_MOST_GAPS])
            if more := gaps[_MOST_GAPS:]:
                paper.sentences([words.more.format(count=len(more))])
        self._signed(entry)

    def add_statement(self, accounts: Iterable[Account]) -> None:
        words, paper = self._words, self._paper
        paper.head(words.statement, self._parties.title, self._created)
        paper.columns([*self._names(), (words.period, self._period(accounts))])
        self._head_of_sessions()
        total, billable = _Total(), _Total()
        unknown = 0
        for entry in map(Entry.of, accounts):
            total.add(entry)
            if entry.billable:
                billable.add(entry)
            unknown += entry.imported.energy_wh is None
            if not paper.has_room(6):
                paper.add_page()
                self._head_of_sessions()
            paper.table_row(
                (
                    self._minute(entry.begins_at),
                    entry.transaction_id,
                    entry.account.session.meter.serial_number,
                    _kwh(words, entry.imported.energy_wh),
                    _kwh(words, entry.exported.energy_wh),
                    " ".join(_cost(words, entry)),
                    "",
                    words.says(entry.judgement)
                    if entry.billable
                    or entry.judgement is None
                    # That it is genuine alone would be taken for more than it is.
                    or entry.judgement.verdict is not Verdict.VALID
                    else words.not_billable,
                ),
                _SESSIONS,
                size=_SESSIONS_SIZE,
                dot=_colour(entry),
            )
        paper.ln(1.5)
        self._total(words.total, total)
        self._total(words.total_billable, billable)
        if unknown:
            paper.ln(3)
            paper.sentences([words.unknown_energies.format(count=unknown)])

    # Parts of a receipt

    def _names(self) -> list[tuple[str, str]]:
        return [
            (self._words.issuer, self._parties.issuer),
            (self._words.recipient, self._parties.recipient),
        ]

    def _registers(self, entry: Entry) -> None:
        words, paper = self._words, self._paper
        rows = [
            (name, register)
            for name, register in (
                (words.imported, entry.imported),
                (words.exported, entry.exported),
            )
            if register != _UNKNOWN
        ]
        if not rows:
            return
        paper.section(words.registers)
        paper.table_row(
            ("", words.begin, words.end, words.energy),
            _REGISTERS,
            size=7.5,
            colour=GREY,
        )
        for name, register in rows:
            paper.table_row(
                (
                    name if register.signed else f"{name} ({words.not_signed})",
                    *(
                        _with_unit(_kwh(words, energy_wh))
                        for energy_wh in (
                            register.begin_wh,
                            register.end_wh,
                            register.energy_wh,
                        )
                    ),
                ),
                _REGISTERS,
            )
        paper.ln(4)

    def _signed(self, entry: Entry) -> None:
        words, paper = self._words, self._paper
        values = entry.signed_values
        if not values:
            return
        paper.section(words.signed_data)
        for value in values:
            of_begin = value is not values[-1]
            label = words.end if len(values) > 1 and not of_begin else ""
            label = words.begin if of_begin else label
            form = "OCMF" if value.encoding_method == OCMF else "Base64"
            method = f"{form}, {value.signing_method}" if value.signing_method else form
            paper.signed(
                f"{label} ({method})" if label else method, value.signed_meter_data
            )
        for key in dict.fromkeys(value.public_key for value in values):
            if key:
                paper.signed(words.public_key, key)

    # Parts of a statement

    def _head_of_sessions(self) -> None:
        words = self._words
        self._paper.table_row(
            (
                words.begin,
                words.transaction,
                words.meter,
                f"{words.imported} kWh",
                f"{words.exported} kWh",
                words.cost,
                "",
                words.verdict,
            ),
            _SESSIONS,
            size=_SESSIONS_SIZE,
            colour=GREY,
        )

    def _total(self, label: str, total: _Total) -> None:
        words, paper = self._words, self._paper
        lines = [
            f"{words.number(cost, 2)} {cut(currency, _LONGEST_CURRENCY)}"
            for currency, cost in total.costs.items()
        ] or [""]
        for place, line in enumerate(lines):
            if not paper.has_room(6):
                paper.add_page()
            first = place == 0
            paper.table_row(
                (
                    label if first else "",
                    f"{words.sessions}: {words.number(Decimal(total.sessions))}"
                    if first
                    else "",
                    "",
                    _kwh(words, total.import_wh) if first else "",
                    _kwh(words, total.export_wh) if first else "",
                    line,
                    "",
                    "",
                ),
                _SESSIONS,
                size=_SESSIONS_SIZE,
                bold=True,
            )

    def _minute(self, moment: datetime | None) -> str:
        if moment is None:
            return self._words.unknown
        told = local(moment, self._parties.time_zone)
        return f"{told:{self._words.date_format} %H:%M}"

    def _period(self, accounts: Iterable[Account]) -> str:
        days: list[datetime] = []
        for entry in map(Entry.of, accounts):
            days += (
                local(moment, self._parties.time_zone)
                for moment in (entry.begins_at, entry.ends_at)
                if moment is not None
            )
            days = [min(days), max(days)] if days else []
        if not days:
            return ""
        first, last = (f"{day:{self._words.date_format}}" for day in days)
        return first if first == last else f"{first} \u2013 {last}"


_UNKNOWN = Register(begin_wh=None, end_wh=None, energy_wh=None, signed=False)


def _colour(entry: Entry) -> Colour:
    if entry.billable:
        return TEAL
    if entry.judgement is not None and entry.judgement.verdict is Verdict.INVALID:
        return RED
    return AMBER


def _proof(words: Words, entry: Entry) -> Iterator[str]:
    """Say what the signature proves, what not, and which key that rests on."""
    if record := entry.account.record:
        yield f"{words.record}: {record.number}:{_grouped(record.hash)}"
    judged = entry.judgement
    if judged is None:
        return
    if covers := entry.account.covers:
        missing = [one for one in Covered if one not in covers]
        yield f"{words.covers}: {_listed(words, covers)}."
        if missing:
            yield (f"{words.covers_not}: {_listed(words, missing)}. {words.own_record}")
    if judged.key_fingerprint:
        origin = f" ({words.key_origins[judged.key]})" if judged.key else ""
        yield f"{words.key}: {_grouped(judged.key_fingerprint)}{origin}"


def _details(
    words: Words, entry: Entry, time_zone: tzinfo
) -> Iterator[tuple[str, str]]:
    session = entry.account.session
    meter, price = session.meter, entry.price
    for label, moment in ((words.begin, entry.begins_at), (words.end, entry.ends_at)):
        told = words.moment(local(moment, time_zone)) if moment else words.unknown
        yield f"{label} ({words.clocks[entry.time_source]})", told
    yield words.meter, f"{meter.manufacturer} {meter.serial_number}"
    yield words.model, meter.model
    yield words.charge_point, entry.charge_point_id
    yield words.user, entry.user
    yield words.tariff, entry.tariff_text
    if price is not None:
        per_kwh = words.number(price.per_kwh, 2)
        yield words.price, f"{per_kwh} {cut(price.currency, _LONGEST_CURRENCY)}/kWh"
    yield words.client, session.particulars.client_id


def _duration(entry: Entry) -> str:
    """Return hours and minutes and seconds, such as 1:23:45."""
    if entry.begins_at is None or entry.ends_at is None:
        return ""
    seconds = int((entry.ends_at - entry.begins_at).total_seconds())
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _cost(words: Words, entry: Entry) -> tuple[()] | tuple[str, str]:
    cost, price = entry.account.cost, entry.price
    if cost is None or price is None:
        return ()
    return words.number(cost, 2), cut(price.currency, _LONGEST_CURRENCY)


def _kwh(words: Words, energy_wh: Decimal | None) -> str:
    return "" if energy_wh is None else words.number(kwh(energy_wh), 3)


def _with_unit(number: str) -> str:
    return number and f"{number} kWh"


def _sum(before: Decimal | None, energy_wh: Decimal | None) -> Decimal | None:
    if energy_wh is None:
        return before
    return energy_wh if before is None else before + energy_wh


def _listed(words: Words, covered: Iterable[Covered]) -> str:
    return ", ".join(words.covered[one] for one in covered)


def _grouped(fingerprint: str) -> str:
    return " ".join(fingerprint[i : i + 4] for i in range(0, len(fingerprint), 4))
