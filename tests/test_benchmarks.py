"""The frame of the benchmarks: what they hold numbers against, and what they write."""

import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from benchmarks import __main__ as main, disk
from benchmarks.cadence import missed, near_percent, shown_after_ms
from benchmarks.cpu import spread_s
from benchmarks.home import cpu_s, thread_cpu_s
from benchmarks.line_capacity import longest_s
from benchmarks.result import Must, Result, percentile, table
from benchmarks.start_stop import ARRIVES_S, poll_s
from benchmarks.wire import OURS, RECEIPT, YAML, Exchange, WatchedLine

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("must", "value", "peer", "limit", "ok"),
    [
        (None, 5, None, None, None),
        (Must(bound=5), 5, None, None, True),
        (Must(bound=5), 5.01, None, None, False),
        (Must(bound=0.8, of="peer"), 8, 10, None, True),
        (Must(bound=0.8, of="peer"), 8.1, 10, 100, False),
        (Must(bound=0.8, of="peer"), 0, None, None, False),
        (Must(at="least", bound=0.85, of="limit"), 17, None, 20, True),
        (Must(at="least", bound=0.85, of="limit"), 16, 1, 20, False),
        (Must(bound=6, each=True), 5, None, None, True),
        (Must(bound=5, each=True), 5, None, None, False),
        (Must(at="least", bound=5, each=True), 5, None, None, False),
    ],
)
def test_a_number_is_held_against_its_bound(
    must: Must | None,
    value: float,
    peer: float | None,
    limit: float | None,
    ok: bool | None,
) -> None:
    """The bound itself is kept; a share of what was not measured is not."""
    result = Result.of(
        "n",
        [value - 1, value, value + 1],
        "ms",
        peer=None if peer is None else [peer],
        limit=limit,
        must=must,
    )
    assert result.ok is ok
    assert ("MISSED" in table([result])) is (ok is False)


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (50, 50), (98.5, 99), (99, 99), (99.5, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: int) -> None:
    """So many percent are not greater."""
    assert percentile(range(100, 0, -1), percent) == value


def test_readings_are_held_against_their_slots() -> None:
    """One comes late, one not at all."""
    times = [10.4, 11.41, 12.4, 13.45, 15.4, 16.39, 17.4, 18.4, 19.4]
    assert missed(times, (9.8, 20.0)) == 1
    assert near_percent(times, (9.8, 20.0)) == 80


def test_readings_that_drift_are_late_and_lost() -> None:
    """As those of who waits a second after each."""
    times = [1.1 * number for number in range(101)]
    assert missed(times, (-0.5, 110.5)) == 10
    assert near_percent(times, (-0.5, 110.5)) < 10


def test_a_meter_that_falls_silent_is_missed_until_the_end() -> None:
    """And one that never spoke in every second."""
    times = [10.4, 11.4, 12.4]
    assert missed(times, (9.0, 20.0)) == 7
    assert near_percent(times, (9.0, 20.0)) == 30
    assert missed([], (9.0, 20.0)) == 11
    assert longest_s(times, (9.0, 20.0)) == pytest.approx(7.6)


def test_a_state_belongs_to_the_answer_before_it() -> None:
    """The last state written for it counts, and an answer that shows nothing does not."""
    shown = shown_after_ms([1.0, 1.1, 2.1], [[1.102, 2.103], [1.104]])
    assert shown == [pytest.approx(4), pytest.approx(3)]


@pytest.mark.parametrize(
    ("called_at", "rest_s"),
    [
        (1.00 - 2 * ARRIVES_S, 0),
        (1.00 - ARRIVES_S / 2, 0.1),
        (1.02, 0.08),
        (1.04, 0.06),  # between the two requests, where the line is free
        (1.09, 0.01),
        (1.11, 0),
    ],
)
def test_a_call_waits_for_no_more_than_the_poll_it_came_upon(
    called_at: float, rest_s: float
) -> None:
    """Not for the snapshot it makes, nor for what is polled after it."""
    busy = [
        Exchange(began_at, began_at + took_s, registers)
        for began_at, took_s, registers in (
            (1.00, 0.03, OURS[0]),
            (1.05, 0.05, OURS[1]),
            (1.11, 0.03, RECEIPT[0]),
            (1.15, 0.27, RECEIPT[1]),
            (1.50, 0.03, OURS[0]),
            (1.55, 0.05, OURS[1]),
        )
    ]
    assert poll_s(busy, called_at) == pytest.approx(rest_s)


