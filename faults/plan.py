"""How long the parts of a campaign take."""

from dataclasses import dataclass, replace

PARTS = ("archive", "kill")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one run does."""

    strikes_s: float
    """For how long meters are struck."""

    round_s: float
    """How often everything is left alone and looked at."""

    archive: bool
    kills: int
    quick: bool = False
    bounds_memory: bool = False

    def only(self, kind: str) -> Plan:
        """Return the same with the part that this kind of fault belongs to alone."""
        part = kind if kind in PARTS else ""
        return replace(
            self,
            strikes_s=0 if part else self.strikes_s,
            archive=part == "archive",
            kills=self.kills if part == "kill" else 0,
        )


QUICK = Plan(strikes_s=100, round_s=50, archive=True, kills=8, quick=True)
FULL = Plan(strikes_s=840, round_s=120, archive=True, kills=300)


def soak(minutes: float) -> Plan:
    """Return strikes for so long; the first rounds are to warm up."""
    return Plan(
        strikes_s=minutes * 60,
        round_s=minutes * 10,
        archive=False,
        kills=0,
        bounds_memory=True,
    )
