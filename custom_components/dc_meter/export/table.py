"""Sessions as CSV that spreadsheets open as it is: one line a session, and no formula."""

import codecs
from collections.abc import Callable, Iterable, Iterator
import csv
from datetime import datetime
from decimal import Decimal
import json
import re

from custom_components.dc_meter.session import Account

from .entry import Entry, Register, a_few_at_a_time, kwh, local
from .parties import Language, Parties
from .words import WORDS, Words

_SEPARATORS = {Language.ENGLISH: ",", Language.GERMAN: ";"}

_SIGNS = r"[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]"
_SIGN = re.compile(_SIGNS)
_FORMULA = re.compile(rf"""(^|[,;|\t\r\n])(?=[\s"']*{_SIGNS})""")
"""Where a spreadsheet may take text for a formula: at the begin of a cell, and behind a
separator, for a spreadsheet of another country takes that for the begin of a cell."""

_TEXT_IN_JSON = re.compile(r'(?:, )?"(?:[^"\\]|\\.)*"')
"""With the separator before it. Outside of texts there is no sign but that of a number."""

_FORMULA_IN_TEXT = re.compile(rf"""([,;|][\s"']*)({_SIGNS})""")


def sessions_csv(
    accounts: Iterable[Account], parties: Parties, *, dialect: Language
) -> Iterator[bytes]:
    """Yield the lines, UTF-8 with its mark and CRLF. ``dialect`` is the spreadsheet's country.

    English has commas and a decimal point, German semicolons and a decimal comma. The
    headings are in the parties' language.
    """
    words = WORDS[parties.language]
    columns = list(_columns(words, parties))
    writer = csv.writer(_Line(), delimiter=_SEPARATORS[dialect], lineterminator="\r\n")
    yield codecs.BOM_UTF8
    yield writer.writerow(heading for heading, _ in columns)
    for account in a_few_at_a_time(accounts):
        entry = Entry.of(account)
        yield writer.writerow([_cell(value(entry), dialect) for _, value in columns])


class _Line:
    """What a line is written into: the writer returns what ``write`` does."""

    def write(self, line: str) -> bytes:
        return line.encode("utf-8", "replace")


class _Json(str):
    """What stays JSON when it is written."""

    __slots__ = ()


type _Value = str | Decimal | datetime | None


def _cell(value: _Value, dialect: Language) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}".replace(".", WORDS[dialect].decimal_mark)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, _Json):
        return f"'{value}" if _FORMULA.match(value) else value
    # Few cells have such a sign at all, and that is soon seen.
    return _FORMULA.sub(r"\1'", value) if _SIGN.search(value) else value


type _Column = tuple[str, Callable[[Entry], _Value]]


def _columns(words: Words, parties: Parties) -> Iterator[_Column]:
    def time(moment: datetime | None) -> datetime | None:
        return None if moment is None else local(moment, parties.time_zone)

    def registers(
        heading: str, register: Callable[[Entry], Register]
    ) -> Iterator[_Column]:
        yield f"{heading}: {words.begin} (kWh)", lambda e: _kwh(register(e).begin_wh)
        yield f"{heading}: {words.end} (kWh)", lambda e: _kwh(register(e).end_wh)
        yield f"{heading} (kWh)", lambda e: _kwh(register(e).energy_wh)

    yield words.transaction, lambda e: e.transaction_id
    yield words.meter, lambda e: e.account.session.meter.serial_number
    yield words.model, lambda e: e.account.session.meter.model
    yield words.charge_point, lambda e: e.charge_point_id
    yield words.begin, lambda e: time(e.begins_at)
    yield words.end, lambda e: time(e.ends_at)
    yield words.clock, lambda e: words.clocks[e.time_source]
    yield from registers(words.imported, lambda e: e.imported)
    yield from registers(words.exported, lambda e: e.exported)
    yield (
        f"{words.price} (1/kWh)",
        lambda e: e.price.per_kwh if e.price else None,
    )
    yield words.cost, lambda e: e.account.cost
    yield (
        words.currency,
        lambda e: e.price.currency if e.price else None,
    )
    yield words.user, lambda e: e.user
    yield words.tariff, lambda e: e.tariff_text
    yield words.verdict, lambda e: words.says(e.judgement)
    yield words.billable, lambda e: words.yes if e.billable else words.no
    yield (
        words.why,
        lambda e: " ".join((words.explains(e.judgement), *words.concerns(e))),
    )
    yield words.gaps, lambda e: "\n".join(words.gaps_of(e, parties.time_zone))
    yield words.key, lambda e: e.judgement.key_fingerprint if e.judgement else None
    yield words.record, lambda e: str(e.account.record or "")
    yield words.client, lambda e: e.account.session.particulars.client_id
    yield words.tariff_id, lambda e: e.account.session.particulars.tariff_id
    yield words.cable, lambda e: e.account.session.particulars.cable_id
    yield words.user_data, lambda e: _json(e.account.session.particulars.user_data)


def _kwh(energy_wh: Decimal | None) -> Decimal | None:
    return None if energy_wh is None else kwh(energy_wh)


def _json(value: object) -> _Json | None:
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False)
    return _Json(_TEXT_IN_JSON.sub(_without_formula, text))


def _without_formula(text: re.Match[str]) -> str:
    """Write the signs that could begin a formula in JSON's own other way."""
    return _FORMULA_IN_TEXT.sub(
        lambda found: f"{found[1]}\\u{ord(found[2]):04x}", text[0]
    )
