"""Receipts: whose key is trusted, what they cost, what was missed, and how they are found."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
import shutil
import sqlite3
import threading
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_capture_events,
    mock_restore_cache_with_extra_data,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator
import voluptuous as vol

from custom_components.dc_meter import actions
from custom_components.dc_meter.archive import Archive, Link, RecordKind
from custom_components.dc_meter.archive_file import ARCHIVE
from custom_components.dc_meter.backup import async_post_backup, async_pre_backup
from custom_components.dc_meter.const import DOMAIN, EVENT_DC_METER
from custom_components.dc_meter.events import account_data
from custom_components.dc_meter.metering.meter import TransactionRequest
from custom_components.dc_meter.repairs import async_create_fix_flow
from custom_components.dc_meter.session import Account
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import Context, HomeAssistant, State
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
)
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulators.car import Car
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from simulators.line import SerialLine

from .conftest import DCT1_SERIAL, IEM_SERIAL, dct1_data, device_of, entity_of, state_of
from .test_actions import call

type Setup = Callable[[MockConfigEntry], Awaitable[None]]


async def poll(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)


async def session(
    hass: HomeAssistant, entry: MockConfigEntry, **request: Any
) -> dict[str, Any]:
    """Run a session and return what stop answers."""
    await call(hass, entry, "start", **request)
    return await call(hass, entry, "stop")


async def receipts(hass: HomeAssistant, **query: Any) -> list[dict[str, Any]]:
    response = await hass.services.async_call(
        DOMAIN, "get_receipts", query, blocking=True, return_response=True
    )
    assert response is not None
    return list(response["receipts"])


async def exchange_key(
    hass: HomeAssistant, entry: MockConfigEntry, dct1: SimulatedDct1
) -> None:
    """Give the DCT1 another key while Home Assistant is not looking."""
    await hass.config_entries.async_unload(entry.entry_id)
    assert dct1.key is not None
    dct1.key = SimulatedDct1().key


async def fix(hass: HomeAssistant, issue: ir.IssueEntry, *steps: str) -> Any:
    """Walk an issue's repair flow."""
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    flow.hass, flow.handler = hass, DOMAIN
    flow.context = {"issue_id": issue.issue_id}
    flow._issue_id = issue.issue_id  # noqa: SLF001, what the flow manager would set
    result: Any = await flow.async_step_init()
    for step in steps:
        result = await getattr(flow, f"async_step_{step}")({})
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


def kinds(hass: HomeAssistant, serial_number: str) -> list[RecordKind]:
    """Return what the archive has of transaction "T" at a meter."""
    records = hass.data[ARCHIVE].of_transaction(serial_number, "T")
    return [record.kind for record in records]


