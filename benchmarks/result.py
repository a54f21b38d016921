"""What was measured, what it is held against, and how both are written down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Must:
    """A bound that a value keeps: a number, or a share of the peer's value or of the limit."""

    at: Literal["most", "least"] = "most"
    bound: float
    of: Literal["peer", "limit"] | None = None
    each: bool = False
    """Whether every run keeps it, not only the one in the middle."""

    def holds(self, result: Result) -> bool:
        """Tell whether a result keeps the bound; what is missing keeps none."""
        basis = 1.0 if self.of is None else getattr(result, self.of)
        if basis is None:
            return False
        bound = self.bound * basis
        if self.at == "most":
            return (result.high if self.each else result.value) <= bound
        return (result.low if self.each else result.value) >= bound

    def __str__(self) -> str:
        """Write it as the table and the JSON have it."""
        sign = "<=" if self.at == "most" else ">="
        of = f" of {self.of}" if self.of else ""
        return f"{sign} {self.bound:g}{of}{', each' if self.each else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One number: the median of its runs."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    """The least and the greatest run."""

    runs: int
    peer: float | None = None
    """What Home Assistant's own sensors cost or do, measured in the same run."""

    limit: float | None = None
    """What physics allows, computed; or the least that Home Assistant's own parts take, measured."""

    must: Must | None = None

    @classmethod
    def of(
        cls,
        name: str,
        runs: Sequence[float],
        unit: str,
        *,
        peer: Sequence[float] | None = None,
        limit: float | None = None,
        must: Must | None = None,
    ) -> Self:
        """Sum up the runs of a question, and those of the peer."""
        return cls(
            name=name,
            value=median(runs),
            unit=unit,
            low=min(runs),
            high=max(runs),
            runs=len(runs),
            peer=None if peer is None else median(peer),
            limit=limit,
            must=must,
        )

    @property
    def ok(self) -> bool | None:
        """Whether it is as it must be; None where nothing is asked of it."""
        return None if self.must is None else self.must.holds(self)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-serializable data."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "peer": self.peer,
            "limit": self.limit,
            "must": None if self.must is None else str(self.must),
            "ok": self.ok,
            "low": self.low,
            "high": self.high,
            "runs": self.runs,
        }


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def table(results: Iterable[Result]) -> str:
    """Return the results as a Markdown table."""
    rows: list[Sequence[str]] = [
        ("", "measured", "runs", "peer", "limit", "must", ""),
        *(_row(result) for result in results),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        + " |"
        for row in rows
    )


def _row(result: Result) -> Sequence[str]:
    return (
        result.name,
        f"{result.value:.4g} {result.unit}",
        f"{result.low:.4g} – {result.high:.4g} ({result.runs})",
        "" if result.peer is None else f"{result.peer:.4g}",
        "" if result.limit is None else f"{result.limit:.4g}",
        "" if result.must is None else str(result.must),
        {True: "ok", False: "MISSED", None: ""}[result.ok],
    )
