"""The REST nodes of the IEM-DCR: their exchanges, bounded in time and size.

Facts are confirmed by the manufacturer's open driver (EVerest, IsabellenhuetteIemDcr) and by
receipts of real devices, unless said otherwise.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
import json
import os
import re
from time import perf_counter
from typing import Any

import aiohttp
from yarl import URL

from .errors import (
    InvalidAddressError,
    MeterUnreachableError,
    UnexpectedAnswerError,
    UnreadableReceiptError,
)
from .exact_json import loads
from .meter import ClockState, IdentificationStatus, MeterReading, TransactionRequest
from .ocmf import (
    OCMF_HEADER,
    NoDateError,
    OcmfReceipt,
    energy_wh,
    format_time,
    parse,
    parse_number,
    parse_time,
)
from .tally import Tally

IMPORT_REGISTER = "1-b:1.8.e"
EXPORT_REGISTER = "1-b:2.8.e"
_TRANSACTION = "transaction_"

LIVE_TIMEOUT_S = 0.4
"""For the live values, once they are asked for: a meter that is busy with a command is not lost."""

LIVE_PATIENCE_S = 0.2
"""How long the live values wait for the exchange under way.

After that they are asked for beside it, on a connection of their own, so that a slow command
does not blind the reader. That the meter answers both is assumed: the open driver starts no
poll while it begins or ends a transaction, but lets one that is under way overlap.
"""

COMMAND_TIMEOUT_S = 2.0
_MAX_ANSWER = 256 * 1024

MAX_PUBLIC_KEY = 255
"""Characters; the longest form known has 182, and a Home Assistant state holds 255."""

MAX_NAME = 64
"""Characters; twice as many as any name known."""

_LEAST = -6
"""The power of ten below which a number is nothing, and would be written as 1E-7."""

_HEADERS = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    # The open driver never uses a connection twice; whether the meter would is not known.
    "Connection": "close",
}
_ERROR_WORD = re.compile(r"0x[0-9A-Fa-f]{1,16}")


class Node(StrEnum):
    """What is asked, below ``/counter/``."""

    GW = "v1/ocmf/gw"
    TARIFF = "v1/ocmf/tariff"
    DATETIME = "v1/ocmf/datetime"
    PUBLIC_KEY = "v1/ocmf/publickey"
    METER_VALUE = "v1/ocmf/metervalue"
    USER = "v1/ocmf/user"
    RECEIPT = "v1/ocmf/receipt"
    TRANSACTION = "v1/ocmf/transaction"
    TRANSACTION_V2 = "v2/ocmf/transaction"
    """Where newer firmware may have it instead."""


_NOTHING = ("", '""', "null", "{}")
"""What can stand for no receipt."""

_RECEIPTS = (Node.RECEIPT, Node.TRANSACTION, Node.TRANSACTION_V2)

_IMPERSONAL = {
    *("FV", "GI", "GS", "GV", "PG", "MV", "MM", "MS", "MF", "IS", "IL", "IF", "IT"),
    *("CT", "CI", "RD", "TM", "TX", "EF", "ST", "RV", "RI", "RU", "RT", "CL"),
    "SA",
}
"""What of a receipt names nobody."""


class StatusError(UnexpectedAnswerError):
    """The meter answered with a status other than 200."""

    def __init__(self, asked: str, status: int) -> None:
        """Keep the status."""
        self.status = status
        super().__init__(error=f"{asked}: status {status}")

    @property
    def is_refusal(self) -> bool:
        """Whether the meter's state forbids what was asked."""
        return self.status == 428


