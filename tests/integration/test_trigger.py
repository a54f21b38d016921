"""Triggers: which meters they listen to, what they carry, and what they sleep through."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)
import voluptuous as vol

from custom_components.dc_meter import held
from custom_components.dc_meter.const import DOMAIN, EVENT_DC_METER
from custom_components.dc_meter.metering.errors import MeterUnreachableError
from custom_components.dc_meter.presence import lost_meters, report_lost
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.helpers.trigger import async_validate_trigger_config
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulators.car import Car
from simulators.iem_dcr import SimulatedIemDcr
from simulators.line import SerialLine

from .conftest import device_of, entity_of
from .test_actions import call
from .test_init import poll

type Setup = Callable[[MockConfigEntry], Awaitable[None]]
type Listen = Callable[..., Awaitable[list[Event]]]

OF_THE_AUTOMATION = {"id", "idx", "alias", "platform", "description"}


@pytest.fixture
def listen(hass: HomeAssistant) -> Listen:
    """Make an automation of a trigger and return what it hears, each time."""

    async def attach(
        trigger: str, target: dict[str, str], **options: Any
    ) -> list[Event]:
        heard = async_capture_events(hass, "heard")
        assert await async_setup_component(
            hass,
            "automation",
            {
                "automation": {
                    "triggers": {
                        "trigger": f"{DOMAIN}.{trigger}",
                        "target": target,
                        "options": options,
                    },
                    "actions": {
                        "event": "heard",
                        "event_data": {"trigger": "{{ trigger }}"},
                    },
                    "mode": "queued",
                }
            },
        )
        await hass.async_block_till_done()
        return heard

    return attach


@pytest.fixture(params=["entity_id", "device_id", "area_id", "floor_id", "label_id"])
async def place(
    request: pytest.FixtureRequest, hass: HomeAssistant
) -> Callable[[MockConfigEntry], dict[str, str]]:
    """Return what puts a meter where a target finds it."""
    floor = fr.async_get(hass).async_create("Yard")
    area = ar.async_get(hass).async_create("Carport", floor_id=floor.floor_id)
    label = lr.async_get(hass).async_create("Billed")
    kind: str = request.param

    def put(entry: MockConfigEntry) -> dict[str, str]:
        device_id = device_of(hass, entry)
        if kind in ("area_id", "floor_id"):
            dr.async_get(hass).async_update_device(device_id, area_id=area.id)
        if kind == "label_id":
            dr.async_get(hass).async_update_device(device_id, labels={label.label_id})
        return {
            kind: {
                "entity_id": entity_of(hass, entry, "transaction_event"),
                "device_id": device_id,
                "area_id": area.id,
                "floor_id": floor.floor_id,
                "label_id": label.label_id,
            }[kind]
        }

    return put


def at(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, str]:
    """Return the target that is this meter."""
    return {"device_id": device_of(hass, entry)}


async def test_a_meter_is_heard_wherever_a_target_finds_it_and_no_other(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    place: Callable[[MockConfigEntry], dict[str, str]],
) -> None:
    """Entity, device, area, floor and label lead to the meter."""
    await setup(dct1_entry)
    if iem_dcr_entry.state is ConfigEntryState.NOT_LOADED:
        await setup(iem_dcr_entry)
    heard = await listen("transaction_started", place(dct1_entry))
    await call(hass, iem_dcr_entry, "start")
    assert not heard
    await call(hass, dct1_entry, "start", transaction_id="T-1")
    (event,) = heard
    assert event.data["trigger"]["transaction_id"] == "T-1"


@pytest.mark.parametrize("place", ["device_id", "area_id"], indirect=True)
@pytest.mark.parametrize("gone", ["hidden_by", "disabled_by"])
async def test_a_meter_is_heard_whose_event_entity_nobody_sees(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    place: Callable[[MockConfigEntry], dict[str, str]],
    entity_registry: er.EntityRegistry,
    gone: str,
) -> None:
    """It is hidden or disabled to have it off a dashboard, not to stop automations."""
    await setup(dct1_entry)
    target = place(dct1_entry)
    by = {
        "hidden_by": er.RegistryEntryHider.USER,
        "disabled_by": er.RegistryEntryDisabler.USER,
    }[gone]
    entity_registry.async_update_entity(
        entity_of(hass, dct1_entry, "transaction_event"), **{gone: by}
    )
    await hass.async_block_till_done()
    heard = await listen("transaction_started", target)
    await call(hass, dct1_entry, "start", transaction_id="T-1")
    assert len(heard) == 1


@pytest.mark.parametrize("kind", ["started", "stopped"])
async def test_a_trigger_carries_what_the_event_carries(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    kind: str,
) -> None:
    """Device, session, signed values and verdict are at hand, and the automation says why it ran."""
    await setup(meter_entry)
    told = async_capture_events(hass, EVENT_DC_METER)
    heard = await listen(f"transaction_{kind}", at(hass, meter_entry))
    await call(hass, meter_entry, "start", identification_data="04A2B1C4")
    await call(hass, meter_entry, "stop")
    (trigger,) = [event.data["trigger"] for event in heard]
    (event,) = [event for event in told if event.data["type"] == f"transaction_{kind}"]
    assert {
        key: value for key, value in trigger.items() if key not in OF_THE_AUTOMATION
    } == event.data
    assert trigger["session"]["identification_data"] == "04A2B1C4"
    device = dr.async_get(hass).async_get(device_of(hass, meter_entry))
    assert device is not None
    assert trigger["description"] == f"transaction {kind} of {device.name}"


async def test_a_start_the_meter_refuses_is_heard_as_failed(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    car: Car,
) -> None:
    """The error says why."""
    await setup(iem_dcr_entry)
    heard = await listen("transaction_failed", at(hass, iem_dcr_entry))
    car.set_power(50_000)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "start")
    await hass.async_block_till_done()
    (event,) = heard
    assert event.data["trigger"]["error"]["key"] == "current_flowing"


@pytest.mark.parametrize(
    ("level", "verdicts"), [("VERIFIED", []), ("MISMATCH", ["valid"])]
)
async def test_a_receipt_that_must_not_be_billed_is_heard_though_it_is_genuine(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    level: str,
    verdicts: list[str],
) -> None:
    """Objections count as much as signatures; a good receipt is passed over."""
    await setup(iem_dcr_entry)
    heard = await listen("receipt_not_billable", at(hass, iem_dcr_entry))
    await call(
        hass,
        iem_dcr_entry,
        "start",
        identification_data="04A2B1C4",
        identification_level=level,
    )
    await call(hass, iem_dcr_entry, "stop")
    assert [event.data["trigger"]["verdict"]["verdict"] for event in heard] == verdicts


async def test_a_transaction_that_leaves_no_receipt_is_heard_as_not_billable(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    iem_dcr: SimulatedIemDcr,
    car: Car,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A start that was refused is not: nothing is left to bill."""
    monkeypatch.setattr(held, "RECEIPT_PATIENCE_S", 0)
    await setup(iem_dcr_entry)
    heard = await listen("receipt_not_billable", at(hass, iem_dcr_entry))
    car.set_power(50_000)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "start")
    car.set_power(0)
    await hass.async_block_till_done()
    assert not heard
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    iem_dcr._transaction = None  # noqa: SLF001, it is lost before it is signed
    await poll(hass, iem_dcr_entry)
    (event,) = heard
    assert event.data["trigger"]["type"] == "transaction_failed"
    assert event.data["trigger"]["transaction_id"] == "T"


