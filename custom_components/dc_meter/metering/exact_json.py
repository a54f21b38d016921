"""JSON in which no number loses a digit and no key hides another."""

from decimal import Decimal, InvalidOperation
import json
from typing import Any

MAX_DIGITS = 24
"""Digits before and after the point together; no register of a meter comes near."""


class InexactJsonError(ValueError):
    """Not JSON, or JSON that two readers could read differently."""


def loads(text: str) -> Any:
    """Read JSON strictly: fractions as ``Decimal``, every key once, only finite numbers.

    Raises ``InexactJsonError`` for anything else, however deep or long it is.
    """
    try:
        value = json.loads(
            text,
            parse_int=_whole,
            parse_float=_decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
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
        number = Decimal(text)
    except InvalidOperation:
        raise InexactJsonError("number out of range") from None
    if (
        len(number.as_tuple().digits) > MAX_DIGITS
        or abs(number.adjusted()) > MAX_DIGITS
    ):
        raise InexactJsonError("number out of range")
    return number


def _whole(text: str) -> int:
    return int(_decimal(text))


def _refuse_constant(name: str) -> None:
    raise InexactJsonError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InexactJsonError("a key occurs twice")
    return members