@dataclass(frozen=True, kw_only=True, slots=True)
class ChargePoint:
    """What is charged at: CT and CI, in every receipt."""

    type: str
    id: str

    @property
    def is_set(self) -> bool:
        """Whether the meter has been told since its power-up."""
        return bool(self.type and self.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveredKey:
    """The key the meter signs with."""

    algorithm: str
    """SA."""

    key: str
    """PK, hex as delivered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveValue:
    """What metervalue says."""

    serial_number: str
    meter_time: datetime | None
    """None where it is no date."""

    transaction_active: bool
    reading: MeterReading
    """All but what the meter does not say: its clock's offset and the tariff text."""


class Nodes:
    """Asks the nodes and understands their answers.

    Every method raises ``MeterUnreachableError`` when no answer comes in time,
    ``StatusError`` for any status but 200, ``UnexpectedAnswerError`` for an answer that is
    not understood, and ``InvalidAddressError`` when the address is none.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Speak to the meter at ``url``; a bare host means plain HTTP."""
        self._session = session
        self._base = (url if "://" in url else f"http://{url}").rstrip("/")
        self._one_at_a_time = asyncio.Lock()
        self._durations_ms: dict[str, float] = {}
        self._answers: dict[Node, str] = {}
        self._errors = Tally()

    async def charge_point(self) -> ChargePoint:
        """GET gw: what the meter was told; empty texts since its last power-up if nothing."""
        text = await self._get(Node.GW)
        with _understanding(Node.GW):
            gw = _object(text)
            return ChargePoint(type=_text(gw, "CT"), id=_text(gw, "CI"))

    async def set_charge_point(self, point: ChargePoint, moment: datetime) -> None:
        """POST gw: once per power-up, 428 after that. Also sets the clock."""
        await self._post(
            Node.GW, {"CT": point.type, "CI": point.id, "TM": format_time(moment)}
        )

    async def set_tariff_text(self, text: str) -> None:
        """POST tariff: the text on the display before a transaction."""
        await self._post(Node.TARIFF, {"TT": text})

    async def clock(self) -> datetime:
        """GET datetime."""
        text = await self._get(Node.DATETIME)
        with _understanding(Node.DATETIME):
            return parse_time(_text(_object(text), "TM"))[0]

    async def set_clock(self, moment: datetime) -> None:
        """POST datetime: only while no transaction runs."""
        await self._post(Node.DATETIME, {"TM": format_time(moment)})

    async def public_key(self) -> DeliveredKey:
        """GET publickey."""
        text = await self._get(Node.PUBLIC_KEY)
        with _understanding(Node.PUBLIC_KEY):
            members = _object(text)
            found = DeliveredKey(
                algorithm=_text(members, "SA"), key=_text(members, "PK")
            )
            if not 0 < len(found.key) <= MAX_PUBLIC_KEY:
                raise ValueError(f"PK has {len(found.key)} characters")
            return found

    async def live_value(self) -> LiveValue:
        """GET metervalue."""
        text = await self._get(
            Node.METER_VALUE, LIVE_TIMEOUT_S, patience_s=LIVE_PATIENCE_S
        )
        with _understanding(Node.METER_VALUE):
            return _live_value(_object(text))

    async def set_user(
        self,
        request: TransactionRequest,
        *,
        level: str,
        identification: str,
        show_it: bool,
    ) -> None:
        """POST user: for whom the next transaction is."""
        user: dict[str, Any] = {
            "IS": request.identification_status is IdentificationStatus.ASSIGNED,
            "IL": level,
            "IF": request.identification_flags,
            "IT": request.identification_type,
            "ID": identification,
            "US": show_it,
        }
        if request.tariff_text:
            user["TT"] = request.tariff_text
        await self._post(Node.USER, user)

    async def mark(self, transaction: str) -> None:
        """POST receipt: ``B`` begins a transaction, ``E`` ends it; 428 when refused."""
        await self._post(Node.RECEIPT, {"TX": transaction})

    async def receipt(self, node: Node) -> OcmfReceipt | None:
        """GET receipt or transaction; None where the meter answers with nothing.

        Raises ``UnreadableReceiptError`` for what has the parts of a receipt and is none.
        """
        text = await self._get(node)
        if text.strip() in _NOTHING:
            return None
        try:
            with _understanding(node):
                return parse(text)
        except UnexpectedAnswerError as err:
            if OCMF_HEADER in text and text.count("|") > 1:
                raise UnreadableReceiptError(text, **err.details) from err
            raise

    def diagnostics(self) -> dict[str, Any]:
        """Return the last answers as they came, how long they took, and what went wrong.

        Receipts come without whom they name.
        """
        return {
            "answers": {
                node.value: without_user(answer) if node in _RECEIPTS else answer
                for node, answer in self._answers.items()
            },
            "durations_ms": dict(self._durations_ms),
            "errors": self._errors.as_dict(),
        }

    async def _get(
        self,
        node: Node,
        timeout_s: float = COMMAND_TIMEOUT_S,
        *,
        patience_s: float | None = None,
    ) -> str:
        answer = await self._exchange("GET", node, timeout_s, patience_s=patience_s)
        self._answers[node] = answer
        return answer

    async def _post(self, node: Node, body: Mapping[str, Any]) -> None:
        # As the open driver writes it: compact, characters beyond ASCII as they are.
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        await self._exchange("POST", node, COMMAND_TIMEOUT_S, body=text.encode())

    async def _exchange(
        self,
        method: str,
        node: Node,
        timeout_s: float,
        *,
        patience_s: float | None = None,
        body: bytes | None = None,
    ) -> str:
        address, asked = self._address(node), f"{method} {node}"
        async with self._turn(patience_s):
            began = perf_counter()
            try:
                status, answer = await self._request(method, address, timeout_s, body)
            except aiohttp.InvalidURL as err:
                raise InvalidAddressError(error=err) from err
            except aiohttp.ClientSSLError as err:  # of a certificate also a ValueError
                self._errors.add(f"{asked}: {type(err).__name__}")
                raise MeterUnreachableError(error=f"{asked}: {err}") from err
            except (aiohttp.ClientResponseError, ValueError) as err:
                self._errors.add(f"{asked}: {type(err).__name__}")
                raise UnexpectedAnswerError(error=f"{asked}: {err}") from err
            except TimeoutError as err:
                self._errors.add(f"{asked}: timeout")
                raise MeterUnreachableError(
                    error=f"{asked}: nothing within {timeout_s} s"
                ) from err
            except (aiohttp.ClientError, OSError) as err:
                self._errors.add(f"{asked}: {type(err).__name__}")
                raise MeterUnreachableError(error=f"{asked}: {_cause(err)}") from err
            finally:
                self._durations_ms[asked] = round((perf_counter() - began) * 1000, 1)
        if status != 200:
            self._errors.add(f"{asked}: {status}")
            raise StatusError(asked, status)
        return answer

    @asynccontextmanager
    async def _turn(self, patience_s: float | None) -> AsyncIterator[None]:
        """Wait for the exchange under way; not longer than ``patience_s``."""
        is_ours = True
        try:
            async with asyncio.timeout(patience_s):
                await self._one_at_a_time.acquire()
        except TimeoutError:
            is_ours = False
        try:
            yield
        finally:
            if is_ours:
                self._one_at_a_time.release()

    async def _request(
        self, method: str, address: URL, timeout_s: float, body: bytes | None
    ) -> tuple[int, str]:
        async with self._session.request(
            method,
            address,
            data=body,
            headers=_HEADERS,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        ) as response:
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > _MAX_ANSWER:
                    raise ValueError(f"more than {_MAX_ANSWER} bytes")
            # What is not UTF-8 can be seen, and makes no JSON.
            return response.status, answer.decode(errors="backslashreplace")

    def _address(self, node: Node) -> URL:
        try:
            address = URL(f"{self._base}/counter/{node}")
            if address.scheme in ("http", "https") and address.host:
                return address
        except ValueError as err:
            raise InvalidAddressError(error=f"{self._base}: {err}") from err
        raise InvalidAddressError(error=self._base)


@contextmanager
def _understanding(node: Node) -> Iterator[None]:
    try:
        yield
    except ValueError as err:
        raise UnexpectedAnswerError(error=f"{node}: {err}") from err


def _object(text: str) -> Mapping[str, Any]:
    value = loads(text)
    if isinstance(value, dict):
        return value
    raise ValueError("not a JSON object")


def without_user(receipt: str) -> str:
    """Return what of a receipt is nobody's business but the meter's, as JSON.

    Not its signature either: with it, whoever guesses the user can see that they guessed right.
    """
    _, *sections = receipt.strip().strip('"').split("|")
    try:
        kept = [_impersonal(_object(section)) for section in sections]
    except ValueError:
        return f"{len(receipt)} characters that are no receipt"
    return json.dumps(kept, ensure_ascii=False, default=str)


def _impersonal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _impersonal(member)
            for key, member in value.items()
            if key in _IMPERSONAL
        }
    return [_impersonal(item) for item in value] if isinstance(value, list) else value


