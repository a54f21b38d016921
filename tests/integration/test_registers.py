"""A register that shows what cannot be: not published, said, healed, or taken by its owner."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
import time as time_module
from time import time
from typing import Any

from freezegun import freeze_time
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
    statistics_during_period,
)
from pytest_homeassistant_custom_component.typing import RecorderInstanceContextManager

from custom_components.dc_meter.const import EVENT_DC_METER
from custom_components.dc_meter.plausible import LIFETIME, TRANSACTION
from homeassistant.components.recorder import Recorder
from homeassistant.const import (
    EVENT_RECORDER_5MIN_STATISTICS_GENERATED,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import SimulatedIemDcr
from simulators.line import SerialLine

from .conftest import DCT1_SERIAL, entity_of, state_of
from .test_actions import call
from .test_receipts import fix
from .test_sessions import poll

type Setup = Callable[[MockConfigEntry], Awaitable[None]]
type CountFrom = Callable[..., None]


@pytest.fixture
def mock_recorder_before_hass(
    async_test_recorder: RecorderInstanceContextManager,
) -> None:
    """Prepare the recorder's database before Home Assistant asks for it."""


@pytest.fixture
def count_from(
    meter_entry: MockConfigEntry, dct1: SimulatedDct1, iem_dcr: SimulatedIemDcr
) -> CountFrom:
    """Provide what sets the registers of the meter under test."""
    return (dct1 if meter_entry.unique_id == DCT1_SERIAL else iem_dcr).count_from


def shown(hass: HomeAssistant, entry: MockConfigEntry) -> tuple[str, str]:
    """Return import and export as shown."""
    return (
        state_of(hass, entry, "energy_import"),
        state_of(hass, entry, "energy_export"),
    )


@pytest.mark.parametrize("wh", [3, 9_446_540])
async def test_a_disturbed_reading_is_not_published_and_heals_by_itself(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    count_from: CountFrom,
    issue_registry: ir.IssueRegistry,
    caplog: pytest.LogCaptureFixture,
    wh: int,
) -> None:
    """Unknown meanwhile, a repair that says why, and one line in the log each way."""
    await setup(meter_entry)
    count_from(import_wh=wh, export_wh=4_881)
    for _ in range(2):
        await poll(hass, meter_entry)
        assert shown(hass, meter_entry) == (STATE_UNKNOWN, "4.881")
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "register_refused"
    assert issue.translation_placeholders == {
        "meter": meter_entry.title,
        "register": f"{meter_entry.title} Energy import",
        "good": "446.540",
        "refused": f"{wh / 1000:.3f}",
    }
    count_from(import_wh=446_541, export_wh=4_881)
    await poll(hass, meter_entry)
    assert shown(hass, meter_entry) == ("446.541", "4.881")
    assert not issue_registry.issues
    ours = [record.message for record in caplog.records if "energy_" in record.message]
    name = f"{meter_entry.title}: energy_import"
    assert [message for message in ours if "shown" in message] == [
        f"{name} is not shown: {wh} Wh cannot follow 446540 Wh",
        f"{name} is shown again",
    ]


