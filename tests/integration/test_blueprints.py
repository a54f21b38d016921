"""What blueprints do on the oldest Home Assistant, and what only a set clock shows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
    async_mock_service,
)

from custom_components.dc_meter.const import DOMAIN
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant, SupportsResponse, callback
from homeassistant.setup import async_setup_component
from simulators.iem_dcr import IemDcrServer

from .conftest import device_of
from .test_actions import call

BLUEPRINTS = Path(__file__).parents[2] / "blueprints" / "automation" / "dc_meter"

INPUTS: dict[str, dict[str, Any]] = {
    "mail_receipt": {"meters": ["a meter"], "deliver": []},
    "monthly_statement": {"deliver": [{"event": "delivered"}]},
    "split_on_tariff": {"meter": "a meter", "tariff": "sensor.tariff"},
    "start_on_plug": {"meter": "a meter", "plugged": "binary_sensor.plug"},
    "start_on_tag": {"meter": "a meter", "tags": []},
    "stop_on_low_power": {"meter": "a meter", "power": "sensor.power"},
    "warn_long_transaction": {"meter": "a meter", "warn": []},
}
"""What each cannot do without."""

type Make = Callable[..., Awaitable[None]]
type Setup = Callable[[MockConfigEntry], Awaitable[None]]


@pytest.fixture
async def automation(hass: HomeAssistant, config_dir: Path) -> AsyncIterator[Make]:
    """Make an automation of a blueprint, with its defaults; it is off again afterwards."""
    hass.states.async_set("sensor.power", "0")
    shutil.copytree(BLUEPRINTS, config_dir / "blueprints" / "automation" / "dc_meter")

    async def make(name: str, **inputs: Any) -> None:
        assert await async_setup_component(
            hass,
            "automation",
            {
                "automation": {
                    "id": name,
                    "alias": name,
                    "use_blueprint": {
                        "path": f"dc_meter/{name}.yaml",
                        "input": INPUTS[name] | inputs,
                    },
                }
            },
        )
        await hass.async_block_till_done()

    yield make
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": "all"}, blocking=True
    )


@pytest.mark.parametrize("name", sorted(file.stem for file in BLUEPRINTS.iterdir()))
async def test_a_blueprint_needs_no_more_than_it_asks_for(
    hass: HomeAssistant,
    automation: Make,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its defaults it makes an automation that listens."""
    await automation(name)
    state = hass.states.get(f"automation.{name}")
    assert state is not None
    assert state.state == "on"
    assert not [
        record
        for record in caplog.records
        if record.levelname in ("WARNING", "ERROR")
        and "custom integration" not in record.message
    ]


