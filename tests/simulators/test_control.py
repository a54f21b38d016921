"""The control interface: what it shows, what it takes, how it refuses."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulators.car import Car
from simulators.control import Control
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from simulators.line import SerialLine


@pytest.fixture
async def control(car: Car) -> AsyncIterator[aiohttp.ClientSession]:
    """Steer a car, both meters and a line."""
    dct1 = SimulatedDct1(car=car)
    async with (
        SerialLine([dct1]) as line,
        IemDcrServer(SimulatedIemDcr(car=car)) as iem_dcr,
        Control(
            car=car,
            meters={"dct1": (dct1,), "iem_dcr": (iem_dcr, iem_dcr.meter)},
            lines={"line": line},
        ) as control,
        aiohttp.ClientSession(control.url) as session,
    ):
        yield session


async def post(
    control: aiohttp.ClientSession, path: str, **settings: Any
) -> tuple[int, Any]:
    """Return status and answer."""
    async with control.post(path, json=settings) as answer:
        return answer.status, await answer.json()


async def state(control: aiohttp.ClientSession) -> Any:
    """Return what GET / shows."""
    async with control.get("/") as answer:
        assert answer.status == 200
        return await answer.json()


async def test_everything_is_shown(control: aiohttp.ClientSession) -> None:
    shown = await state(control)
    assert shown["car"]["power_w"] == 0
    assert shown["meters"]["dct1"]["serial_number"] == "BY0000000001L"
    assert shown["meters"]["iem_dcr"]["CT"] == ""
    assert shown["lines"]["line"]["addresses"] == [1]


@pytest.mark.parametrize(
    ("path", "settings", "shows"),
    [
        (
            "/car",
            {"power_w": -11000},
            {"mode": "hand", "charging": True, "power_w": -11000},
        ),
        ("/car", {"curve": True}, {"mode": "curve", "charging": True}),
        (
            "/car",
            {"charging": False, "time_scale": 2.5},
            {"charging": False, "time_scale": 2.5},
        ),
        ("/car", {"plugged": False}, {"plugged": False, "voltage_v": 0}),
        ("/lines/line/cut", {}, {"cut": "silent"}),
        ("/lines/line/cut", {"mode": "unplugged"}, {"cut": "unplugged"}),
        ("/lines/line/mend", {}, {"cut": None}),
        ("/lines/line/garbage", {"count": 3}, {"faults": {"garbage": 3}}),
        ("/lines/line/exception", {"code": 6}, {"faults": {"exception": 1}}),
        ("/lines/line/delay", {"seconds": 0.5}, {"delay_s": 0.5}),
        ("/meters/dct1/power_off", {}, {"powered": False}),
        ("/meters/dct1/delay", {"block_s": 1}, {"live_delay_s": 0, "block_delay_s": 1}),
        ("/meters/dct1/exchange", {"serial_number": "BY2"}, {"serial_number": "BY2"}),
        ("/meters/iem_dcr/power_cycle", {"off_s": 30}, {"accepts": False}),
        ("/meters/iem_dcr/fail", {"count": 2}, {"faults": {"fail": 2}}),
        ("/meters/iem_dcr/threshold", {"current_a": 9}, {"activation_threshold_a": 9}),
        (
            "/meters/iem_dcr/error",
            {},
            {"error_words": "0x0001, 0x00000000, 0x00, 0x00"},
        ),
    ],
)
async def test_an_action_shows_in_the_state(
    control: aiohttp.ClientSession,
    path: str,
    settings: dict[str, Any],
    shows: dict[str, Any],
) -> None:
    status, answer = await post(control, path, **settings)
    assert status == 200
    assert answer == answer | shows


@pytest.mark.parametrize(
    ("path", "settings", "status", "reason"),
    [
        ("/car", {"power": 1}, 400, "power is not known here; known: power_w, curve"),
        ("/car", {"power_w": "1"}, 400, 'power_w takes number, not "1"'),
        ("/car", {"power_w": True}, 400, "power_w takes number, not true"),
        ("/car", {"power_w": 1e9}, 400, "power_w is at most 1000000"),
        ("/car", {"charging": 1}, 400, "charging takes true|false, not 1"),
        ("/lines/line/cut", {"mode": "half"}, 400, "mode takes silent|mute"),
        ("/lines/line/drop", {"count": -1}, 400, "count is not negative"),
        ("/lines/line/drop", {"count": 1.5}, 400, "count takes int, not 1.5"),
        ("/lines/line/exception", {"code": 77}, 400, "code is from 1 to 11"),
        ("/lines/line/delay", {}, 400, "seconds is missing"),
        ("/lines/other/cut", {}, 404, "other is not known; known: line"),
        (
            "/lines/line/describe",
            {},
            404,
            "line has no action describe; it has: corrupt",
        ),
        (
            "/meters/dct1/exchange",
            {"serial_number": ""},
            400,
            "serial_number has 1 to 14",
        ),
        ("/meters/dct1/fail", {}, 404, "dct1 has no action fail"),
        ("/meters/iem_dcr/error", {"words": "bad"}, 400, "words has the form 0x0000"),
        ("/meters/iem_dcr/power_cycle", {"off_s": -1}, 400, "off_s is not negative"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_reason(
    control: aiohttp.ClientSession,
    path: str,
    settings: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    before = await state(control)
    answered, answer = await post(control, path, **settings)
    assert answered == status
    assert answer["error"].startswith(reason)
    assert await state(control) == before


@pytest.mark.parametrize("body", ["{", "[]", "5"])
async def test_a_body_is_a_json_object(
    control: aiohttp.ClientSession, body: str
) -> None:
    async with control.post("/car", data=body) as answer:
        assert answer.status == 400
        assert "JSON" in (await answer.json())["error"]


async def test_an_empty_body_is_no_settings(control: aiohttp.ClientSession) -> None:
    async with control.post("/lines/line/drop") as answer:
        assert (await answer.json())["faults"] == {"drop": 1}
