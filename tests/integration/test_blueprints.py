"""What blueprints do on the oldest Home Assistant, and what only a set clock shows."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
    async_mock_service,
)

from custom_components.dc_meter.const import DOMAIN
from homeassistant.core import HomeAssistant, SupportsResponse
from homeassistant.setup import async_setup_component

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


@pytest.fixture
async def automation(
    hass: HomeAssistant, config_dir: Path
) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Make an automation of a blueprint, with its defaults; it is off again afterwards."""
    hass.states.async_set("sensor.power", "0")
    shutil.copytree(BLUEPRINTS, config_dir / "blueprints" / "automation" / "dc_meter")

    async def make(name: str) -> None:
        assert await async_setup_component(
            hass,
            "automation",
            {
                "automation": {
                    "id": name,
                    "alias": name,
                    "use_blueprint": {
                        "path": f"dc_meter/{name}.yaml",
                        "input": INPUTS[name],
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
    automation: Callable[[str], Awaitable[None]],
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
    automation: Callable[[str], Awaitable[None]],
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