async def test_a_statement_is_made_once_a_month_and_made_up_for(
    hass: HomeAssistant,
    automation: Make,
    freezer: FrozenDateTimeFactory,
) -> None:
    """On the first, for the month before, by local midnights; a first that was missed, later."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    freezer.move_to("2026-10-17T12:00:00+02:00")
    await automation("monthly_statement")
    async_mock_service(
        hass,
        DOMAIN,
        "get_receipts",
        response={"total": 1},
        supports_response=SupportsResponse.ONLY,
    )
    exports = async_mock_service(
        hass,
        DOMAIN,
        "export_receipts",
        response={"path": ""},
        supports_response=SupportsResponse.ONLY,
    )
    delivered = async_capture_events(hass, "delivered")

    async def come(*mornings: str) -> None:
        for morning in mornings:
            freezer.move_to(f"{morning}T06:00:01+00:00")
            async_fire_time_changed(hass)
            await hass.async_block_till_done()

    await come("2026-10-18", "2026-10-31")
    assert not exports
    await come("2026-11-01", "2026-11-02", "2026-11-30")
    # Off on the first of December; nothing is missed.
    await come("2026-12-03", "2026-12-04")
    await come("2027-01-01", "2027-01-02", "2027-04-01")
    assert len(delivered) == len(exports)
    assert [
        tuple(
            datetime.fromisoformat(str(call.data[end])).isoformat()
            for end in ("from", "to")
        )
        for call in exports
    ] == [
        ("2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        ("2026-11-01T00:00:00+01:00", "2026-12-01T00:00:00+01:00"),
        ("2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("2027-03-01T00:00:00+01:00", "2027-04-01T00:00:00+02:00"),
    ]


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("start_on_tag", {"tags": [{"tag": "BOB"}]}),
        ("start_on_plug", {"wait": {"seconds": 0}}),
    ],
)
async def test_nobody_elses_session_is_ended_after_a_poll_that_failed(
    hass: HomeAssistant,
    automation: Make,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    name: str,
    inputs: dict[str, Any],
) -> None:
    """The condition does not see it then; the meter still does."""
    await setup(iem_dcr_entry)
    hass.states.async_set("binary_sensor.plug", "off")
    await automation(
        name,
        meter=device_of(hass, iem_dcr_entry),
        released=[{"event": "released"}],
        **inputs,
    )
    released = async_capture_events(hass, "released")
    anna = await call(hass, iem_dcr_entry, "start", client_id="Anna")
    server.disconnect(count=1_000)
    await iem_dcr_entry.runtime_data.coordinator.async_refresh()
    server.disconnect(count=0)
    hass.bus.async_fire("tag_scanned", {"tag_id": "BOB"})
    hass.states.async_set("binary_sensor.plug", "on")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (await call(hass, iem_dcr_entry, "get"))["transaction_id"] == anna[
        "transaction_id"
    ]
    assert not released
    await call(hass, iem_dcr_entry, "stop")
    hass.bus.async_fire("tag_scanned", {"tag_id": "BOB"})
    for state in ("off", "on"):
        hass.states.async_set("binary_sensor.plug", state)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert (await call(hass, iem_dcr_entry, "get"))["running"]
    assert released


@pytest.mark.parametrize(
    ("meanwhile", "running", "done"),
    [
        ([], "Anna", {"resumed"}),
        (["stop"], None, set()),
        (["stop", "start"], "Bob", {"resumed", "failed"}),
    ],
    ids=["goes on", "has ended", "another one runs"],
)
async def test_only_the_session_under_the_old_tariff_is_continued(
    hass: HomeAssistant,
    automation: Make,
    meter_entry: MockConfigEntry,
    setup: Setup,
    meanwhile: list[str],
    running: str | None,
    done: set[str],
) -> None:
    """While the charger is paused its user may stop it, and somebody else start."""
    await setup(meter_entry)
    hass.states.async_set("sensor.tariff", "day")
    events = {what: async_capture_events(hass, what) for what in ("resumed", "failed")}
    await automation(
        "split_on_tariff",
        meter=device_of(hass, meter_entry),
        pause=[
            {"event": "paused"},
            {"wait_for_trigger": {"trigger": "event", "event_type": "ready"}},
        ],
        resume=[{"event": "resumed"}],
        failed=[{"event": "failed"}],
    )
    # An ID that a template would take for a number.
    await call(hass, meter_entry, "start", transaction_id="1.50", client_id="Anna")
    paused = asyncio.Event()
    hass.bus.async_listen("paused", callback(lambda _: paused.set()))
    hass.states.async_set("sensor.tariff", "night")
    await paused.wait()
    for action in meanwhile:
        await hass.services.async_call(
            DOMAIN,
            f"{action}_transaction",
            {"device_id": device_of(hass, meter_entry)}
            | ({"client_id": "Bob"} if action == "start" else {}),
            blocking=True,
        )
    hass.bus.async_fire("ready")
    await hass.async_block_till_done(wait_background_tasks=True)
    found = await call(hass, meter_entry, "get")
    assert found["running"] is (running is not None)
    if running is not None:
        assert found["transaction_id"] != "1.50"
        assert found["session"]["client_id"] == running
        assert found["session"]["tariff_id"] == ("night" if running == "Anna" else "")
    assert {what for what, heard in events.items() if heard} == done


@pytest.mark.parametrize(
    ("unit", "watts"), [("mW", 1e-3), ("W", 1.0), ("kW", 1e3), ("MW", 1e6)]
)
async def test_a_low_power_is_low_in_any_unit(
    hass: HomeAssistant,
    automation: Make,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    unit: str,
    watts: float,
) -> None:
    """At 50 kW the transaction goes on, at 50 W it is stopped; the limit is 100 W."""

    def show(power_w: int) -> None:
        hass.states.async_set(
            "sensor.power", f"{power_w / watts:f}", {ATTR_UNIT_OF_MEASUREMENT: unit}
        )

    async def runs() -> bool:
        return bool((await call(hass, dct1_entry, "get"))["running"])

    await setup(dct1_entry)
    show(50_000)
    await automation(
        "stop_on_low_power",
        meter=device_of(hass, dct1_entry),
        low_for={"milliseconds": 100},
        patience={"milliseconds": 100},
    )
    await call(hass, dct1_entry, "start")
    await asyncio.sleep(0.5)
    assert await runs()
    show(50)
    async with asyncio.timeout(5):
        while await runs():
            await asyncio.sleep(0.05)
