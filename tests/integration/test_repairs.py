"""What is wrong, shown with what to do, and gone when it is mended."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
import sqlite3

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    get_system_health_info,
)

from custom_components.dc_meter.archive import Archive, RecordKind
from custom_components.dc_meter.archive_file import ARCHIVE
from custom_components.dc_meter.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_OFF
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulators.iem_dcr import SimulatedIemDcr

from .conftest import state_of
from .test_actions import call
from .test_sessions import poll

type Setup = Callable[[MockConfigEntry], Awaitable[None]]


def issues(registry: ir.IssueRegistry) -> list[str]:
    """Return what is shown, by its translation key."""
    return [str(issue.translation_key) for issue in registry.issues.values()]


async def a_minute_later(hass: HomeAssistant) -> None:
    """Let what looks each minute look."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_a_clock_that_stays_wrong_is_a_repair_until_it_is_right(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    issue_registry: ir.IssueRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It cannot be set while a transaction runs; ten minutes of that are told."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    iem_dcr.clock_jump(seconds=90)
    await poll(hass, iem_dcr_entry)
    assert issues(issue_registry) == []
    monkeypatch.setattr("custom_components.dc_meter.clock.PATIENCE_S", 0)
    await asyncio.sleep(1)
    await poll(hass, iem_dcr_entry)
    assert issues(issue_registry) == ["clock_off"]
    await call(hass, iem_dcr_entry, "stop")
    await iem_dcr_entry.runtime_data.meter.synchronize_clock()
    await poll(hass, iem_dcr_entry)
    assert issues(issue_registry) == []


async def test_a_clock_that_nobody_set_is_a_repair(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    issue_registry: ir.IssueRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A meter that resumes its transaction after a power cut has no time."""
    monkeypatch.setattr("custom_components.dc_meter.clock.PATIENCE_S", 0)
    iem_dcr.power_loss = "resumes"
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    iem_dcr.power_cycle()
    await poll(hass, iem_dcr_entry)
    assert issues(issue_registry) == ["clock_off"]
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    assert issues(issue_registry) == []


async def test_an_archive_that_cannot_be_written_is_a_repair_until_it_can(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
) -> None:
    """A start is refused; nobody has to try another one to see that it is mended."""
    await setup(dct1_entry)
    connection = hass.data[ARCHIVE]._connection  # noqa: SLF001, the disk refuses
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(HomeAssistantError) as refusal:
        await call(hass, dct1_entry, "start")
    assert refusal.value.translation_key == "archive_unusable"
    await a_minute_later(hass)
    assert issues(issue_registry) == ["archive_unusable"]
    (issue,) = issue_registry.issues.values()
    assert "readonly" in issue.translation_placeholders["error"]
    connection.execute("PRAGMA query_only = OFF")
    await a_minute_later(hass)
    assert issues(issue_registry) == []
    assert state_of(hass, dct1_entry, "transaction_active") == STATE_OFF


async def test_an_archive_that_cannot_be_opened_is_a_repair_until_it_can(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, issue_registry: ir.IssueRegistry
) -> None:
    """Whatever lies in its way can be taken out of it; nobody has to load the entry again."""
    in_the_way = Path(hass.config.path("dc_meter"))
    await hass.async_add_executor_job(in_the_way.write_text, "in the way")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    assert issues(issue_registry) == ["archive_unusable"]
    await hass.async_add_executor_job(in_the_way.unlink)
    await a_minute_later(hass)
    assert dct1_entry.state is ConfigEntryState.LOADED
    assert issues(issue_registry) == []


def make_archive(path: Path, *, damaged: bool) -> None:
    """Make an archive of one record, whole or altered."""
    path.parent.mkdir()
    archive = Archive.open(path)
    archive.append(
        meter="X",
        transaction_id="T",
        kind=RecordKind.FAILED,
        written_at=dt_util.utcnow(),
        body={},
    )
    archive.close()
    if damaged:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TRIGGER record_is_never_changed")
            connection.execute("UPDATE record SET meter = 'Y'")
        connection.close()


@pytest.mark.parametrize("damaged", [True, False])
async def test_a_damaged_archive_is_a_repair(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
    damaged: bool,
) -> None:
    """The first record that does not fit is named at the next start; sessions go on."""
    path = Path(hass.config.path("dc_meter/receipts.db"))
    await hass.async_add_executor_job(lambda: make_archive(path, damaged=damaged))
    await setup(dct1_entry)
    assert issues(issue_registry) == (["archive_damaged"] if damaged else [])
    if damaged:
        (issue,) = issue_registry.issues.values()
        assert issue.translation_placeholders == {"error": "#1"}
    assert (await call(hass, dct1_entry, "start"))["status"] == "OK"


async def test_every_repair_leads_to_where_it_is_explained(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The file that its address names is there, and has the heading."""
    await setup(iem_dcr_entry)
    iem_dcr.count_from(import_wh=0)
    await poll(hass, iem_dcr_entry)
    assert issue_registry.issues
    for issue in issue_registry.issues.values():
        address, _, anchor = str(issue.learn_more_url).partition("#")
        file = Path(__file__).parents[2] / address.partition("/blob/main/")[2]
        text = await hass.async_add_executor_job(file.read_text)
        assert f"## {anchor.replace('-', ' ')}\n" in text.lower()


async def test_system_health_tells_how_meters_and_archive_are(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    iem_dcr_entry: MockConfigEntry,
) -> None:
    """At a glance: how many there are, how many answer, and that receipts are safe."""
    assert await async_setup_component(hass, "system_health", {})
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done(wait_background_tasks=True)
    await call(hass, dct1_entry, "start")
    await call(hass, dct1_entry, "stop")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    info = await get_system_health_info(hass, DOMAIN)
    assert info.pop("last_receipt") <= dt_util.utcnow()
    assert info.pop("archive_size").endswith(" MB")
    assert info == {
        "meters": 2,
        "meters_answering": 1,
        "archive_records": 6,
        "archive_sound": True,
    }


async def test_system_health_without_an_archive_tells_of_the_meters(
    hass: HomeAssistant, dct1_entry: MockConfigEntry
) -> None:
    """It is there before any meter is."""
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_add_executor_job(
        Path(hass.config.path("dc_meter")).write_text, "in the way"
    )
    assert await async_setup_component(hass, DOMAIN, {})
    await hass.async_block_till_done()
    info = await get_system_health_info(hass, DOMAIN)
    assert info == {"meters": 1, "meters_answering": 0}


async def test_system_health_names_what_is_wrong_with_the_archive(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """An archive that cannot even be asked says why."""
    assert await async_setup_component(hass, "system_health", {})
    await setup(dct1_entry)
    hass.data[ARCHIVE].close()
    info = await get_system_health_info(hass, DOMAIN)
    assert "closed" in info["archive_sound"]