def _text(members: Mapping[str, Any], key: str) -> str:
    value = members.get(key)
    if isinstance(value, str):
        return value
    raise ValueError(f"{key} is not a text")


def is_name(text: str | None) -> bool:
    """Tell whether this can be a serial number, a model or a version: a short line."""
    return text is not None and 0 < len(text) <= MAX_NAME and text.isprintable()


def plain(number: Decimal) -> Decimal:
    """Return the number so that ``str`` writes it without an exponent, and 0 without a sign."""
    return number + 0 if number.adjusted() >= _LEAST else Decimal(0)


def _meter_time(text: str) -> tuple[datetime | None, ClockState | None]:
    """Return the time; None for a date that is none, as a clock may show that was never set."""
    try:
        moment, state = parse_time(text)
    except NoDateError:
        return None, ClockState.UNSYNCHRONIZED
    # In another time zone the first and the last day are out of the calendar as well.
    if not datetime.min.year < moment.year < datetime.max.year:
        return None, ClockState.UNSYNCHRONIZED
    return moment, state


def _live_value(members: Mapping[str, Any]) -> LiveValue:
    meter_time, clock_state = _meter_time(_text(members, "TM"))
    serial_number = _text(members, "MS")
    active = members.get("XT")
    if not is_name(serial_number) or not isinstance(active, bool):
        raise ValueError("MS or XT is missing, or MS is no name")
    energy = _energies(members)
    # ST and EF as in OCMF (inferred for the live values): a register that the meter itself
    # calls bad is not shown.
    usable = _text(members, "ST") == "G" and "E" not in _text(members, "EF")
    return LiveValue(
        serial_number=serial_number,
        meter_time=meter_time,
        transaction_active=active,
        reading=MeterReading(
            energy_import_wh=energy[IMPORT_REGISTER] if usable else None,
            energy_export_wh=energy[EXPORT_REGISTER] if usable else None,
            power_w=plain(parse_number(members.get("P"))),
            voltage_v=plain(parse_number(members.get("U2"))),
            current_a=plain(parse_number(members.get("I"))),
            meter_time=meter_time,
            clock_state=clock_state,
            transaction_active=active,
            transaction_import_wh=energy[_TRANSACTION + IMPORT_REGISTER]
            if usable
            else None,
            transaction_export_wh=energy[_TRANSACTION + EXPORT_REGISTER]
            if usable
            else None,
            error_words=_error_words(_text(members, "XC")),
        ),
    )


