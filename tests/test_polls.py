"""What is known of how a meter was polled."""

from datetime import UTC, datetime

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.dc_meter.polls import REMEMBERED, Polls


@pytest.mark.parametrize(
    ("began", "late", "missed"),
    [
        ([0], 0, 0),
        ([0, 1, 2, 3.4], 0, 0),
        ([0, 1, 3], 1, 1),
        ([0, 2, 3, 13.1], 2, 10),
    ],
)
def test_seconds_without_a_poll_are_counted(
    began: list[float], late: int, missed: int
) -> None:
    """A poll that begins late has missed those in between."""
    polls = Polls()
    for at_s in began:
        polls.began(at_s)
    told = polls.as_dict()
    assert (told["count"], told["late"], told["missed"]) == (len(began), late, missed)


def test_durations_are_summed_up() -> None:
    """Of the last ten minutes, the slowest included."""
    polls = Polls()
    assert polls.last_duration_s is None
    assert polls.as_dict()["duration_ms"] is None
    for number in range(REMEMBERED + 50):
        polls.took(9.0 if number < 50 else (number - 49) / 1000)
    assert polls.last_duration_s == 0.6
    assert polls.as_dict()["duration_ms"] == {
        "of_last": REMEMBERED,
        "last": 600,
        "min": 1,
        "median": 300.5,
        "p99": 594.0,
        "max": 600,
    }


def test_errors_are_counted_by_kind_with_their_times(
    freezer: FrozenDateTimeFactory,
) -> None:
    """Whoever helps sees whether it was once or is still so."""
    polls = Polls()
    for hour, kind in (
        (1, "unreachable"),
        (2, "unexpected_answer"),
        (3, "unreachable"),
    ):
        freezer.move_to(datetime(2026, 7, 1, hour, tzinfo=UTC))
        polls.failed(kind)
    assert polls.as_dict()["errors"] == {
        "unreachable": {
            "count": 2,
            "first": "2026-07-01T01:00:00+00:00",
            "last": "2026-07-01T03:00:00+00:00",
        },
        "unexpected_answer": {
            "count": 1,
            "first": "2026-07-01T02:00:00+00:00",
            "last": "2026-07-01T02:00:00+00:00",
        },
    }
