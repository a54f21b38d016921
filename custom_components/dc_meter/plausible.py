"""What a register can show, after what it was last believed to show.

A register only rises, and no faster than the meter can measure. What does otherwise is
refused: a disturbed reading until the next good one, a register that fell until it has passed
what it showed, a lasting jump for good, and any of them until its owner takes the new value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from .metering.meter import MeterReading

MAX_POWER_W = 600_000
"""More than either meter is made for: 600 A at 1000 V."""

SLACK_S = 5
"""How far apart the moments of measuring and of reading can be, signing included."""

MOST_WH = 10**18
"""More than any register counts to."""

LIFETIME = ("energy_import", "energy_export")
TRANSACTION = ("transaction_energy_import", "transaction_energy_export")
_FIELDS = {
    "energy_import": "energy_import_wh",
    "energy_export": "energy_export_wh",
    "transaction_energy_import": "transaction_import_wh",
    "transaction_energy_export": "transaction_export_wh",
}
"""Where a reading has the registers, by the key of the sensor that shows each."""


def most_wh(elapsed_s: float) -> Decimal:
    """Return the most energy that can have flowed between readings so far apart."""
    return Decimal(MAX_POWER_W * (elapsed_s + SLACK_S) / 3600)


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """What a register showed, and when, by a clock that never jumps."""

    wh: Decimal
    at_s: float

    def follows(self, other: Count | None) -> bool:
        """Tell whether a register that showed the other can show this."""
        return other is not None and (
            0 <= self.wh - other.wh <= most_wh(self.at_s - other.at_s)
        )


@dataclass(kw_only=True, slots=True)
class Register:
    """One register, and what is believed of it."""

    good: Count | None = None
    """The last one believed."""

    refused: Count | None = None
    """The last one refused; None when the last one was believed."""

    step: Count | None = None
    """The last of those that jumped and follow each other: they came too early, so they are
    not believed just because time has passed since."""

    first_refused_wh: Decimal | None = None

    stepped_wh: Decimal = Decimal(0)
    """By how much it has stepped since it was last shown, without energy having flowed."""

    def judge(self, wh: Decimal, at_s: float) -> bool:
        """Tell whether to believe what the register shows."""
        count = Count(wh=wh, at_s=at_s)
        if self.good is None or (
            count.follows(self.good) and not count.follows(self.step)
        ):
            self.good, self.refused, self.step = count, None, None
            self.first_refused_wh = None
            return True
        if wh > self.good.wh and (
            count.follows(self.step) or count.follows(self.refused)
        ):
            self.step = count
        self.refused = count
        if self.first_refused_wh is None:
            self.first_refused_wh = wh
        return False

    def take(self) -> None:
        """Believe what was refused."""
        if self.refused is None or self.good is None:
            return
        self.stepped_wh += self.refused.wh - self.good.wh
        self.good, self.refused, self.step = self.refused, None, None
        self.first_refused_wh = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A register that is not shown, and why."""

    good_wh: Decimal
    refused_wh: Decimal
    """The first that was refused."""


@dataclass(kw_only=True, slots=True)
class Registers:
    """The registers of one meter, by the key of the sensor that shows each."""

    found: dict[str, Register] = field(default_factory=dict)
    reversed: bool | None = None
    transaction: str | None = None

    def judge(
        self, reading: MeterReading, now_s: float, transaction: str | None
    ) -> tuple[MeterReading, dict[str, Decimal]]:
        """Return the reading without what is not believed, and the steps that it shows.

        ``transaction`` names the one that runs; None when none does. Another one counts from
        0, and a meter turned round has its registers changed places.
        """
        if self.reversed not in (None, reading.reversed):
            self._turn()
        self.reversed = reading.reversed
        if transaction != self.transaction:
            self.transaction = transaction
            for key in TRANSACTION:
                self.found.pop(key, None)
        at_s = now_s - reading.energy_age_s
        refused: dict[str, Any] = {}
        steps: dict[str, Decimal] = {}
        for key, wh in self._shown_in(reading):
            register = self.found.setdefault(key, Register())
            if not register.judge(wh, at_s):
                refused[_FIELDS[key]] = None
            elif register.stepped_wh:
                steps[key], register.stepped_wh = register.stepped_wh, Decimal(0)
        return (replace(reading, **refused) if refused else reading), steps

    def take(self, key: str) -> None:
        """Believe what a register shows; ``judge`` tells the step when it is shown."""
        if (register := self.found.get(key)) is not None:
            register.take()

    @property
    def refusals(self) -> dict[str, Refusal]:
        """What is not shown now."""
        return {
            key: Refusal(good_wh=register.good.wh, refused_wh=register.first_refused_wh)
            for key, register in self.found.items()
            if register.good is not None and register.first_refused_wh is not None
        }

    def _shown_in(self, reading: MeterReading) -> Iterator[tuple[str, Decimal]]:
        keys = LIFETIME if self.transaction is None else _FIELDS
        for key in keys:
            wh: Decimal | None = getattr(reading, _FIELDS[key])
            if wh is not None:
                yield key, wh

    def _turn(self) -> None:
        """Exchange import and export; what was shown of each stays where it was."""
        one, other = (self.found.get(key, Register()) for key in LIFETIME)
        self.found |= dict(zip(LIFETIME, (other, one), strict=True))
        one.stepped_wh, other.stepped_wh = other.stepped_wh, one.stepped_wh
        if one.good is not None and other.good is not None:
            rise_wh = other.good.wh - one.good.wh
            one.stepped_wh -= rise_wh
            other.stepped_wh += rise_wh

    def keep(self, now_s: float) -> dict[str, Any]:
        """Return what ``recall`` reads back, as JSON-serializable data."""

        def kept(count: Count | None) -> dict[str, Any] | None:
            if count is None:
                return None
            return {"wh": str(count.wh), "age_s": now_s - count.at_s}

        return {
            "reversed": self.reversed,
            "transaction": self.transaction,
            "registers": {
                key: {
                    "good": kept(register.good),
                    "refused": kept(register.refused),
                    "step": kept(register.step),
                    "first_refused": None
                    if register.first_refused_wh is None
                    else str(register.first_refused_wh),
                    "stepped_wh": str(register.stepped_wh),
                }
                for key, register in self.found.items()
            },
        }


def recall_wh(kept: str) -> Decimal:
    """Return an energy as it was when it was kept.

    Raises ``ArithmeticError``, ``TypeError`` or ``ValueError`` for what is none.
    """
    wh = Decimal(kept)
    if not -MOST_WH < wh < MOST_WH:
        raise ValueError(f"{kept} Wh")
    return wh


def recall(data: Mapping[str, Any], kept_at_s: float) -> Registers:
    """Return the registers as they were when ``keep`` was asked.

    Raises ``ArithmeticError``, ``AttributeError``, ``LookupError``, ``TypeError`` or
    ``ValueError`` for what ``keep`` did not return.
    """

    def count(kept: Mapping[str, Any] | None) -> Count | None:
        if kept is None:
            return None
        return Count(wh=recall_wh(kept["wh"]), at_s=kept_at_s - kept["age_s"])

    return Registers(
        reversed=data["reversed"],
        transaction=data["transaction"],
        found={
            key: Register(
                good=count(kept["good"]),
                refused=count(kept["refused"]),
                step=count(kept["step"]),
                first_refused_wh=None
                if kept["first_refused"] is None
                else recall_wh(kept["first_refused"]),
                stepped_wh=recall_wh(kept["stepped_wh"]),
            )
            for key, kept in data["registers"].items()
        },
    )
