"""JSON in which no number loses a digit and no key hides another."""

from decimal import Decimal, InvalidOperation
import json
from typing import Any


class InexactJsonError(ValueError):
    """Not JSON, or JSON that two readers could read differently."""


def loads(text: str) -> Any:
    """Read JSON strictly: fractions as ``Decimal``, every key once, only finite numbers.

    How large a number may be is for whoever needs it to say: ``1e999999`` is one. Raises ``InexactJsonError`` for anything else, however deep or long it is.
    """
    if text.startswith("\ufeff"):
        raise InexactJsonError("begins with a byte order mark")
    try:
        value = _DECODER.decode(text)
        # A lone surrogate is valid JSON and no text: it can be neither hashed nor stored.
        if "\\u" in text:
            text = json.dumps(value, ensure_ascii=False, default=str)
        text.encode()
    except (ValueError, RecursionError) as err:
        if isinstance(err, InexactJsonError):
            raise
        raise InexactJsonError(str(err)) from err
    return value


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InexactJsonError("number out of range") from None


def _refuse_constant(name: str) -> None:
    raise InexactJsonError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InexactJsonError("a key occurs twice")
    return members


_DECODER = json.JSONDecoder(
    parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique
)
