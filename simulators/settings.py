"""What can be set, read off the signatures: the command line and the control interface take no other."""

from collections.abc import Callable, Iterator, Mapping
import inspect
import json
import math
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, get_args, get_origin

PLAIN = (bool, int, float, str, Path)


class UnknownSetting(ValueError):
    """A name or a value that is not offered."""


def offered(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the keyword settings of a callable whose values can be written down."""
    return {
        name: parameter
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        and list(_choices(parameter.annotation))
    }


def checked(target: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given`` as keyword arguments. Raises ``UnknownSetting`` with what is wrong."""
    settings = offered(target)
    for name in given:
        if name not in settings:
            known = ", ".join(settings) or "none"
            raise UnknownSetting(f"{name} is not known here; known: {known}")
    for name, parameter in settings.items():
        if parameter.default is inspect.Parameter.empty and name not in given:
            raise UnknownSetting(f"{name} is missing")
    return {
        name: _fit(name, settings[name].annotation, value)
        for name, value in given.items()
    }


def parsed(target: Callable[..., Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return settings that come as text; the same as ``checked`` otherwise."""
    settings = offered(target)
    return checked(
        target,
        {
            name: _read(settings[name].annotation, text) if name in settings else text
            for name, text in given.items()
        },
    )


def explain(target: Callable[..., Any]) -> str:
    """Return the settings in one line, each with what it takes and its default."""
    return ", ".join(
        f"{name}={_words(parameter.annotation)}"
        + (
            ""
            if parameter.default in (inspect.Parameter.empty, None)
            else f" [{parameter.default}]"
        )
        for name, parameter in offered(target).items()
    )


def _choices(annotation: Any) -> Iterator[Any]:
    """Yield the plain types and literal values that an annotation admits."""
    if isinstance(annotation, TypeAliasType):
        yield from _choices(annotation.__value__)
    elif isinstance(annotation, UnionType):
        for member in get_args(annotation):
            yield from _choices(member)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif annotation in PLAIN:
        yield annotation


def _fit(name: str, annotation: Any, value: Any) -> Any:
    for choice in _choices(annotation):
        match choice:
            case type() if choice is Path and isinstance(value, str):
                return Path(value)
            case type() if (
                choice is float and type(value) in (int, float) and math.isfinite(value)
            ):
                return value
            case type() if type(value) is choice and choice is not float:
                return value
            case _ if value == choice and type(value) is type(choice):
                return value
    raise UnknownSetting(f"{name} takes {_words(annotation)}, not {json.dumps(value)}")


def _read(annotation: Any, text: str) -> Any:
    """Return text as JSON where the setting takes something else than text."""
    if any(
        choice in (str, Path) or isinstance(choice, str)
        for choice in _choices(annotation)
    ):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _words(annotation: Any) -> str:
    names = {bool: "true|false", int: "int", float: "number", str: "text", Path: "path"}
    return "|".join(
        names.get(choice, str(choice))
        for choice in _choices(annotation)
        if choice is not NoneType
    )
