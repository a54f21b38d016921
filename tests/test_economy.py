"""What may wait before it is shown, and what may not."""

from decimal import Decimal

import pytest

from custom_components.dc_meter.economy import ALWAYS, Economy, may_wait


@pytest.mark.parametrize(
    ("shown", "value", "bound", "waits"),
    [
        (Decimal(400), Decimal("404.9"), Decimal(5), True),
        (Decimal(400), Decimal(405), Decimal(5), False),
        (Decimal(400), Decimal("395.1"), Decimal(5), True),
        (Decimal(400), Decimal(395), Decimal(5), False),
        (Decimal(1), Decimal(10**9), ALWAYS, True),
        (12.5, 700.25, ALWAYS, True),
        (None, Decimal(0), ALWAYS, False),
        (Decimal(0), None, ALWAYS, False),
        (None, None, ALWAYS, True),
    ],
)
def test_small_changes_wait_and_the_unknown_does_not(
    shown: object, value: object, bound: Decimal, waits: bool
) -> None:
    """The bound itself is no small change; unknown to known is shown at once."""
    assert may_wait(shown, value, bound) is waits


def test_every_change_is_shown_unless_asked_otherwise() -> None:
    """An entry from before the option is as it was."""
    assert Economy.chosen({}) is None
    assert Economy.chosen({"recording": "every_change", "voltage_bound": 1}) is None


def test_bounds_are_those_chosen() -> None:
    """As typed, not as a binary fraction near it."""
    assert Economy.chosen(
        {
            "recording": "economical",
            "voltage_bound": 0.1,
            "current_bound": 0.3,
            "power_bound": 50,
            "longest_wait": 30,
        }
    ) == Economy(
        voltage_v=Decimal("0.1"),
        current_a=Decimal("0.3"),
        power_w=Decimal(50),
        longest_wait_s=30,
    )
