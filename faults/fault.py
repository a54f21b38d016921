"""What a fault is: how it begins and ends, and what it may do to a meter."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from inspect import isawaitable
from random import Random

LASTING_S = (3.4, 4.4)
"""Longer than it may take until a meter that is lost is shown as lost."""

SHORT_S = (0.8, 1.6)
FOREVER = 1_000_000

BACK_S = 2.0

type Deed = Callable[[], object]


class Loss(Enum):
    """Whether a meter is to be shown as lost."""

    MUST = auto()
    MAY = auto()
    MUST_NOT = auto()


class Moment(Enum):
    """Of a session, at which a fault strikes."""

    IDLE = auto()
    START = auto()
    RUNNING = auto()
    STOP = auto()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, for one meter."""

    kind: str
    begin: Deed
    end: Deed
    loss: Loss
    lasts_s: tuple[float, float] = LASTING_S
    back_s: float = BACK_S
    """How soon after its end the meter is there again."""

    reloads: bool = False
    """Whether its entry is set up anew, which is not told in the log as a return."""

    moments: tuple[Moment, ...] = tuple(Moment)
    weight: int = 1


async def do(deed: Deed) -> None:
    """Carry a deed out."""
    if isawaitable(done := deed()):
        await done


def nothing() -> None:
    """Do nothing: what began ends by itself."""


type Faults = Callable[[Random], list[Fault]]


def later(deed: Callable[..., object], **settings: object) -> Deed:
    """Return a deed with its settings."""

    def done() -> object:
        result: object | Awaitable[object] = deed(**settings)
        return result

    return done