async def test_the_first_key_is_trusted_until_the_label_confirms_it(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Typed from the label, however written, the key becomes confirmed; a wrong one does not."""
    await setup(meter_entry)
    key = hass.states.get(entity_of(hass, meter_entry, "public_key"))
    assert key is not None
    assert key.attributes["trust"] == "first_seen"
    result = await hass.config_entries.options.async_init(meter_entry.entry_id)
    form: dict[str, Any] = {**meter_entry.options, "economy": {}}
    if "retries" in form:
        form["advanced"] = {
            name: form.pop(name)
            for name in ("clock_interval", "retries", "retry_delay", "show_user_id")
        }
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {**form, "label_key": "04" + "AB" * 96}
    )
    assert result["errors"] == {"label_key": "label_key_differs"}
    spaced = " ".join(
        key.state[at : at + 8].lower() for at in range(0, len(key.state), 8)
    )
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {**form, "label_key": spaced}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert "label_key" not in result["data"]
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll(hass, meter_entry)
    key = hass.states.get(entity_of(hass, meter_entry, "public_key"))
    assert key is not None
    assert key.attributes["trust"] == "label"


@pytest.mark.parametrize(
    ("is_there", "errors"),
    [(False, {"label_key": "not_loaded"}), (True, {"base": "archive_unusable"})],
    ids=["meter away", "archive fails"],
)
async def test_a_label_that_cannot_be_taken_is_typed_again_later(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    is_there: bool,
    errors: dict[str, str],
) -> None:
    """The form says why, and the options stay as they were."""
    await setup(dct1_entry)
    key = hass.states.get(entity_of(hass, dct1_entry, "public_key"))
    assert key is not None
    before = dict(dct1_entry.options)
    if is_there:
        hass.data[ARCHIVE].close()
    else:
        await hass.config_entries.async_unload(dct1_entry.entry_id)
    result = await hass.config_entries.options.async_init(dct1_entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"],
        {**dct1_entry.options, "economy": {}, "label_key": key.state},
    )
    assert result["errors"] == errors
    assert dict(dct1_entry.options) == before


async def test_receipts_with_another_key_are_invalid_until_its_owner_accepts_it(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Old receipts stay valid; those made in between become so."""
    await setup(dct1_entry)
    before = await session(hass, dct1_entry, transaction_id="before")
    assert before["verdict"]["verdict"] == "valid"
    await exchange_key(hass, dct1_entry, dct1)
    await setup(dct1_entry)
    started = await call(hass, dct1_entry, "start", transaction_id="between")
    assert started["session"]["warnings"] == ["key_changed"]
    between = await call(hass, dct1_entry, "stop")
    assert between["verdict"]["verdict"] == "invalid"
    assert between["verdict"]["reason"] == "key_changed"
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "key_changed"
    result = await fix(hass, issue, "confirm")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await poll(hass, dct1_entry)
    assert not issue_registry.issues
    after = await session(hass, dct1_entry, transaction_id="after")
    assert after["verdict"]["verdict"] == "valid"
    assert [
        (receipt["transaction_id"], receipt["verdict"]["verdict"])
        for receipt in await receipts(hass)
    ] == [("before", "valid"), ("between", "valid"), ("after", "valid")]


async def test_only_the_key_that_was_shown_is_accepted(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Not the one that the meter has by the time of the answer; nor while it is not there."""
    await setup(dct1_entry)
    await exchange_key(hass, dct1_entry, dct1)
    await setup(dct1_entry)
    (asked,) = issue_registry.issues.values()
    await exchange_key(hass, dct1_entry, dct1)
    assert (await fix(hass, asked, "confirm"))["reason"] == "failed"
    await setup(dct1_entry)
    assert (await fix(hass, asked, "confirm"))["type"] is FlowResultType.CREATE_ENTRY
    (still,) = issue_registry.issues.values()
    assert still.data is not None
    assert asked.data is not None
    assert still.data["trusted"] == asked.data["shown"] != still.data["shown"]


async def test_an_exchanged_meter_can_take_over_the_entry(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The repair names both meters, and accepted the entry belongs to the new one."""
    await setup(dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "meter_exchanged"
    await fix(hass, issue, "confirm")
    assert dct1_entry.unique_id == "BY0000000000X"
    assert dct1_entry.state is ConfigEntryState.LOADED
    assert not issue_registry.issues


@pytest.mark.parametrize("answers", [DCT1_SERIAL, "BY0000000000Y"])
async def test_an_exchange_that_is_no_longer_so_is_not_accepted(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
    answers: str,
) -> None:
    """The entry's own meter answers again, or yet another, since it was shown."""
    await setup(dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    (issue,) = issue_registry.issues.values()
    dct1.exchange(serial_number=answers)
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    result = await fix(hass, issue, "confirm")
    assert result["reason"] == "failed"
    assert dct1_entry.unique_id == DCT1_SERIAL


async def test_what_ran_at_an_exchanged_meter_has_failed_for_good(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    """It is told at the exchange, kept, and does not go on when the old meter comes back."""
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start", transaction_id="T")
    old = device_of(hass, dct1_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    for serial_number in ("BY0000000000X", DCT1_SERIAL):
        await hass.config_entries.async_unload(dct1_entry.entry_id)
        dct1.exchange(serial_number=serial_number)
        await hass.config_entries.async_setup(dct1_entry.entry_id)
        (issue,) = issue_registry.issues.values()
        await fix(hass, issue, "confirm")
        assert not (await call(hass, dct1_entry, "get"))["running"]
    (failed,) = [event for event in events if "transaction" in event.data["type"]]
    assert failed.data["type"] == "transaction_failed"
    assert failed.data["device_id"] == old
    assert failed.data["transaction_id"] == "T"
    assert failed.data["error"]["key"] == "wrong_meter"
    assert kinds(hass, DCT1_SERIAL)[-1] is RecordKind.FAILED


async def test_an_exchange_is_accepted_though_what_ran_before_cannot_be_read(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    with sqlite3.connect(hass.config.path(DOMAIN, "receipts.db")) as file:
        file.execute("DROP TRIGGER record_is_never_changed")
        file.execute("UPDATE record SET body = '{' WHERE kind <> 'key'")
    file.close()
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    (issue,) = (
        issue
        for issue in issue_registry.issues.values()
        if issue.translation_key == "meter_exchanged"
    )
    await fix(hass, issue, "confirm")
    assert dct1_entry.unique_id == "BY0000000000X"
    assert dct1_entry.state is ConfigEntryState.LOADED


async def test_what_ran_at_a_meter_exchanged_under_way_has_failed_for_good(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    issue_registry: ir.IssueRegistry,
) -> None:
    """That the entry was loaded, and so leaves a last word on its session, is no last word."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    events = async_capture_events(hass, EVENT_DC_METER)
    iem_dcr.post_receipt({"TX": "E"})
    iem_dcr.exchange(serial_number="1ISA0299999999")
    await poll(hass, iem_dcr_entry)
    (issue,) = issue_registry.issues.values()
    await fix(hass, issue, "confirm")
    assert iem_dcr_entry.state is ConfigEntryState.LOADED
    assert [event.data["type"] for event in events][:2] == [
        "meter_lost",
        "transaction_failed",
    ]
    assert kinds(hass, IEM_SERIAL)[-2:] == [RecordKind.PAUSED, RecordKind.FAILED]


async def test_an_exchanged_meter_is_found_where_the_old_one_was(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    """By area, label and the name its user gave it."""
    hass.config_entries.async_update_entry(dct1_entry, title=f"DCT1 {DCT1_SERIAL}")
    await setup(dct1_entry)
    area = ar.async_get(hass).async_create("Carport")
    device_registry.async_update_device(
        device_of(hass, dct1_entry),
        area_id=area.id,
        labels={"billed"},
        name_by_user="Left",
    )
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    (issue,) = issue_registry.issues.values()
    await fix(hass, issue, "confirm")
    new = device_registry.async_get(device_of(hass, dct1_entry))
    assert new is not None
    assert new.serial_number == "BY0000000000X"
    assert new.name == "DCT1 BY0000000000X"
    assert (new.area_id, new.labels, new.name_by_user) == (area.id, {"billed"}, "Left")


async def replace_meter(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> tuple[str, str]:
    """Replace a meter with a session "old" by one with a session "new"; returns their devices."""
    await setup(entry)
    await session(hass, entry, transaction_id="old")
    old = device_of(hass, entry)
    await hass.config_entries.async_unload(entry.entry_id)
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(entry.entry_id)
    (issue,) = issue_registry.issues.values()
    await fix(hass, issue, "confirm")
    new = device_of(hass, entry)
    await session(hass, entry, transaction_id="new")
    return old, new


async def test_a_replaced_meter_has_its_receipts_and_nothing_else(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    """By its device they are found and exported; no transaction is begun, ended or looked at."""
    devices = await replace_meter(hass, dct1_entry, setup, dct1, issue_registry)
    for device, transaction_id in zip(devices, ("old", "new"), strict=True):
        (receipt,) = await receipts(hass, device_id=device)
        assert receipt["transaction_id"] == transaction_id
        exported = await hass.services.async_call(
            DOMAIN,
            "export_receipts",
            {"device_id": device, "format": "csv"},
            blocking=True,
            return_response=True,
        )
        assert exported is not None
        assert exported["receipts"] == 1
    for action in ("start", "stop", "get"):
        with pytest.raises(ServiceValidationError) as refused:
            await call(hass, dct1_entry, action, device_id=devices[0])
        assert refused.value.translation_key == "meter_replaced"
        assert refused.value.translation_placeholders == {
            "replaced": DCT1_SERIAL,
            "present": "BY0000000000X",
        }
    assert not (await call(hass, dct1_entry, "get"))["running"]


async def test_the_device_of_a_replaced_meter_can_be_deleted(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
    hass_ws_client: WebSocketGenerator,
    socket_enabled: None,
) -> None:
    """With its entities, and not with its receipts; that of the present meter stays."""
    old, new = await replace_meter(hass, dct1_entry, setup, dct1, issue_registry)
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    for device, deleted in ((old, True), (new, False)):
        await client.send_json_auto_id(
            {"type": "config/device_registry/remove", "device_id": device}
        )
        assert (await client.receive_json())["success"] is deleted
    await hass.async_block_till_done()
    assert device_of(hass, dct1_entry) == new
    assert {
        entity.device_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), dct1_entry.entry_id
        )
    } == {new}
    assert len(await receipts(hass)) == 2


async def test_nothing_is_asked_of_a_meter_that_is_disabled(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Not even of one that could not be set up; enabled, it is asked again."""
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert len(issue_registry.issues) == 1
    for disabled_by, shown in ((ConfigEntryDisabler.USER, 0), (None, 1)):
        await hass.config_entries.async_set_disabled_by(
            dct1_entry.entry_id, disabled_by
        )
        assert len(issue_registry.issues) == shown


async def test_a_meter_with_an_entry_takes_over_no_other(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    line: SerialLine,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Two meters that changed places were not replaced; it is said in Home Assistant's language."""
    await setup(dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    MockConfigEntry(
        domain=DOMAIN, unique_id="BY0000000000X", data=dct1_data(line, address=2)
    ).add_to_hass(hass)
    (issue,) = issue_registry.issues.values()
    hass.config.language = "de"
    result = await fix(hass, issue, "confirm")
    assert result["reason"] == "failed"
    said = result["description_placeholders"]["error"]
    assert said.startswith(f"Zähler BY0000000000X antwortet, wo Zähler {DCT1_SERIAL}")
    assert dct1_entry.unique_id == DCT1_SERIAL


@pytest.mark.parametrize("choice", ["adopt", "end"])
async def test_the_owner_decides_on_a_transaction_nobody_here_started(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
    choice: str,
) -> None:
    """Taken over it goes on; ended its receipt is kept."""
    await setup(iem_dcr_entry)
    await iem_dcr_entry.runtime_data.meter.begin(TransactionRequest(transaction_id="X"))
    await poll(hass, iem_dcr_entry)
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "foreign_transaction"
    events = async_capture_events(hass, EVENT_DC_METER)
    await fix(hass, issue, choice)
    await poll(hass, iem_dcr_entry)
    assert not issue_registry.issues
    kinds = {"adopt": "transaction_started", "end": "transaction_stopped"}
    assert [event.data["type"] for event in events] == [kinds[choice]]
    await call(hass, iem_dcr_entry, "stop")
    (receipt,) = await receipts(hass)
    assert receipt["verdict"]["verdict"] == "valid"


async def test_a_transaction_of_somebody_else_that_cannot_be_ended_is_still_theirs(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    car: Car,
    issue_registry: ir.IssueRegistry,
) -> None:
    """While current flows the meter refuses; the owner is asked on, also after a restart."""
    await setup(iem_dcr_entry)
    await iem_dcr_entry.runtime_data.meter.begin(TransactionRequest(transaction_id="X"))
    await poll(hass, iem_dcr_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    car.set_power(11_000)
    for _ in range(2):
        (issue,) = issue_registry.issues.values()
        assert (await fix(hass, issue, "end"))["reason"] == "failed"
        await poll(hass, iem_dcr_entry)
        assert state_of(hass, iem_dcr_entry, "transaction_id") == STATE_UNKNOWN
        await hass.config_entries.async_reload(iem_dcr_entry.entry_id)
        await poll(hass, iem_dcr_entry)
    assert not events
    car.stop()
    (issue,) = issue_registry.issues.values()
    result = await fix(hass, issue, "end")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert [event.data["type"] for event in events] == ["transaction_stopped"]


@pytest.mark.parametrize("choice", ["adopt", "end"])
async def test_a_decision_on_somebody_elses_transaction_is_not_one_on_ours(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
    choice: str,
) -> None:
    """It was ended and ours begun since the repair was shown."""
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    await meter.begin(TransactionRequest(transaction_id="X"))
    await poll(hass, iem_dcr_entry)
    (issue,) = issue_registry.issues.values()
    await call(hass, iem_dcr_entry, "start", transaction_id="ours")
    result = await fix(hass, issue, choice)
    assert result["reason"] == "failed"
    assert "no longer so" in result["description_placeholders"]["error"]
    running = await call(hass, iem_dcr_entry, "get")
    assert running["transaction_id"] == "ours"


async def test_a_session_tells_when_its_meter_was_not_seen(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """A cut line and a restart are gaps, and stay with the receipt."""
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start", transaction_id="T")
    await line.cut()
    await poll(hass, dct1_entry)
    await line.mend()
    await poll(hass, dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    await setup(dct1_entry)
    await poll(hass, dct1_entry)
    stopped = await call(hass, dct1_entry, "stop")
    gaps = stopped["session"]["gaps"]
    assert [gap["kind"] for gap in gaps] == ["meter_unreachable", "not_watched"]
    for gap in gaps:
        begins, ends = (
            dt_util.parse_datetime(gap[at], raise_on_error=True)
            for at in ("begins_at", "ends_at")
        )
        assert timedelta(0) < ends - begins < timedelta(seconds=30)
    assert stopped["verdict"]["verdict"] == "valid"


def cost(energy_wh: float, price_per_kwh: float) -> float:
    """Return what energy costs, exactly, to the hundredth."""
    exact = Decimal(str(energy_wh)) * Decimal(str(price_per_kwh)) / 1000
    return float(exact.quantize(Decimal("0.01"), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("options", "price", "currency"),
    [
        ({"price": 0.395}, 0.395, "CHF"),
        ({"price": 0.395, "price_entity": "sensor.price"}, 0.2817, "EUR"),
        ({"price_entity": "sensor.unknown"}, None, None),
        ({"price_entity": "sensor.missing"}, None, None),
        ({"price_entity": "sensor.absurd"}, None, None),
        ({"price_entity": "sensor.wholesale"}, 0.0852, "EUR"),
        ({"price_entity": "sensor.petrol"}, None, None),
        ({}, None, None),
    ],
)
async def test_a_session_costs_its_signed_energy(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    car: Car,
    options: dict[str, Any],
    price: float | None,
    currency: str | None,
) -> None:
    """By the price in force when it began, fixed or of an entity; without a price by none."""
    hass.config.currency = "CHF"
    hass.states.async_set("sensor.price", "0.2817", {"unit_of_measurement": "EUR/kWh"})
    hass.states.async_set("sensor.unknown", "unknown")
    hass.states.async_set("sensor.absurd", "1E+27")
    hass.states.async_set(
        "sensor.wholesale", "85.2", {"unit_of_measurement": "EUR/MWh"}
    )
    hass.states.async_set("sensor.petrol", "1.7", {"unit_of_measurement": "EUR/L"})
    hass.config_entries.async_update_entry(
        meter_entry, options={**meter_entry.options, **options}
    )
    await setup(meter_entry)
    started = (await call(hass, meter_entry, "start"))["session"]
    assert ("price_unknown" in started["warnings"]) is (bool(options) and price is None)
    hass.states.async_set("sensor.price", "9", {"unit_of_measurement": "EUR/kWh"})
    car.steer(power_w=100_000, time_scale=200)
    await asyncio.sleep(0.3)
    car.stop()
    stopped = (await call(hass, meter_entry, "stop"))["session"]
    assert stopped["energy_import_wh"] > 500
    assert stopped["price_per_kwh"] == price
    assert stopped["currency"] == currency
    assert stopped["cost"] == (
        None if price is None else cost(stopped["energy_import_wh"], price)
    )


@pytest.mark.parametrize("loaded", [True, False])
async def test_a_price_entity_can_be_renamed(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    entity_registry: er.EntityRegistry,
    loaded: bool,
) -> None:
    """Later sessions have its price as before, and for that no meter is loaded anew."""
    entity_registry.async_get_or_create(
        "sensor", "tariffs", "1", suggested_object_id="price"
    )
    hass.config_entries.async_update_entry(
        dct1_entry, options={**dct1_entry.options, "price_entity": "sensor.price"}
    )
    await setup(dct1_entry)
    before = dct1_entry.runtime_data
    if not loaded:
        await hass.config_entries.async_unload(dct1_entry.entry_id)
    for new in ("sensor.tariff", "sensor.electricity"):
        entity_registry.async_update_entity(
            dct1_entry.options["price_entity"], new_entity_id=new
        )
        await hass.async_block_till_done()
        assert dct1_entry.options["price_entity"] == new
    if loaded:
        assert dct1_entry.runtime_data is before
    else:
        await setup(dct1_entry)
    hass.states.async_set("sensor.electricity", "0.3")
    started = (await call(hass, dct1_entry, "start"))["session"]
    assert started["price_per_kwh"] == 0.3
    assert started["warnings"] == []


@pytest.mark.parametrize("choice", ["adopt", "end", None])
@pytest.mark.parametrize(
    ("options", "price"),
    [({"price": 0.5}, 0.5), ({"price": 0.5, "price_entity": "sensor.price"}, None)],
    ids=["fixed", "of an entity"],
)
async def test_a_session_that_nobody_saw_begin_costs_what_it_does_at_any_time(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    car: Car,
    issue_registry: ir.IssueRegistry,
    options: dict[str, Any],
    price: float | None,
    choice: str | None,
) -> None:
    """What an entity's price was by then is not known: taken over, ended, or found afterwards."""
    hass.states.async_set("sensor.price", "0.3", {"unit_of_measurement": "EUR/kWh"})
    hass.config_entries.async_update_entry(
        iem_dcr_entry, options={**iem_dcr_entry.options, **options}
    )
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    await meter.begin(TransactionRequest(transaction_id="X"))
    await poll(hass, iem_dcr_entry)
    (issue,) = issue_registry.issues.values()
    car.steer(power_w=100_000, time_scale=200)
    await asyncio.sleep(0.3)
    car.stop()
    if choice is None:
        await meter.end()
        await poll(hass, iem_dcr_entry)
    else:
        await fix(hass, issue, choice)
    found = (await call(hass, iem_dcr_entry, "stop"))["session"]
    assert found["energy_import_wh"] > 500
    assert found["price_per_kwh"] == price
    assert found["cost"] == (
        None if price is None else cost(found["energy_import_wh"], price)
    )


async def test_however_many_receipts_are_asked_for_nothing_waits_for_the_answer(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is made where the archive is read, and not in Home Assistant's event loop."""
    await setup(dct1_entry)
    await session(hass, dct1_entry)
    made_by = []

    def made(account: Account) -> dict[str, Any]:
        made_by.append(threading.current_thread())
        return account_data(account)

    monkeypatch.setattr(actions, "account_data", made)
    await receipts(hass)
    assert made_by
    assert threading.main_thread() not in made_by


async def test_receipts_are_found_by_meter_time_verdict_and_user(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    iem_dcr_entry: MockConfigEntry,
) -> None:
    """Every filter leaves out what it should."""
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    first = await session(hass, dct1_entry, client_id="anna")
    second = await session(hass, iem_dcr_entry, identification_data="04A2")
    noon = dt_util.now() + timedelta(hours=1)

    async def found(**query: Any) -> list[str]:
        return [receipt["transaction_id"] for receipt in await receipts(hass, **query)]

    one, two = first["transaction_id"], second["transaction_id"]
    assert await found() == [one, two]
    assert await found(limit=1) == [two]
    assert await found(device_id=device_of(hass, dct1_entry)) == [one]
    assert await found(user="anna") == [one]
    assert await found(user="04A2") == [two]
    assert await found(user="nobody") == []
    assert await found(transaction_id=two) == [two]
    assert await found(verdict="valid") == [one, two]
    assert await found(verdict="invalid") == []
    assert await found(**{"from": noon.isoformat()}) == []
    assert await found(to=noon.isoformat()) == [one, two]
    assert await found(to=first["session"]["started_at"]) == []
    for receipt in await receipts(hass):
        assert receipt["signed_meter_value"]


async def test_the_receipts_of_a_meter_that_is_away_are_found(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """The archive has them, whether the entry is loaded or not; a device that is no meter has none."""
    await setup(meter_entry)
    await session(hass, meter_entry, transaction_id="T")
    stranger = MockConfigEntry(domain="other")
    stranger.add_to_hass(hass)
    other = dr.async_get(hass).async_get_or_create(
        config_entry_id=stranger.entry_id, identifiers={("other", "1")}
    )
    await hass.config_entries.async_unload(meter_entry.entry_id)

    async def export(device_id: str) -> Any:
        answer = await hass.services.async_call(
            DOMAIN,
            "export_receipts",
            {"device_id": device_id, "format": "csv"},
            blocking=True,
            return_response=True,
        )
        return None if answer is None else answer["receipts"]

    device_id = device_of(hass, meter_entry)
    (receipt,) = await receipts(hass, device_id=device_id)
    assert receipt["transaction_id"] == "T"
    assert await export(device_id) == 1
    for wrong, why in (
        ("nothing", "service_device_not_found"),
        (other.id, "service_device_wrong_domain"),
    ):
        for find in (export(wrong), receipts(hass, device_id=wrong)):
            with pytest.raises(ServiceValidationError) as refused:
                await find
            assert refused.value.translation_key == why


async def test_an_answer_names_the_record_that_proves_it(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Stop, event, event entity and later questions name the same, and the archive has it."""
    await setup(meter_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    started = await call(hass, meter_entry, "start")
    stopped = await call(hass, meter_entry, "stop")
    again = await call(hass, meter_entry, "stop")
    (receipt,) = await receipts(hass)
    state = hass.states.get(entity_of(hass, meter_entry, "transaction_event"))
    assert state is not None
    for told in (again, receipt, events[-1].data, state.attributes):
        assert told["record"] == stopped["record"]
    for told in (started, stopped):
        assert hass.data[ARCHIVE].has(Link(**told["record"]))
    number = stopped["record"]["number"]
    assert not hass.data[ARCHIVE].has(Link(number=number, hash=""))


@pytest.mark.parametrize("cut", [False, True])
async def test_an_archive_without_its_end_is_reported(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
    cut: bool,
) -> None:
    """The chain holds without it, but what was told of last is not there any more."""
    await setup(dct1_entry)
    await session(hass, dct1_entry, transaction_id="kept")
    await session(hass, dct1_entry, transaction_id="cut")
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    if cut:
        file = sqlite3.connect(hass.config.path(DOMAIN, "receipts.db"))
        file.execute("DROP TRIGGER record_is_never_removed")
        file.execute("DELETE FROM record WHERE transaction_id = 'cut'")
        file.commit()
        file.close()
    await setup(dct1_entry)
    assert hass.data[ARCHIVE].check_chain() is None
    shown = {
        issue.translation_key: issue.translation_placeholders
        for issue in issue_registry.issues.values()
    }
    assert shown.keys() == ({"receipts_lost"} if cut else set())
    if cut:
        lost = {"meter": "DCT1", "transaction_id": "cut", "number": "9"}
        assert lost.items() <= shown["receipts_lost"].items()


async def test_what_an_archive_lacks_is_not_forgotten_over_what_comes_after(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
) -> None:
    """It is shown, over restarts, until the archive has it."""
    await setup(dct1_entry)
    await session(hass, dct1_entry, transaction_id="kept")
    older = await restart(hass, dct1_entry)
    await setup(dct1_entry)
    await session(hass, dct1_entry, transaction_id="lost")
    newer = await restart(hass, dct1_entry, older)
    for restored, is_lost in ((newer, True), (older, False), (None, True)):
        await setup(dct1_entry)
        shown = {
            issue.translation_key: (issue.translation_placeholders or {})[
                "transaction_id"
            ]
            for issue in issue_registry.issues.values()
        }
        assert shown == ({"receipts_lost": "lost"} if is_lost else {})
        assert all(issue.is_persistent for issue in issue_registry.issues.values())
        if restored is None:
            await session(hass, dct1_entry, transaction_id="after")
        await restart(hass, dct1_entry, restored)
    await setup(dct1_entry)
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "receipts_lost"


async def restart(
    hass: HomeAssistant, entry: MockConfigEntry, restored: bytes | None = None
) -> bytes:
    """Unload a meter and open the archive anew, another one if given; return what it was."""
    await hass.config_entries.async_unload(entry.entry_id)
    hass.data[ARCHIVE].close()
    content = file_of(hass).read_bytes()
    if restored is not None:
        file_of(hass).write_bytes(restored)
    hass.data[ARCHIVE] = Archive.open(file_of(hass))
    return content


def file_of(hass: HomeAssistant) -> Path:
    """Return the file of the receipts."""
    return Path(hass.config.path(DOMAIN, "receipts.db"))


@pytest.mark.parametrize(
    "record",
    [
        "#9",
        {"number": 9},
        {"number": 9, "hash": "", "by": 1},
        {"number": 2**70, "hash": ""},
    ],
)
async def test_what_was_told_last_may_be_damaged(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
    caplog: pytest.LogCaptureFixture,
    record: Any,
) -> None:
    """Nothing is said of the archive then, and the next outcome is told."""
    mock_restore_cache_with_extra_data(
        hass,
        [
            (
                State("event.dct1_transaction_event", dt_util.utcnow().isoformat()),
                {
                    "last_event_type": "transaction_stopped",
                    "last_event_attributes": {
                        "transaction_id": "T",
                        "record": record,
                    },
                },
            )
        ],
    )
    await setup(dct1_entry)
    assert "cannot tell whether the archive has" in caplog.text
    assert not issue_registry.issues
    await call(hass, dct1_entry, "start", transaction_id="next")
    told = hass.states.get(entity_of(hass, dct1_entry, "transaction_event"))
    assert told is not None
    assert told.attributes["transaction_id"] == "next"


def damage(hass: HomeAssistant, kind: str, body: str) -> None:
    """Alter records that are never changed."""
    file = sqlite3.connect(hass.config.path(DOMAIN, "receipts.db"))
    file.execute("DROP TRIGGER record_is_never_changed")
    file.execute("UPDATE record SET body = ? WHERE kind = ?", (body, kind))
    file.commit()
    file.close()


@pytest.mark.parametrize("body", ["{}", "[]", '{"session": 1}'])
async def test_a_damaged_record_is_said_so_and_charging_goes_on(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, body: str
) -> None:
    """A receipt that cannot be read any more hinders no session."""
    await setup(meter_entry)
    await session(hass, meter_entry)
    await hass.config_entries.async_unload(meter_entry.entry_id)
    damage(hass, "stopped", body)
    await setup(meter_entry)
    assert (await call(hass, meter_entry, "start"))["status"] == "OK"
    with pytest.raises(HomeAssistantError) as failure:
        await receipts(hass)
    assert failure.value.translation_key == "archive_unusable"


@pytest.mark.parametrize(
    ("kind", "body"),
    [("key", "{}"), ("key", "[]"), ("paused", "{}"), ("paused", "no JSON")],
)
async def test_a_damaged_record_that_is_needed_is_named(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, kind: str, body: str
) -> None:
    """Without the trusted key or the session that runs nothing can be judged."""
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    damage(hass, kind, body)
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    number = 1 if kind == "key" else 4
    assert dct1_entry.error_reason_translation_placeholders == {
        "error": f"record {number} is damaged"
    }


async def test_receipts_tell_nobody_else_who_charged(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """Whoever may charge may stop somebody's session, and sees ids; neither tells a user."""
    await setup(dct1_entry)
    who = {"identification_data": "WHO", "client_id": "WHO", "user_data": "WHO"}
    await call(hass, dct1_entry, "start", transaction_id="T", **who)

    async def stop(user: MockUser) -> dict[str, Any]:
        answer = await hass.services.async_call(
            DOMAIN,
            "stop_transaction",
            {"device_id": device_of(hass, dct1_entry), "transaction_id": "T"},
            blocking=True,
            return_response=True,
            context=Context(user_id=user.id),
        )
        assert answer is not None
        return dict(answer)

    neighbour = MockUser(is_owner=False).add_to_hass(hass)
    neighbour.mock_policy({"entities": True})
    for again in (False, True):
        told = await stop(neighbour)
        assert told.get("already_stopped", False) is again
        assert "WHO" not in str(told)
        assert not [key for key in told if "signed" in key]
        assert told["session"]["energy_import_wh"] == 0
    assert "WHO" in str(await stop(MockUser(is_owner=True).add_to_hass(hass)))


@pytest.mark.parametrize("moment", ["yesterday", "2026-07-01\n", "\ud800", 7])
async def test_a_time_that_is_none_is_refused(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, moment: object
) -> None:
    """Half a character as well, on which the parser of times would take Home Assistant down."""
    await setup(dct1_entry)
    with pytest.raises(vol.Invalid):
        await receipts(hass, **{"from": moment})


async def test_receipts_are_for_administrators(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """Who charged when is not for everyone with a login."""
    await setup(dct1_entry)
    user = MockUser(is_owner=False, groups=[]).add_to_hass(hass)
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            "get_receipts",
            {},
            blocking=True,
            return_response=True,
            context=Context(user_id=user.id),
        )


async def test_a_backup_copies_a_sound_archive_while_a_session_goes_on(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, tmp_path: Path
) -> None:
    """What is copied in the middle opens, and what is written meanwhile is not lost."""
    await setup(dct1_entry)
    await session(hass, dct1_entry, transaction_id="before")
    await async_pre_backup(hass)
    folder = Path(hass.config.path(DOMAIN))
    await call(hass, dct1_entry, "start", transaction_id="during")
    copy = tmp_path / "copy"
    await hass.async_add_executor_job(shutil.copytree, folder, copy)
    await call(hass, dct1_entry, "stop")
    archive = folder / "receipts.db"
    assert not locks_on(archive)
    await async_post_backup(hass)
    assert locks_on(archive)
    assert [receipt["transaction_id"] for receipt in await receipts(hass)] == [
        "before",
        "during",
    ]
    restored = await hass.async_add_executor_job(Archive.open, copy / "receipts.db")
    assert await hass.async_add_executor_job(restored.check_chain) is None
    assert restored.of_transaction(dct1_entry.unique_id, "before")
    restored.close()


def locks_on(path: Path) -> list[str]:
    """Return the POSIX locks on a file: without one, others take it for one nobody has open."""
    inode = path.stat().st_ino
    locks = Path("/proc/locks").read_text().splitlines()
    return [lock for lock in locks if lock.split()[5].endswith(f":{inode}")]


def replace_by_folder(path: Path) -> None:
    """Let nothing be opened there."""
    path.rename(path.with_name("away"))
    path.mkdir()


async def test_an_archive_that_cannot_be_opened_again_after_a_backup_is_told(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    await setup(dct1_entry)
    await async_pre_backup(hass)
    replace_by_folder(file_of(hass))
    with pytest.raises(HomeAssistantError) as failure:
        await async_post_backup(hass)
    assert failure.value.translation_key == "archive_unusable"


async def test_a_backup_of_an_archive_that_fails_says_so(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """Home Assistant is told rather than handed half an archive; without one all is well."""
    await async_pre_backup(hass)
    await setup(dct1_entry)
    hass.data[ARCHIVE].close()
    with pytest.raises(HomeAssistantError) as failure:
        await async_pre_backup(hass)
    assert failure.value.translation_key == "archive_unusable"


async def test_the_state_of_the_public_key_is_what_the_meter_shows(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, dct1: SimulatedDct1
) -> None:
    """Also after an exchange, with the trust it has."""
    await setup(dct1_entry)
    first = state_of(hass, dct1_entry, "public_key")
    await exchange_key(hass, dct1_entry, dct1)
    await setup(dct1_entry)
    state = hass.states.get(entity_of(hass, dct1_entry, "public_key"))
    assert state is not None
    assert state.state != first
    assert state.attributes["trust"] == "changed"


async def test_a_receipt_that_is_not_what_the_meter_showed_is_not_billable(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """A difference that nothing explains is shown, now and later."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    truth = server.meter.get_metervalue

    def fifty_kwh_more() -> dict[str, Any]:
        value = truth()
        for register in value["RD"]:
            if register.get("RI") == "1-b:1.8.e":
                register["RV"] = f"{float(register['RV']) + 50:012.3f}"
        return value

    server.meter.get_metervalue = fifty_kwh_more
    await server.refuse()
    await server.accept()
    # The polls before and during the stop refuse the register; it differs all the same.
    server.meter.signature_delay(seconds=1.5)
    await poll(hass, iem_dcr_entry)
    assert state_of(hass, iem_dcr_entry, "energy_import") == STATE_UNKNOWN
    for _ in range(2):
        stopped = await call(hass, iem_dcr_entry, "stop")
        assert stopped["verdict"]["verdict"] == "valid"
        assert not stopped["verdict"]["billable"]
        assert "live_register_differs" in stopped["verdict"]["objections"]
    (receipt,) = await receipts(hass)
    assert receipt["verdict"] == stopped["verdict"]


async def test_a_reversed_meter_bills_what_went_into_the_car(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """In the positive conductor that is what the meter signs as export."""
    hass.config_entries.async_update_entry(
        dct1_entry, options={"low_side_sensing": False, "price": 0.5}
    )
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    car.steer(power_w=-100_000, time_scale=200)
    await asyncio.sleep(0.3)
    car.stop()
    stopped = await call(hass, dct1_entry, "stop")
    energy = stopped["session"]["energy_import_wh"]
    assert energy > 500
    assert stopped["verdict"]["energy_export_wh"] == energy
    assert stopped["session"]["cost"] == cost(energy, 0.5)