async def test_a_step_outlasts_a_restart(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    count_from: CountFrom,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Also one that came while nobody looked, by the register and not by the entry."""
    await setup(meter_entry)
    await hass.config_entries.async_unload(meter_entry.entry_id)
    assert not issue_registry.issues
    count_from(import_wh=2, export_wh=1)
    for _ in range(2):
        await setup(meter_entry)
        assert shown(hass, meter_entry) == (STATE_UNKNOWN, STATE_UNKNOWN)
        assert len(issue_registry.issues) == 2
        await hass.config_entries.async_unload(meter_entry.entry_id)


async def test_registers_of_a_removed_entry_are_forgotten(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    hass_storage: dict[str, Any],
) -> None:
    """Set up anew, a meter begins anew."""
    await setup(meter_entry)
    await hass.config_entries.async_unload(meter_entry.entry_id)
    assert f"dc_meter.{meter_entry.entry_id}" in hass_storage
    await hass.config_entries.async_remove(meter_entry.entry_id)
    assert f"dc_meter.{meter_entry.entry_id}" not in hass_storage


def kept(**damage: Any) -> dict[str, Any]:
    """Return what is kept of the DCT1, with its import register damaged."""
    register = {
        "good": {"wh": "446539", "age_s": 0},
        "refused": None,
        "step": None,
        "first_refused": None,
        "stepped_wh": "0",
    }
    return {
        "meter": DCT1_SERIAL,
        "kept_at": 0,
        "heard_at": None,
        "steps": [],
        "registers": {
            "reversed": False,
            "transaction": None,
            "registers": {"energy_import": register | damage},
        },
    }


@pytest.mark.parametrize(
    "damage",
    [
        kept(),
        [],
        {"meter": DCT1_SERIAL},
        kept() | {"kept_at": ""},
        kept() | {"heard_at": "yesterday"},
        kept() | {"registers": None},
        kept() | {"steps": [{"wh": "much"}]},
        kept() | {"steps": [{"unique_id": "x", "wh": "NaN", "at": "2026-01-01"}]},
        *(
            kept(good={"wh": wh, "age_s": 0})
            for wh in ("", "NaN", "sNaN", "Infinity", "-Infinity", "1e9999999", None)
        ),
        kept(good={"wh": "1", "age_s": None}),
        kept(first_refused=""),
        kept(first_refused="NaN"),
        kept(stepped_wh="Infinity"),
    ],
)
async def test_a_meter_whose_kept_registers_are_damaged_begins_anew(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    damage: Any,
) -> None:
    """They are less than the meter itself; one line in the log says so."""
    key = f"dc_meter.{dct1_entry.entry_id}"
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": damage}
    await setup(dct1_entry)
    assert shown(hass, dct1_entry) == ("446.540", "4.881")
    lines = caplog.text.count("is damaged and left aside")
    assert lines == (0 if damage == kept() else 1)
    assert "ERROR" not in caplog.text


@pytest.mark.parametrize(
    "ago_s", [-1800, 20], ids=["was set back", "stood still while it was off"]
)
async def test_energy_is_believed_though_the_clock(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    hass_storage: dict[str, Any],
    issue_registry: ir.IssueRegistry,
    monkeypatch: pytest.MonkeyPatch,
    ago_s: float,
) -> None:
    """A computer without a clock of its own goes on hours later with the time it stopped at."""
    for user in ("registers", "coordinator"):
        monkeypatch.setattr(f"custom_components.dc_meter.{user}.uptime_s", lambda: 10.0)
    key = f"dc_meter.{dct1_entry.entry_id}"
    before = kept(good={"wh": "346540", "age_s": 0}) | {"kept_at": time() - ago_s}
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": before}
    await setup(dct1_entry)
    assert shown(hass, dct1_entry) == ("446.540", "4.881")
    assert not issue_registry.issues


async def test_energy_that_flowed_while_the_machine_slept_is_believed(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    count_from: CountFrom,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three minutes of 60 kW: the monotonic clock stood still meanwhile."""
    await setup(meter_entry)
    clock_gettime = time_module.clock_gettime
    monkeypatch.setattr(
        time_module,
        "clock_gettime",
        lambda which: (
            clock_gettime(which) + 180 * (which == time_module.CLOCK_BOOTTIME)
        ),
    )
    count_from(import_wh=449_540, export_wh=4_881)
    await poll(hass, meter_entry)
    assert shown(hass, meter_entry)[0] == "449.540"


async def test_registers_of_an_exchanged_meter_are_not_compared_with_the_old_ones(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
) -> None:
    """Another meter counts from elsewhere."""
    await setup(dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    dct1.exchange(serial_number="BY0000000000X")
    dct1.count_from(import_wh=7)
    hass.config_entries.async_update_entry(dct1_entry, unique_id="BY0000000000X")
    await setup(dct1_entry)
    assert state_of(hass, dct1_entry, "energy_import") == "0.007"


async def test_a_session_is_not_blamed_for_a_disturbed_live_reading(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, dct1: SimulatedDct1
) -> None:
    """What is signed at its end is compared with nothing that cannot be."""
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    dct1.count_from(import_wh=9_446_540, export_wh=4_881)
    await poll(hass, dct1_entry)
    assert state_of(hass, dct1_entry, "transaction_energy_import") == STATE_UNKNOWN
    dct1.count_from(import_wh=446_541, export_wh=4_881)
    stopped = await call(hass, dct1_entry, "stop")
    assert stopped["verdict"]["objections"] == []
    assert stopped["session"]["energy_import_wh"] == 1


async def test_energy_of_a_transaction_does_not_run_backwards(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """The meter's own count is judged like its registers; the next transaction is free of it."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    for import_wh, energy in ((446_640, "0.100"), (446_550, STATE_UNKNOWN)):
        iem_dcr.count_from(import_wh=import_wh, export_wh=4_881)
        await poll(hass, iem_dcr_entry)
        assert state_of(hass, iem_dcr_entry, "transaction_energy_import") == energy
    iem_dcr.count_from(import_wh=446_650, export_wh=4_881)
    await call(hass, iem_dcr_entry, "stop")
    await call(hass, iem_dcr_entry, "start")
    assert state_of(hass, iem_dcr_entry, "transaction_energy_import") == "0.000"


async def test_one_transaction_of_others_right_after_another_is_no_fall(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The meter counts from 0 again, and nobody saw it at rest: nothing is wrong with it."""
    iem_dcr.signature_delay(seconds=0)
    await setup(iem_dcr_entry)
    iem_dcr.post_receipt({"TX": "B"})
    iem_dcr.count_from(import_wh=446_640, export_wh=4_881)
    await poll(hass, iem_dcr_entry)
    for mark in "EB":
        iem_dcr.post_receipt({"TX": mark})
    await poll(hass, iem_dcr_entry)
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "foreign_transaction"


async def test_energy_of_a_transaction_is_never_that_of_the_one_before(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """A meter at rest goes on showing what the last one counted; the next one's start is told."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    iem_dcr.count_from(import_wh=446_640, export_wh=4_881)
    await call(hass, iem_dcr_entry, "stop")
    shown = []

    @callback
    def look(_: Event) -> None:
        shown.append(state_of(hass, iem_dcr_entry, "transaction_energy_import"))

    hass.bus.async_listen(EVENT_DC_METER, look)
    await call(hass, iem_dcr_entry, "start")
    assert shown == ["0.000"]


def five_minutes(moment: datetime) -> datetime:
    """Return the begin of the five minutes that statistics count this moment to."""
    return moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0)


async def sums(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    since: datetime,
    monkeypatch: pytest.MonkeyPatch,
    keys: Iterable[str] = LIFETIME,
) -> dict[str, float]:
    """Return the sums of these energies, five minutes after what is shown now."""
    began, now = five_minutes(since), dt_util.utcnow()
    await async_wait_recording_done(hass)
    while began <= now:
        do_adhoc_statistics(hass, start=began)
        began += timedelta(minutes=5)
    await async_wait_recording_done(hass)
    with monkeypatch.context() as later:
        later.setattr(dt_util, "utcnow", lambda: now + timedelta(minutes=5))
        hass.bus.async_fire(EVENT_RECORDER_5MIN_STATISTICS_GENERATED)
        await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    found: dict[str, float] = {}
    for key in keys:
        entity_id = entity_of(hass, entry, key)
        rows = await hass.async_add_executor_job(
            lambda entity_id=entity_id: statistics_during_period(
                hass, five_minutes(since), period="5minute", statistic_ids={entity_id}
            )
        )
        found[key] = rows[entity_id][-1]["sum"]
    return found


async def test_a_step_that_is_taken_is_no_energy(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    count_from: CountFrom,
    issue_registry: ir.IssueRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reset to nothing and taken so, the meter goes on, and its statistics without a dent."""
    assert await async_setup_component(hass, "sensor", {})
    began = dt_util.utcnow()
    await setup(meter_entry)
    count_from(import_wh=446_640, export_wh=4_881)
    await poll(hass, meter_entry)
    count_from(import_wh=3, export_wh=1)
    await poll(hass, meter_entry)
    for issue in list(issue_registry.issues.values()):
        result = await fix(hass, issue, "confirm")
        assert result["type"] is FlowResultType.CREATE_ENTRY
    assert not issue_registry.issues
    assert shown(hass, meter_entry) == ("0.003", "0.001")
    count_from(import_wh=53, export_wh=1)
    await poll(hass, meter_entry)
    # A reload between the step and the statistics loses nothing.
    await hass.config_entries.async_reload(meter_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await sums(hass, meter_entry, began, monkeypatch) == {
        "energy_import": pytest.approx(0.150),
        "energy_export": pytest.approx(0),
    }


async def test_a_step_that_is_taken_before_the_meter_falls_silent_is_no_energy(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    line: SerialLine,
    issue_registry: ir.IssueRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The statistics of those minutes have nothing to leave it out of; those of its return do."""
    assert await async_setup_component(hass, "sensor", {})
    began = dt_util.utcnow()
    await setup(dct1_entry)
    dct1.count_from(import_wh=3, export_wh=4_881)
    await poll(hass, dct1_entry)
    (issue,) = issue_registry.issues.values()
    await line.cut()
    await fix(hass, issue, "confirm")
    assert state_of(hass, dct1_entry, "energy_import") == STATE_UNAVAILABLE
    silent = await sums(hass, dct1_entry, began, monkeypatch)
    # A restart, while it is silent.
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    await line.mend()
    dct1.count_from(import_wh=53, export_wh=4_881)
    with freeze_time(began + timedelta(minutes=30), tick=True):
        await setup(dct1_entry)
        assert state_of(hass, dct1_entry, "energy_import") == "0.053"
        back = await sums(hass, dct1_entry, dt_util.utcnow(), monkeypatch)
    assert silent == {"energy_import": 0, "energy_export": 0}
    assert back == {"energy_import": pytest.approx(0.050), "energy_export": 0}


async def test_turning_a_meter_round_is_no_energy(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    issue_registry: ir.IssueRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Import and export change places without a repair and without energy."""
    assert await async_setup_component(hass, "sensor", {})
    began = dt_util.utcnow()
    await setup(dct1_entry)
    assert shown(hass, dct1_entry) == ("446.540", "4.881")
    hass.config_entries.async_update_entry(
        dct1_entry, options=dct1_entry.options | {"low_side_sensing": False}
    )
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert shown(hass, dct1_entry) == ("4.881", "446.540")
    assert not issue_registry.issues
    assert await sums(hass, dct1_entry, began, monkeypatch) == {
        "energy_import": pytest.approx(0),
        "energy_export": pytest.approx(0),
    }


async def test_a_turned_meter_in_a_session_is_compared_with_its_begin_the_same_way_round(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """Energy of the transaction is that since the begin, whichever way round it was then."""
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    hass.config_entries.async_update_entry(
        dct1_entry, options=dct1_entry.options | {"low_side_sensing": False}
    )
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    assert Decimal(state_of(hass, dct1_entry, "transaction_energy_import")) == 0
    assert Decimal(state_of(hass, dct1_entry, "transaction_energy_export")) == 0


async def test_transactions_of_others_do_not_count_against_the_energy_of_ours(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Since when theirs count is not known: statistics would take each fall to 0 for energy."""
    assert await async_setup_component(hass, "sensor", {})
    began = dt_util.utcnow()
    iem_dcr.signature_delay(seconds=0)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    iem_dcr.count_from(import_wh=446_640, export_wh=4_881)
    await poll(hass, iem_dcr_entry)
    await call(hass, iem_dcr_entry, "stop")
    for import_wh in (446_690, 446_740):
        iem_dcr.post_receipt({"TX": "B"})
        await poll(hass, iem_dcr_entry)
        assert state_of(hass, iem_dcr_entry, "transaction_active") == STATE_ON
        iem_dcr.count_from(import_wh=import_wh, export_wh=4_881)
        await poll(hass, iem_dcr_entry)
        iem_dcr.post_receipt({"TX": "E"})
        await poll(hass, iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    iem_dcr.count_from(import_wh=446_940, export_wh=4_881)
    await poll(hass, iem_dcr_entry)
    assert await sums(hass, iem_dcr_entry, began, monkeypatch, TRANSACTION) == {
        "transaction_energy_import": pytest.approx(0.300),
        "transaction_energy_export": pytest.approx(0),
    }