@pytest.mark.parametrize(
    ("trigger", "keys"), [("meter_lost", ["unreachable"]), ("meter_back", [None])]
)
async def test_a_meter_is_lost_once_and_back_once(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    line: SerialLine,
    trigger: str,
    keys: list[str | None],
) -> None:
    """However many polls go unanswered."""
    await setup(dct1_entry)
    heard = await listen(trigger, at(hass, dct1_entry))
    await line.cut()
    for _ in range(3):
        await poll(hass, dct1_entry)
    await line.mend()
    for _ in range(3):
        await poll(hass, dct1_entry)
    assert [
        event.data["trigger"].get("error", {}).get("key") for event in heard
    ] == keys


@pytest.mark.parametrize("found_away", ["at setup", "by a poll"])
@pytest.mark.parametrize("comes_back", ["before it is told", "after it was told"])
async def test_a_meter_away_while_home_assistant_starts_is_told_of_when_automations_listen(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    found_away: str,
    comes_back: str,
) -> None:
    """Once, as soon as it has started; one that is back by then was never missed."""
    await setup(dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    told = async_capture_events(hass, EVENT_DC_METER)
    hass.set_state(CoreState.starting)
    if found_away == "at setup":
        await line.cut()
        await hass.config_entries.async_setup(dct1_entry.entry_id)
        assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    else:
        await setup(dct1_entry)
        await line.cut()
        await poll(hass, dct1_entry)
    assert not told
    if comes_back == "before it is told":
        await line.mend()
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)
    for _ in range(2):
        if dct1_entry.state is ConfigEntryState.LOADED:
            await poll(hass, dct1_entry)
    if comes_back == "after it was told":
        await line.mend()
        await hass.config_entries.async_reload(dct1_entry.entry_id)
        await poll(hass, dct1_entry)
    assert [event.data["type"] for event in told] == (
        [] if comes_back == "before it is told" else ["meter_lost", "meter_back"]
    )


async def test_only_a_meter_that_stays_away_is_missed(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    line: SerialLine,
) -> None:
    """A meter that is back in time is not reported, one that is not, is."""
    await setup(dct1_entry)
    heard = await listen(
        "meter_lost", at(hass, dct1_entry), **{"for": {"milliseconds": 300}}
    )
    await line.cut()
    await poll(hass, dct1_entry)
    await line.mend()
    await poll(hass, dct1_entry)
    await asyncio.sleep(0.4)
    assert not heard
    await line.cut()
    await poll(hass, dct1_entry)
    await asyncio.sleep(0.4)
    await hass.async_block_till_done()
    (event,) = heard
    assert event.data["trigger"]["device_id"] == device_of(hass, dct1_entry)