@pytest.mark.parametrize(
    ("began_at", "spread"),
    [([7.3], 0), ([7.3, 8.3, 7.4], 0.1), ([7.9, 8.1], 0.2), ([7.1, 7.5, 7.9], 0.6)],
)
def test_readings_at_one_time_are_told_from_those_spread(
    began_at: list[float], spread: float
) -> None:
    """A second has no end: what begins late in it is near to what begins early."""
    lines = [
        [
            Exchange(at + since, at + since + 0.03, registers)
            for at in (first - 1.2, first)
            for since, registers in ((0, OURS[0]), (0.05, OURS[1]))
        ]
        for first in began_at
    ]
    assert spread_s(lines) == pytest.approx(spread)


def test_physics_counts_every_character_and_every_silence() -> None:
    """Two requests and answers of 78 bytes, four silences of 3.5 characters, 10 bits each."""
    line = WatchedLine([], baud_rate=9600)
    assert line.least_s(*OURS) == pytest.approx((78 + 4 * 3.5) * 10 / 9600)
    assert line.least_s(*YAML) == pytest.approx((93 + 10 * 3.5) * 10 / 9600)


def test_cpu_time_is_told_finer_than_in_ticks() -> None:
    """Of a process as it would tell itself, and of a thread nearly so."""
    before = time.process_time()
    told = cpu_s(os.getpid())
    assert before <= told <= time.process_time()
    # What a thread has taken is told as of the scheduler's last look at it.
    told = thread_cpu_s(os.getpid(), threading.get_native_id())
    assert 0 < told <= time.thread_time()


def test_a_question_is_answered_in_json(tmp_path: Path) -> None:
    """As whoever compares two versions reads it."""
    file = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "verification", "--json", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    results = json.loads(file.read_text())["results"]
    assert len(results) == 3
    for result in results:
        assert {"name", "value", "unit", "peer", "limit", "must", "ok"} <= result.keys()
        assert result["unit"] == "ms"
        assert result["must"] == "<= 2"
        assert result["ok"] is (result["value"] <= 2)
        assert result["name"] in done.stdout
    assert done.returncode == (0 if all(result["ok"] for result in results) else 1)


async def test_what_fails_loses_no_other_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor does what comes after it, should it never end."""
    file = tmp_path / "results.json"
    kept: list[object] = []

    async def fails(*, quick: bool) -> list[Result]:
        raise ValueError("no meter")

    async def answers(*, quick: bool) -> list[Result]:
        kept.append(json.loads(file.read_text()))
        return [Result.of("n", [1], "ms")]

    questions = {"first": answers, "second": fails, "third": answers}
    monkeypatch.setattr(main, "QUESTIONS", questions)
    report = main.Report(quick=True, file=file)
    report.write()
    await main.ask(questions, report)
    written = json.loads(file.read_text())
    assert [len(one["results"]) for one in (*kept, written)] == [0, 1, 2]
    assert written["failed"] == {"second": "ValueError('no meter')"}
    assert not report.ok


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    """Not after two hours."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--json", tmp_path / "none" / "file"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_what_waits_for_the_disk_is_not_measured_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where temporary files are kept in memory, another folder is taken."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kinds = {tmp_path: "ext4"}
    monkeypatch.setattr(disk, "file_system", lambda folder: kinds.get(folder, "ext4"))
    assert disk.disk() == tmp_path
    kinds[tmp_path] = "tmpfs"
    assert disk.disk() != tmp_path


def test_what_a_folder_lies_on_is_known() -> None:
    """By what the kernel says is mounted."""
    assert disk.file_system(Path("/proc")) == "proc"