def _energies(members: Mapping[str, Any]) -> dict[str, Decimal]:
    """Find the registers by their names; where they stand may change."""
    listed = members.get("RD")
    if not isinstance(listed, list) or not all(
        isinstance(item, dict) for item in listed
    ):
        raise ValueError("RD is not a list of readings")
    return {
        prefix + register: _energy(listed, letter, prefix + register)
        for register in (IMPORT_REGISTER, EXPORT_REGISTER)
        for letter, prefix in (("R", ""), ("W", _TRANSACTION))
    }


def _energy(listed: list[dict[str, Any]], letter: str, name: str) -> Decimal:
    found = [item for item in listed if item.get(f"{letter}I") == name]
    if len(found) != 1:
        raise ValueError(f"{name} comes {len(found)} times")
    value, unit = (
        parse_number(found[0].get(f"{letter}V")),
        _text(found[0], f"{letter}U"),
    )
    if (energy := energy_wh(value, unit)) is None:
        raise ValueError(f"{name} comes in {unit}")
    return plain(energy)


def _error_words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if not all(_ERROR_WORD.fullmatch(word) for word in words):
        raise ValueError("XC does not consist of hexadecimal words")
    return words if any(int(word, 16) for word in words) else ()


def _cause(err: Exception) -> str:
    """Return why there is no connection, without how the client was to make it."""
    if isinstance(err, aiohttp.ClientConnectorError):
        number, text = err.os_error.errno, err.os_error.strerror
        # The numbers of failed name look-ups are negative, and their texts good.
        reason = os.strerror(number) if number and number > 0 else text
        return f"{err.host}:{err.port}: {reason or err.os_error}"
    return str(err)