async def test_a_meter_lost_before_the_automation_is_missed_too(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    line: SerialLine,
) -> None:
    """Home Assistant may have been restarted while the meter was away."""
    await setup(dct1_entry)
    await line.cut()
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    heard = await listen(
        "meter_lost", at(hass, dct1_entry), **{"for": {"milliseconds": 100}}
    )
    await asyncio.sleep(0.2)
    await hass.async_block_till_done()
    assert len(heard) == 1


@pytest.mark.parametrize("removed", [True, False])
async def test_a_lost_meter_that_is_removed_or_disabled_is_not_missed(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    line: SerialLine,
    removed: bool,
) -> None:
    """Neither by an automation that waits already, nor by one that comes later; others are."""
    await setup(dct1_entry)
    area = ar.async_get(hass).async_create("Carport")
    dr.async_get(hass).async_update_device(device_of(hass, dct1_entry), area_id=area.id)
    target = {"area_id": area.id}
    heard = await listen("meter_lost", target, **{"for": {"minutes": 1}})
    await line.cut()
    await poll(hass, dct1_entry)
    assert len(lost_meters(hass)) == 1
    other = MockConfigEntry(domain=DOMAIN, unique_id="other")
    other.add_to_hass(hass)
    dr.async_get(hass).async_get_or_create(
        config_entry_id=other.entry_id, identifiers={(DOMAIN, "other")}
    )
    report_lost(hass, other, MeterUnreachableError(error="off"))
    _, of_other = lost_meters(hass)
    if removed:
        await hass.config_entries.async_remove(dct1_entry.entry_id)
    else:
        await hass.config_entries.async_set_disabled_by(
            dct1_entry.entry_id, ConfigEntryDisabler.USER
        )
    assert lost_meters(hass) == [of_other]
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=2))
    await hass.async_block_till_done()
    assert not heard
    if removed:
        dct1_entry.add_to_hass(hass)
        assert lost_meters(hass) == [of_other]


async def test_a_meter_that_was_away_at_start_is_back_when_it_can_be_used(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    line: SerialLine,
) -> None:
    """An automation that is run by it finds the meter loaded."""
    await setup(dct1_entry)
    heard = await listen("meter_back", at(hass, dct1_entry))
    await line.cut()
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    await line.mend()
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    assert not heard
    await poll(hass, dct1_entry)
    assert len(heard) == 1


async def test_loading_a_meter_anew_loses_neither_the_meter_nor_the_trigger(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
) -> None:
    """Entities are unavailable for a moment; the meter was never away."""
    await setup(dct1_entry)
    lost = async_capture_events(hass, EVENT_DC_METER)
    heard = await listen("transaction_started", at(hass, dct1_entry))
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not lost
    await call(hass, dct1_entry, "start")
    assert len(heard) == 1


async def test_a_meter_that_comes_later_is_heard_and_one_that_is_renamed(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
) -> None:
    """A target is looked up when something happens."""
    area = ar.async_get(hass).async_create("Carport")
    heard = await listen("transaction_started", {"area_id": area.id})
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    assert not heard
    dr.async_get(hass).async_update_device(
        device_of(hass, dct1_entry), area_id=area.id, name_by_user="Left"
    )
    er.async_get(hass).async_update_entity(
        entity_of(hass, dct1_entry, "transaction_event"), new_entity_id="event.left"
    )
    await call(hass, dct1_entry, "start")
    (event,) = heard
    assert event.data["trigger"]["description"] == "transaction started of Left"


async def test_a_target_without_a_meter_is_taken_and_never_heard(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As with Home Assistant's own triggers: a meter may come."""
    await setup(dct1_entry)
    heard = await listen("transaction_started", {"device_id": "nothing"})
    await call(hass, dct1_entry, "start")
    assert not heard
    assert "ERROR" not in caplog.text


async def test_an_automation_turned_off_waits_for_no_meter(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    listen: Listen,
    line: SerialLine,
) -> None:
    """A timer that lingered would fail this test."""
    await setup(dct1_entry)
    await listen("meter_lost", at(hass, dct1_entry), **{"for": {"hours": 1}})
    await line.cut()
    await poll(hass, dct1_entry)
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": "all"}, blocking=True
    )


@pytest.mark.parametrize(
    "trigger",
    [
        {"trigger": "dc_meter.transaction_started"},
        {
            "trigger": "dc_meter.transaction_started",
            "target": {"device_id": "x"},
            "options": {"for": 1},
        },
        {
            "trigger": "dc_meter.meter_lost",
            "target": {"device_id": "x"},
            "options": {"for": -1},
        },
        {"trigger": "dc_meter.transaction_paused", "target": {"device_id": "x"}},
    ],
)
async def test_a_trigger_that_makes_no_sense_is_refused(
    hass: HomeAssistant, trigger: dict[str, Any]
) -> None:
    """No target, a wait where there is nothing to wait for, a negative one, an unknown one."""
    config = {"platform": trigger["trigger"], **trigger}
    del config["trigger"]
    with pytest.raises(vol.Invalid):
        await async_validate_trigger_config(hass, [config])
