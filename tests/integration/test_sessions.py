"""A session through what can happen to it: lost answers, restarts, a disk that fails."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import datetime
from functools import partial
from http import HTTPStatus
import json
from pathlib import Path
import sqlite3
from time import sleep
from typing import Any
from unittest.mock import patch

from freezegun import freeze_time
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.dc_meter.archive import ArchiveError, Link, RecordKind, Selection
from custom_components.dc_meter.archive_file import ARCHIVE
from custom_components.dc_meter.const import DOMAIN, EVENT_DC_METER
from custom_components.dc_meter.metering.meter import MeterReading, TransactionRequest
from custom_components.dc_meter.metering.uptime import uptime_s
from custom_components.dc_meter.registers import KEEP_INTERVAL_S
from custom_components.dc_meter.session import decode
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, STATE_OFF, STATE_ON
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from simulators.car import Car
from simulators.iem_dcr import IemDcrServer, Refusal, SimulatedIemDcr
from simulators.line import SerialLine

from .conftest import entity_of, state_of
from .test_actions import call

type Setup = Callable[[MockConfigEntry], Awaitable[None]]


async def poll(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Let the coordinator poll once, and settle what it found."""
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)


async def go_quiet_after_next_mark(
    server: IemDcrServer, *, is_heard: bool = True
) -> None:
    """Let the meter begin or end as told, if at all; lose that answer and every one after."""
    mark = server.meter.post_receipt
    answers = iter(["lost"])

    def mark_and_go_quiet(body: dict[str, Any]) -> None:
        if is_heard:
            mark(body)
        if next(answers, None):
            server.disconnect(count=1_000)
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "lost")

    server.meter.post_receipt = mark_and_go_quiet
    # The server takes up its meter's commands when it begins to listen.
    await server.refuse()
    await server.accept()


def show_earlier_until_signed(
    meter: SimulatedIemDcr, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Return what has the meter show the receipt it has now until the next is signed."""
    text = meter._receipt_text  # noqa: SLF001
    earlier: list[str] = []

    def shown(receipt: str) -> str:
        return earlier[-1] if earlier and meter._is_signing() else text(receipt)  # noqa: SLF001

    def note() -> None:
        earlier.append(meter._last_receipt)  # noqa: SLF001

    monkeypatch.setattr(meter, "_receipt_text", shown)
    return note


def signed_anew(meter: SimulatedIemDcr, receipt: str) -> str:
    """Return a receipt with another signature of the same."""
    header, payload, signature = receipt.split("|")
    again = meter.key.sign(payload.encode(), meter.signature_form)
    members = json.loads(signature) | {"SD": again.hex().upper()}
    return "|".join((header, payload, json.dumps(members)))


def name_user(meter: SimulatedIemDcr, identification: str) -> None:
    """Have the next transaction be somebody's, or nobody's."""
    meter.post_user(
        {
            "IS": bool(identification),
            "IL": "NONE",
            "IF": [],
            "IT": "NONE",
            "ID": identification,
            "US": False,
        }
    )


async def test_a_start_cut_short_by_a_restart_has_failed(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """The intention is in the archive, the begin value is not: nothing runs."""
    await setup(dct1_entry)
    await line.cut()
    with pytest.raises(HomeAssistantError):
        await call(hass, dct1_entry, "start", transaction_id="T")
    await poll(hass, dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    await line.mend()
    events = async_capture_events(hass, EVENT_DC_METER)
    await setup(dct1_entry)
    await poll(hass, dct1_entry)
    back, failed = events
    assert back.data["type"] == "meter_back"
    assert failed.data["type"] == "transaction_failed"
    assert failed.data["transaction_id"] == "T"
    assert state_of(hass, dct1_entry, "transaction_active") == STATE_OFF


async def test_after_a_kill_a_session_was_watched_until_its_meter_was_last_known_to_answer(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    hass_storage: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That is kept each quarter of an hour, also while nothing flows; a kill writes nothing."""
    await setup(meter_entry)
    started = await call(hass, meter_entry, "start")
    key = f"dc_meter.{meter_entry.entry_id}"
    kept: list[dict[str, Any]] = []
    for number in (1, 2):
        now_s = uptime_s() + number * KEEP_INTERVAL_S
        with monkeypatch.context() as later:
            later.setattr(
                "custom_components.dc_meter.coordinator.uptime_s", lambda s=now_s: s
            )
            await poll(hass, meter_entry)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        kept.append(deepcopy(hass_storage[key]))
    connection = hass.data[ARCHIVE]._connection  # noqa: SLF001, nothing is noted
    connection.execute("PRAGMA query_only = ON")
    await hass.config_entries.async_unload(meter_entry.entry_id)
    connection.execute("PRAGMA query_only = OFF")
    hass_storage[key] = kept[-1]
    await setup(meter_entry)
    await poll(hass, meter_entry)
    stopped = await call(hass, meter_entry, "stop")
    (gap,) = stopped["session"]["gaps"]
    assert gap["kind"] == "not_watched"
    moments = [
        started["session"]["started_at"],
        kept[0]["data"]["heard_at"],
        kept[1]["data"]["heard_at"],
        gap["ends_at"],
    ]
    assert moments == sorted(set(moments))
    assert gap["begins_at"] == moments[2]


async def test_after_a_kill_in_the_night_summer_time_ends_a_session_was_watched_as_long(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """Ten minutes later it is earlier, by the clock on the wall."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    with freeze_time("2026-10-25T00:30:00Z", tick=True):
        await setup(iem_dcr_entry)
        await call(hass, iem_dcr_entry, "start")
    with freeze_time("2026-10-25T00:55:00Z", tick=True):
        await poll(hass, iem_dcr_entry)
        connection = hass.data[ARCHIVE]._connection  # noqa: SLF001, nothing is noted
        connection.execute("PRAGMA query_only = ON")
        await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
        connection.execute("PRAGMA query_only = OFF")
    with freeze_time("2026-10-25T01:05:00Z", tick=True):
        await setup(iem_dcr_entry)
        await poll(hass, iem_dcr_entry)
        stopped = await call(hass, iem_dcr_entry, "stop")
    (gap,) = stopped["session"]["gaps"]
    assert gap["kind"] == "not_watched"
    assert gap["begins_at"].startswith("2026-10-25T02:55")
    assert gap["begins_at"].endswith("+02:00")


async def test_a_gap_that_lasts_is_not_forgotten_over_a_restart(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """The meter was silent before Home Assistant was, and is back before it."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    server.disconnect(count=1_000)
    await poll(hass, iem_dcr_entry)
    silent_at = dt_util.now()
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    stopped_at = dt_util.now()
    server.disconnect(count=0)
    await setup(iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    stopped = await call(hass, iem_dcr_entry, "stop")
    unreachable, not_watched = stopped["session"]["gaps"]
    assert unreachable["kind"] == "meter_unreachable"
    assert datetime.fromisoformat(unreachable["begins_at"]) < silent_at
    assert not_watched["kind"] == "not_watched"
    assert (
        silent_at
        < datetime.fromisoformat(unreachable["ends_at"])
        <= datetime.fromisoformat(not_watched["begins_at"])
        < stopped_at
    )


async def test_a_begin_whose_answer_was_lost_is_found_at_the_meter(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """The meter goes quiet right after it began; the session is taken up when it is back."""
    await setup(iem_dcr_entry)
    await go_quiet_after_next_mark(server)
    events = async_capture_events(hass, EVENT_DC_METER)
    with pytest.raises(HomeAssistantError) as lost:
        await call(hass, iem_dcr_entry, "start", transaction_id="T")
    assert lost.value.translation_key == "unreachable"
    assert server.describe()["transaction"]
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == ["meter_lost"]
    server.disconnect(count=0)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events[1:]] == [
        "meter_back",
        "transaction_started",
    ]
    assert state_of(hass, iem_dcr_entry, "transaction_id") == "T"
    await poll(hass, iem_dcr_entry)
    stopped = await call(hass, iem_dcr_entry, "stop", transaction_id="T")
    assert stopped["verdict"]["billable"]
    (gap,) = stopped["session"]["gaps"]
    assert gap["kind"] == "meter_unreachable"
    assert stopped["session"]["started_at"] == gap["begins_at"]


async def test_what_somebody_else_began_in_place_of_ours_is_not_billed_to_us(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Our begin never arrived; the receipt names whose it is."""
    await setup(iem_dcr_entry)
    mark = iem_dcr.post_receipt
    await go_quiet_after_next_mark(server, is_heard=False)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "start", transaction_id="T")
    user = {
        "IS": True,
        "IL": "HEARSAY",
        "IF": [],
        "IT": "ISO14443",
        "ID": "BOB",
        "US": False,
    }
    iem_dcr.post_user(user)
    mark({"TX": "B"})
    iem_dcr.post_receipt = mark
    await server.refuse()
    await server.accept()
    server.disconnect(count=0)
    await poll(hass, iem_dcr_entry)
    stopped = await call(hass, iem_dcr_entry, "stop")
    assert stopped["verdict"]["verdict"] == "valid"
    assert stopped["verdict"]["objections"] == ["other_user"]


async def test_what_somebody_without_a_name_charged_in_place_of_us_is_theirs(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Our begin never arrived. Ours would name a user, or the transaction in that place."""
    iem_dcr.signature_delay(seconds=0)
    await setup(iem_dcr_entry)
    mark = iem_dcr.post_receipt
    await go_quiet_after_next_mark(server, is_heard=False)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "start", transaction_id="MINE")
    name_user(iem_dcr, "")
    mark({"TX": "B"})
    iem_dcr.count_from(import_wh=476_540, export_wh=4_881)
    mark({"TX": "E"})
    iem_dcr.post_receipt = mark
    await server.refuse()
    await server.accept()
    events = async_capture_events(hass, EVENT_DC_METER)
    server.disconnect(count=0)
    await poll(hass, iem_dcr_entry)
    failed, stopped = (event.data for event in events if "session" in event.data)
    assert (failed["type"], failed["transaction_id"]) == ("transaction_failed", "MINE")
    assert stopped["type"] == "transaction_stopped"
    assert stopped["transaction_id"].startswith("foreign-")


async def test_what_somebody_without_a_name_charged_after_us_is_theirs(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Ours ended unseen before anything had flowed that tells the two apart."""
    iem_dcr.signature_delay(seconds=0)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", identification_data="ANNA")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    iem_dcr.post_receipt({"TX": "E"})
    name_user(iem_dcr, "")
    iem_dcr.post_receipt({"TX": "B"})
    iem_dcr.count_from(import_wh=476_540, export_wh=4_881)
    iem_dcr.post_receipt({"TX": "E"})
    events = async_capture_events(hass, EVENT_DC_METER)
    await setup(iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == [
        "transaction_failed",
        "transaction_stopped",
    ]
    assert events[1].data["transaction_id"].startswith("foreign-")


async def test_what_is_found_at_start_is_told_when_automations_listen(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """They do once Home Assistant has started."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    iem_dcr.post_receipt({"TX": "E"})
    events = async_capture_events(hass, EVENT_DC_METER)
    hass.set_state(CoreState.starting)
    await setup(iem_dcr_entry)
    await asyncio.sleep(0.5)
    await poll(hass, iem_dcr_entry)
    assert not events
    hass.set_state(CoreState.running)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == ["transaction_stopped"]


async def test_a_receipt_is_known_again_though_another_came_after_it(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    car: Car,
) -> None:
    """It came altered when the next was to begin, which the meter refused."""
    await setup(iem_dcr_entry)
    anna = {"identification_status": "ASSIGNED", "identification_data": "ANNA"}
    await call(hass, iem_dcr_entry, "start", transaction_id="A", **anna)
    await call(hass, iem_dcr_entry, "stop")
    server.misanswer(fault="forged", node="GET transaction", count=3)
    car.set_power(10_000)
    for transaction_id in "BC":
        with pytest.raises(HomeAssistantError) as refused:
            await call(
                hass, iem_dcr_entry, "start", transaction_id=transaction_id, **anna
            )
        assert refused.value.translation_key == "current_flowing"
    car.stop()
    await call(hass, iem_dcr_entry, "start", transaction_id="D")
    await call(hass, iem_dcr_entry, "stop")
    kept = await hass.async_add_executor_job(
        lambda: [
            record.transaction_id for record in hass.data[ARCHIVE].stopped(Selection())
        ]
    )
    last, altered, first = kept
    assert (last, first) == ("D", "A")
    assert altered.startswith("foreign-")


async def test_a_receipt_that_is_signed_anew_each_time_is_kept_once(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It proves the same transaction; the next one in other words is another."""
    iem_dcr.signature_delay(seconds=0)
    monkeypatch.setattr(iem_dcr, "_receipt_text", partial(signed_anew, iem_dcr))
    await setup(iem_dcr_entry)
    for transaction_id in "AB":
        await call(hass, iem_dcr_entry, "start", transaction_id=transaction_id)
        await call(hass, iem_dcr_entry, "stop")
    assert (await call(hass, iem_dcr_entry, "stop"))["transaction_id"] == "B"
    kept = await hass.async_add_executor_job(
        lambda: [one.transaction_id for one in hass.data[ARCHIVE].stopped(Selection())]
    )
    assert kept == ["B", "A"]


async def test_a_receipt_that_cannot_be_believed_is_kept_once(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often it is signed anew with a key nobody has accepted yet."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    await call(hass, iem_dcr_entry, "stop")
    iem_dcr.exchange(new_key=True)
    text = iem_dcr._receipt_text  # noqa: SLF001
    monkeypatch.setattr(
        iem_dcr, "_receipt_text", lambda receipt: signed_anew(iem_dcr, text(receipt))
    )
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    await call(hass, iem_dcr_entry, "stop")
    for _ in range(2):
        await server.refuse()
        await poll(hass, iem_dcr_entry)
        await server.accept()
        await poll(hass, iem_dcr_entry)
    kept = await hass.async_add_executor_job(
        lambda: [one.transaction_id for one in hass.data[ARCHIVE].stopped(Selection())]
    )
    assert len(kept) == 2
    assert kept[0] == "T"


async def test_a_receipt_that_cannot_be_read_is_kept_and_keeps_nobody_from_charging(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody can end that: only the next transaction takes its place at the meter."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="A")
    await call(hass, iem_dcr_entry, "stop")
    unreadable = iem_dcr.get_receipt().replace("kWh", "k|Wh")
    monkeypatch.setattr(iem_dcr, "_receipt_text", lambda _: unreadable)
    with pytest.raises(HomeAssistantError) as refused:
        await call(hass, iem_dcr_entry, "start", transaction_id="B")
    assert refused.value.translation_key == "unexpected_answer"
    monkeypatch.setattr(
        "custom_components.dc_meter.metering.iem_dcr.UNREADABLE_PATIENCE_S", 0
    )
    await call(hass, iem_dcr_entry, "start", transaction_id="B")
    monkeypatch.undo()
    await call(hass, iem_dcr_entry, "stop")
    kept = await hass.async_add_executor_job(
        lambda: [decode(one) for one in hass.data[ARCHIVE].stopped(Selection())]
    )
    last, found, first = kept
    assert (last.session.transaction_id, first.session.transaction_id) == ("B", "A")
    assert found.session.receipt is not None
    assert found.session.receipt.end.signed_meter_data == unreadable
    assert found.judgement is not None
    assert not found.judgement.billable


async def test_what_somebody_else_began_and_was_ended_here_is_followed_to_its_receipt(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also over a restart, and where the archive has no receipt of the meter yet."""
    monkeypatch.setattr(
        "custom_components.dc_meter.metering.iem_dcr.RECEIPT_TIMEOUT_S", 0.3
    )
    await setup(iem_dcr_entry)
    name_user(iem_dcr, "X")
    iem_dcr.post_receipt({"TX": "B"})
    await poll(hass, iem_dcr_entry)
    iem_dcr.signature_delay(seconds=1)
    with pytest.raises(HomeAssistantError) as refused:
        await call(hass, iem_dcr_entry, "stop")
    assert refused.value.translation_key == "no_receipt"
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    events = async_capture_events(hass, EVENT_DC_METER)
    await setup(iem_dcr_entry)
    async with asyncio.timeout(5):
        while not events:
            await poll(hass, iem_dcr_entry)
    stopped = events[0].data
    assert stopped["type"] == "transaction_stopped"
    assert stopped["transaction_id"].startswith("foreign-")
    assert '"ID":"X"' in stopped["signed_meter_value"]["signed_meter_data"]


async def test_a_reading_from_before_a_stop_that_comes_after_it_says_nothing(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That the transaction still ran then keeps nobody from starting the next."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="A")
    meter = iem_dcr_entry.runtime_data.meter
    at_once = meter.read
    late: list[MeterReading] = []

    async def read() -> MeterReading:
        monkeypatch.setattr(meter, "read", at_once)
        late.append(await at_once())
        await iem_dcr_entry.runtime_data.sessions.stop()
        return late[0]

    monkeypatch.setattr(meter, "read", read)
    await poll(hass, iem_dcr_entry)
    assert [reading.transaction_active for reading in late] == [True]
    assert not iem_dcr_entry.runtime_data.coordinator.data.transaction_active
    started = await call(hass, iem_dcr_entry, "start", transaction_id="B")
    assert started["status"] == "OK"


async def test_a_damaged_record_keeps_no_receipt_from_being_kept(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """That of a transaction which ended at the meter."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="A")
    await call(hass, iem_dcr_entry, "stop")
    await call(hass, iem_dcr_entry, "start", transaction_id="B")
    with sqlite3.connect(hass.config.path(DOMAIN, "receipts.db")) as file:
        file.execute("DROP TRIGGER record_is_never_changed")
        file.execute("UPDATE record SET body = '{' WHERE kind = 'stopped'")
    file.close()
    iem_dcr.post_receipt({"TX": "E"})
    events = async_capture_events(hass, EVENT_DC_METER)
    await asyncio.sleep(0.5)
    await poll(hass, iem_dcr_entry)
    (event,) = events
    assert (event.data["type"], event.data["transaction_id"]) == (
        "transaction_stopped",
        "B",
    )


async def test_no_receipt_is_missed_while_the_meter_is_away(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    server: IemDcrServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its patience begins anew: who is just back may have it a moment later."""
    iem = "custom_components.dc_meter.metering.iem_dcr"
    monkeypatch.setattr(f"{iem}.RECEIPT_TIMEOUT_S", 0.3)
    monkeypatch.setattr("custom_components.dc_meter.held.RECEIPT_PATIENCE_S", 1)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    iem_dcr.signature_delay(seconds=2)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "stop")
    events = async_capture_events(hass, EVENT_DC_METER)
    await poll(hass, iem_dcr_entry)
    server.disconnect(count=1_000)
    await poll(hass, iem_dcr_entry)
    await asyncio.sleep(1)
    server.disconnect(count=0)
    await poll(hass, iem_dcr_entry)
    await asyncio.sleep(1.5)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == [
        "meter_lost",
        "meter_back",
        "transaction_stopped",
    ]


async def test_a_begin_that_a_power_cut_ended_at_once_leaves_its_receipt(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """Nobody heard that it began, nor that it ended; the meter has signed it."""
    await setup(iem_dcr_entry)
    await go_quiet_after_next_mark(server)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "start", transaction_id="T")
    await server.power_cycle(off_s=0)
    server.disconnect(count=0)
    events = async_capture_events(hass, EVENT_DC_METER)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == [
        "meter_back",
        "transaction_started",
        "transaction_stopped",
    ]
    assert events[2].data["transaction_id"] == "T"
    assert events[2].data["verdict"]["verdict"] == "valid"


async def test_the_first_receipt_of_all_is_waited_for_past_an_answer_that_is_none(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Whether the begin was heard is not known, and nothing is kept that it could be held against."""
    iem_dcr.signature_delay(seconds=0)
    await setup(iem_dcr_entry)
    mark = iem_dcr.post_receipt
    await go_quiet_after_next_mark(server)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "start", transaction_id="T")
    mark({"TX": "E"})
    answer = iem_dcr.get_transaction
    answers = iter([Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy")] * 8)

    def busy_at_first() -> str:
        if refusal := next(answers, None):
            raise refusal
        return answer()

    iem_dcr.get_transaction = busy_at_first
    iem_dcr.get_receipt = busy_at_first
    await server.refuse()
    await server.accept()
    events = async_capture_events(hass, EVENT_DC_METER)
    server.disconnect(count=0)
    while not any("session" in event.data for event in events):
        await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events if "session" in event.data] == [
        "transaction_started",
        "transaction_stopped",
    ]


async def test_an_end_whose_answer_was_lost_still_gives_its_receipt(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """The receipt is fetched once the meter answers again, also after a restart."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    await go_quiet_after_next_mark(server)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "stop")
    await poll(hass, iem_dcr_entry)
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    server.disconnect(count=0)
    events = async_capture_events(hass, EVENT_DC_METER)
    await setup(iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == [
        "meter_back",
        "transaction_stopped",
    ]
    assert events[1].data["transaction_id"] == "T"
    assert events[1].data["verdict"]["verdict"] == "valid"


async def test_the_receipt_of_somebody_else_is_kept_although_the_answer_was_lost(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """The meter has ended it, and is silent for a while then."""
    await setup(iem_dcr_entry)
    await iem_dcr_entry.runtime_data.meter.begin(TransactionRequest(transaction_id="X"))
    await go_quiet_after_next_mark(server)
    with pytest.raises(HomeAssistantError):
        await call(hass, iem_dcr_entry, "stop")
    server.disconnect(count=0)
    events = async_capture_events(hass, EVENT_DC_METER)
    await poll(hass, iem_dcr_entry)
    stopped = events[-1].data
    assert stopped["type"] == "transaction_stopped"
    assert stopped["transaction_id"].startswith("foreign-")
    assert stopped["verdict"]["verdict"] == "valid"


async def test_a_receipt_that_is_slow_to_come_is_waited_for_and_not_given_up(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """While the meter still signs there is no start over it; then the receipt is kept."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    iem_dcr.signature_delay(seconds=1.5)
    await iem_dcr_entry.runtime_data.meter._mark("end")  # noqa: SLF001, ended by someone else
    events = async_capture_events(hass, EVENT_DC_METER)
    with pytest.raises(HomeAssistantError) as early:
        await call(hass, iem_dcr_entry, "start", transaction_id="next")
    assert early.value.translation_key == "no_receipt"
    assert state_of(hass, iem_dcr_entry, "transaction_id") == "T"
    while not events:
        await poll(hass, iem_dcr_entry)
    assert events[0].data["type"] == "transaction_stopped"
    assert events[0].data["transaction_id"] == "T"


async def test_a_transaction_nobody_here_started_is_stopped_with_its_receipt(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """Stop ends whatever runs, and what the meter signed is kept."""
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    await meter.begin(TransactionRequest(transaction_id="of somebody else"))
    await poll(hass, iem_dcr_entry)
    assert state_of(hass, iem_dcr_entry, "transaction_active") == STATE_ON
    stopped = await call(hass, iem_dcr_entry, "stop")
    assert stopped["transaction_id"].startswith("foreign-")
    assert "of somebody else" in stopped["signed_meter_value"]["signed_meter_data"]
    assert stopped["verdict"]["verdict"] == "valid"


async def test_an_archive_that_cannot_be_written_keeps_a_transaction_from_starting(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """What could not be kept is not begun."""
    await setup(meter_entry)
    hass.data[ARCHIVE].close()
    with pytest.raises(HomeAssistantError) as refusal:
        await call(hass, meter_entry, "start")
    assert refusal.value.translation_key == "archive_unusable"
    assert state_of(hass, meter_entry, "transaction_active") == STATE_OFF


async def test_an_archive_that_is_none_keeps_the_meter_from_being_set_up(
    hass: HomeAssistant, dct1_entry: MockConfigEntry
) -> None:
    """The entry says why."""
    await hass.async_add_executor_job(
        Path(hass.config.path("dc_meter")).write_text, "in the way"
    )
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    assert dct1_entry.error_reason_translation_key == "archive_unusable"


async def test_an_older_receipt_can_be_asked_for_again(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Stop with the id of an earlier transaction answers from the archive."""
    await setup(meter_entry)
    await call(hass, meter_entry, "start", transaction_id="first")
    first = await call(hass, meter_entry, "stop")
    await call(hass, meter_entry, "start", transaction_id="second")
    await call(hass, meter_entry, "stop")
    again = await call(hass, meter_entry, "stop", transaction_id="first")
    assert again == first | {"already_stopped": True}


async def test_an_earlier_receipt_is_not_taken_for_the_one_awaited(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """A meter that still shows the receipt before is asked again until the new one is there."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="first")
    await call(hass, iem_dcr_entry, "stop")
    earlier = server.meter.get_transaction()
    await call(hass, iem_dcr_entry, "start", transaction_id="second")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    server.meter.post_receipt({"TX": "E"})
    await asyncio.sleep(0.5)
    awaited = server.meter.get_transaction
    server.meter.get_transaction = lambda: earlier
    await server.refuse()
    await server.accept()
    events = async_capture_events(hass, EVENT_DC_METER)
    await setup(iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    assert not events
    assert state_of(hass, iem_dcr_entry, "transaction_id") == "second"
    server.meter.get_transaction = awaited
    await server.refuse()
    await server.accept()
    while not events:
        await poll(hass, iem_dcr_entry)
    assert events[0].data["transaction_id"] == "second"
    value = events[0].data["signed_meter_value"]["signed_meter_data"]
    assert value == server.meter.get_transaction()


async def test_a_receipt_that_never_comes_is_given_up(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    server: IemDcrServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A power cut keeps the meter from signing; what it shows is the receipt before, for good."""
    iem = "custom_components.dc_meter.metering.iem_dcr"
    monkeypatch.setattr(f"{iem}.RECEIPT_TIMEOUT_S", 0.3)
    monkeypatch.setattr("custom_components.dc_meter.held.RECEIPT_PATIENCE_S", 0)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="first")
    await call(hass, iem_dcr_entry, "stop")
    earlier = iem_dcr.get_transaction()
    await call(hass, iem_dcr_entry, "start", transaction_id="second")
    iem_dcr.signature_delay(seconds=60)
    with pytest.raises(HomeAssistantError) as lost:
        await call(hass, iem_dcr_entry, "stop")
    assert lost.value.translation_key == "no_receipt"
    events = async_capture_events(hass, EVENT_DC_METER)
    iem_dcr._last_receipt = earlier  # noqa: SLF001, the one that was not signed is lost
    iem_dcr.signature_delay(seconds=0)
    iem_dcr.power_cycle()
    server.disconnect(count=1_000)
    await poll(hass, iem_dcr_entry)
    server.disconnect(count=0)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == [
        "meter_lost",
        "meter_back",
        "transaction_failed",
    ]
    assert events[2].data["transaction_id"] == "second"
    await call(hass, iem_dcr_entry, "start", transaction_id="third")
    stopped = await call(hass, iem_dcr_entry, "stop", transaction_id="third")
    assert stopped["verdict"]["verdict"] == "valid"


async def test_a_stop_after_a_restart_is_not_given_the_receipt_before(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The meter shows that one until it has signed ours, which is fetched then."""
    note = show_earlier_until_signed(iem_dcr, monkeypatch)
    await setup(iem_dcr_entry)
    anna = {"identification_status": "ASSIGNED", "identification_data": "ANNA"}
    await call(hass, iem_dcr_entry, "start", transaction_id="A", **anna)
    first = await call(hass, iem_dcr_entry, "stop")
    note()
    await call(hass, iem_dcr_entry, "start", transaction_id="B", **anna)
    await hass.config_entries.async_reload(iem_dcr_entry.entry_id)
    events = async_capture_events(hass, EVENT_DC_METER)
    with pytest.raises(HomeAssistantError) as refused:
        await call(hass, iem_dcr_entry, "stop")
    assert refused.value.translation_key == "no_receipt"
    await asyncio.sleep(0.5)
    await poll(hass, iem_dcr_entry)
    (event,) = events
    assert event.data["type"] == "transaction_stopped"
    assert event.data["transaction_id"] == "B"
    assert event.data["signed_meter_value"] != first["signed_meter_value"]


async def test_no_receipt_of_others_is_lost_that_came_and_went_around_a_restart(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first while nobody watched; the second was watched while the meter showed the first."""
    note = show_earlier_until_signed(iem_dcr, monkeypatch)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    await call(hass, iem_dcr_entry, "stop")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    for mark in "BE":
        iem_dcr.post_receipt({"TX": mark})
    await asyncio.sleep(0.5)
    receipts = [iem_dcr.get_transaction()]
    events = async_capture_events(hass, EVENT_DC_METER)
    await setup(iem_dcr_entry)
    for _ in range(2):
        note()
        iem_dcr.post_receipt({"TX": "B"})
        await poll(hass, iem_dcr_entry)
        iem_dcr.post_receipt({"TX": "E"})
        for _ in range(3):
            await poll(hass, iem_dcr_entry)
        await asyncio.sleep(0.5)
        await poll(hass, iem_dcr_entry)
        receipts.append(iem_dcr.get_transaction())
    assert [
        event.data["signed_meter_value"]["signed_meter_data"]
        for event in events
        if event.data["type"] == "transaction_stopped"
    ] == receipts


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_meter_is_not_asked_for_its_receipt_for_ever(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
    is_known: bool,
) -> None:
    """Once more after a transaction of somebody else; for a while where what it held was not known."""
    monkeypatch.setattr("custom_components.dc_meter.held.RECEIPT_PATIENCE_S", 3)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    await call(hass, iem_dcr_entry, "stop")
    if not is_known:
        iem_dcr_entry.runtime_data.sessions.lost()
    iem_dcr.post_receipt({"TX": "B"})
    await poll(hass, iem_dcr_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    iem_dcr.post_receipt({"TX": "E"})
    await asyncio.sleep(0.5)
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == ["transaction_stopped"]
    meter = iem_dcr_entry.runtime_data.meter
    with patch.object(meter, "last_receipt", wraps=meter.last_receipt) as asked:
        for _ in range(3):
            await poll(hass, iem_dcr_entry)
        assert asked.call_count <= 1 if is_known else asked.call_count >= 3
        await asyncio.sleep(3)
        await poll(hass, iem_dcr_entry)
        asked.reset_mock()
        await poll(hass, iem_dcr_entry)
        assert not asked.called


async def test_an_outage_does_not_use_up_the_time_for_a_receipt(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The meter is away for longer; what it signs once it is back is looked for as long."""
    monkeypatch.setattr("custom_components.dc_meter.held.RECEIPT_PATIENCE_S", 2)
    await setup(iem_dcr_entry)
    for mark in "BE":
        server.meter.post_receipt({"TX": mark})
        await poll(hass, iem_dcr_entry)
    await asyncio.sleep(0.5)
    await poll(hass, iem_dcr_entry)
    server.disconnect(count=1_000)
    for _ in range(5):
        await asyncio.sleep(0.5)
        await poll(hass, iem_dcr_entry)
    server.disconnect(count=0)
    await poll(hass, iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    with patch.object(meter, "last_receipt", wraps=meter.last_receipt) as asked:
        await poll(hass, iem_dcr_entry)
    assert asked.called


async def test_a_receipt_from_before_that_is_signed_anew_is_not_ours(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No archive knows it yet, and it names the same user."""
    text = iem_dcr._receipt_text  # noqa: SLF001
    earlier: list[str] = []

    def shown(receipt: str) -> str:
        return signed_anew(iem_dcr, earlier[-1] if earlier else text(receipt))

    iem_dcr.signature_delay(seconds=0)
    iem_dcr.post_gw(
        {"CT": "EVSEID", "CI": "DE*DCM*E1", "TM": iem_dcr.clock.text()[:-2]}
    )
    name_user(iem_dcr, "ANNA")
    for mark in "BE":
        iem_dcr.post_receipt({"TX": mark})
    before = iem_dcr._last_receipt  # noqa: SLF001
    monkeypatch.setattr(iem_dcr, "_receipt_text", shown)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", identification_data="ANNA")
    earlier.append(before)
    iem_dcr.post_receipt({"TX": "E"})
    events = async_capture_events(hass, EVENT_DC_METER)
    await poll(hass, iem_dcr_entry)
    assert not events
    earlier.clear()
    await poll(hass, iem_dcr_entry)
    (event,) = events
    receipt = event.data["signed_meter_value"]["signed_meter_data"]
    assert receipt.split("|")[1] != before.split("|")[1]


@pytest.mark.parametrize(
    ("status", "text"),
    [(HTTPStatus.INTERNAL_SERVER_ERROR, ""), (HTTPStatus.OK, "no transaction")],
)
async def test_a_meter_without_a_receipt_may_say_so_in_any_way(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    iem_dcr: SimulatedIemDcr,
    car: Car,
    status: HTTPStatus,
    text: str,
) -> None:
    """How the first transaction of its life finds none is not documented."""
    answer = iem_dcr.get_transaction

    def none_yet() -> str:
        if iem_dcr._last_receipt is not None:  # noqa: SLF001
            return answer()
        if status is HTTPStatus.OK:
            return text
        raise Refusal(status, "none yet")

    iem_dcr.get_transaction = none_yet
    await server.refuse()
    await server.accept()
    await setup(iem_dcr_entry)
    with pytest.raises(HomeAssistantError) as refused:
        await call(hass, iem_dcr_entry, "stop")
    assert refused.value.translation_key == "no_transaction"
    car.set_power(10_000)
    with pytest.raises(HomeAssistantError) as refused:
        await call(hass, iem_dcr_entry, "start")
    assert refused.value.translation_key == "current_flowing"
    car.stop()
    await call(hass, iem_dcr_entry, "start")
    assert (await call(hass, iem_dcr_entry, "stop"))["verdict"]["billable"]


async def test_what_waits_for_a_meter_that_is_unloaded_is_refused(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Loaded anew, nobody would know of what it began."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    iem_dcr.signature_delay(seconds=1)
    switch = {"entity_id": entity_of(hass, iem_dcr_entry, "transaction")}
    turns = []
    for turn in ("turn_off", "turn_on"):
        turns.append(
            hass.async_create_task(
                hass.services.async_call("switch", turn, switch, blocking=True)
            )
        )
        await asyncio.sleep(0.05)
    await hass.config_entries.async_reload(iem_dcr_entry.entry_id)
    stopped, started = await asyncio.gather(*turns, return_exceptions=True)
    assert stopped is None
    assert isinstance(started, HomeAssistantError)
    assert started.translation_key == "not_loaded"
    await poll(hass, iem_dcr_entry)
    assert state_of(hass, iem_dcr_entry, "transaction") == STATE_OFF


async def test_a_gap_is_not_forgotten_over_a_start_that_is_cut_short(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
) -> None:
    """Home Assistant came up, read the meter, and was killed before it had started."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    await poll(hass, iem_dcr_entry)
    before = iem_dcr_entry.runtime_data.coordinator.registers.heard_at
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    hass.set_state(CoreState.starting)
    await setup(iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    await iem_dcr_entry.runtime_data.coordinator.registers.save()
    kept = hass_storage[f"{DOMAIN}.{iem_dcr_entry.entry_id}"]["data"]["heard_at"]
    assert datetime.fromisoformat(kept) == before
    hass.set_state(CoreState.running)
    await poll(hass, iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    (gap,) = (await call(hass, iem_dcr_entry, "stop"))["session"]["gaps"]
    assert gap["kind"] == "not_watched"
    assert iem_dcr_entry.runtime_data.coordinator.registers.heard_at > before


async def test_the_receipt_of_a_transaction_before_ours_is_not_ours(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A meter that loses our transaction still shows somebody else's: that is no proof of ours."""
    monkeypatch.setattr("custom_components.dc_meter.held.RECEIPT_PATIENCE_S", 0)
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    await meter.begin(TransactionRequest(transaction_id="SOMEBODY ELSE"))
    await meter.end()
    events = async_capture_events(hass, EVENT_DC_METER)
    await call(hass, iem_dcr_entry, "start", transaction_id="MINE")
    server.meter._transaction = None  # noqa: SLF001, lost without a trace
    await poll(hass, iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    assert [(event.data["type"], event.data["transaction_id"]) for event in events] == [
        ("transaction_started", "MINE"),
        ("transaction_failed", "MINE"),
    ]


async def test_a_transaction_of_somebody_else_after_ours_is_kept_as_theirs(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    """The receipt names another user: it is kept, and not as ours."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="MINE")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    server.meter._transaction = None  # noqa: SLF001, lost without a trace
    name_user(server.meter, "X")
    server.meter.post_receipt({"TX": "B"})
    server.meter.post_receipt({"TX": "E"})
    await asyncio.sleep(0.5)
    events = async_capture_events(hass, EVENT_DC_METER)
    await setup(iem_dcr_entry)
    while len(events) < 2:
        await poll(hass, iem_dcr_entry)
    failed, stopped = events
    assert failed.data["type"] == "transaction_failed"
    assert failed.data["transaction_id"] == "MINE"
    assert stopped.data["type"] == "transaction_stopped"
    assert stopped.data["transaction_id"].startswith("foreign-")
    assert '"ID":"X"' in stopped.data["signed_meter_value"]["signed_meter_data"]


@pytest.mark.parametrize("ended", [False, True], ids=["goes on", "is loaded anew"])
async def test_ours_has_failed_and_theirs_is_kept_although_only_one_could_be_written(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    monkeypatch: pytest.MonkeyPatch,
    ended: bool,
) -> None:
    """The meter holds their receipt until the next; that ours has none, nobody else knows."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="first")
    await call(hass, iem_dcr_entry, "stop")
    await call(hass, iem_dcr_entry, "start", transaction_id="MINE")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    server.meter._transaction = None  # noqa: SLF001, lost without a trace
    name_user(server.meter, "X")
    server.meter.post_receipt({"TX": "B"})
    server.meter.post_receipt({"TX": "E"})
    await asyncio.sleep(0.5)
    archive = hass.data[ARCHIVE]
    append = archive.append
    written: list[RecordKind] = []

    def append_one_end(*, kind: RecordKind, **record: Any) -> Link:
        if any(one in (RecordKind.STOPPED, RecordKind.FAILED) for one in written):
            raise ArchiveError("no space left")
        written.append(kind)
        return append(kind=kind, **record)

    events = async_capture_events(hass, EVENT_DC_METER)
    with monkeypatch.context() as full:
        full.setattr(archive, "append", append_one_end)
        await setup(iem_dcr_entry)
        await poll(hass, iem_dcr_entry)
        if ended:
            await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    if ended:
        await setup(iem_dcr_entry)
        await call(hass, iem_dcr_entry, "start", transaction_id="next")
    await poll(hass, iem_dcr_entry)
    failed, stopped = events[:2]
    assert failed.data["type"] == "transaction_failed"
    assert failed.data["transaction_id"] == "MINE"
    assert stopped.data["type"] == "transaction_stopped"
    assert '"ID":"X"' in stopped.data["signed_meter_value"]["signed_meter_data"]


async def test_the_receipt_of_somebody_else_who_charges_on_is_not_billed_to_us(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Ours was ended and theirs begun unseen: it begins where ours does not."""
    iem_dcr.signature_delay(seconds=0)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    iem_dcr.count_from(import_wh=447_540, export_wh=4_881)
    for mark in "EB":
        iem_dcr.post_receipt({"TX": mark})
    await setup(iem_dcr_entry)
    iem_dcr.count_from(import_wh=457_540, export_wh=4_881)
    stopped = await call(hass, iem_dcr_entry, "stop")
    assert stopped["verdict"]["verdict"] == "valid"
    assert not stopped["verdict"]["billable"]
    assert stopped["verdict"]["objections"] == ["live_register_differs"]


async def test_a_receipt_that_names_somebody_else_is_not_billed_to_us(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Ours was ended and theirs begun unseen, before anything had flowed that tells them apart."""
    iem_dcr.signature_delay(seconds=0)
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", identification_data="ANNA")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    iem_dcr.post_receipt({"TX": "E"})
    name_user(iem_dcr, "BOB")
    iem_dcr.post_receipt({"TX": "B"})
    await setup(iem_dcr_entry)
    stopped = await call(hass, iem_dcr_entry, "stop")
    assert stopped["verdict"]["verdict"] == "valid"
    assert stopped["verdict"]["objections"] == ["other_user"]


async def test_reloading_waits_for_a_stop_under_way(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """One transaction has one end, whatever else is asked for meanwhile."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    iem_dcr.signature_delay(seconds=2)
    events = async_capture_events(hass, EVENT_DC_METER)
    stopping = asyncio.create_task(call(hass, iem_dcr_entry, "stop"))
    await asyncio.sleep(0.5)
    await hass.config_entries.async_reload(iem_dcr_entry.entry_id)
    assert (await stopping)["transaction_id"] == "T"
    await poll(hass, iem_dcr_entry)
    assert [event.data["type"] for event in events] == ["transaction_stopped"]
    assert state_of(hass, iem_dcr_entry, "transaction_id") == "unknown"
    assert (await call(hass, iem_dcr_entry, "start"))["status"] == "OK"


async def test_a_stop_under_way_while_home_assistant_stops_is_the_last_word(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session that has its receipt is not taken up again after the restart."""
    await setup(meter_entry)
    await call(hass, meter_entry, "start", transaction_id="T")
    archive = hass.data[ARCHIVE]
    append = archive.append

    def append_on_a_slow_disk(*, kind: RecordKind, **record: Any) -> Link:
        link = append(kind=kind, **record)
        if kind is RecordKind.STOPPED:
            hass.loop.call_soon_threadsafe(
                hass.bus.async_fire, EVENT_HOMEASSISTANT_STOP
            )
            sleep(0.3)
        return link

    monkeypatch.setattr(archive, "append", append_on_a_slow_disk)
    stopped = await call(hass, meter_entry, "stop")
    await hass.async_block_till_done(wait_background_tasks=True)
    await hass.config_entries.async_reload(meter_entry.entry_id)
    await poll(hass, meter_entry)
    assert state_of(hass, meter_entry, "transaction_id") == "unknown"
    again = await call(hass, meter_entry, "stop")
    assert again == stopped | {"already_stopped": True}


async def test_a_stop_that_nobody_waits_for_any_more_is_carried_to_its_end(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """An automation that is restarted in the middle leaves one receipt, and the same for all."""
    await setup(meter_entry)
    await call(hass, meter_entry, "start", transaction_id="T")
    events = async_capture_events(hass, EVENT_DC_METER)
    stopping = asyncio.create_task(meter_entry.runtime_data.sessions.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    stopped = await call(hass, meter_entry, "stop")
    assert stopped["already_stopped"]
    (event,) = events
    assert event.data["signed_meter_value"] == stopped["signed_meter_value"]


async def test_turning_the_direction_during_a_session_turns_the_whole_session(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """Registers of two directions are never subtracted from each other."""
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    hass.config_entries.async_update_entry(
        dct1_entry, options={"low_side_sensing": False}
    )
    await hass.config_entries.async_reload(dct1_entry.entry_id)
    stopped = await call(hass, dct1_entry, "stop")
    assert stopped["session"]["energy_import_wh"] == 0
    assert stopped["session"]["energy_export_wh"] == 0


async def test_only_the_transaction_asked_for_is_stopped(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """A transaction of somebody else is not ended in place of the one named."""
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    await meter.begin(TransactionRequest(transaction_id="somebody else's"))
    with pytest.raises(HomeAssistantError) as refusal:
        await call(hass, iem_dcr_entry, "stop", transaction_id="mine")
    assert refusal.value.translation_key == "other_transaction"
    await poll(hass, iem_dcr_entry)
    assert state_of(hass, iem_dcr_entry, "transaction_active") == STATE_ON


async def test_a_refused_stop_is_no_failed_transaction(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """It goes on, and nobody is told that it has not."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start")
    events = async_capture_events(hass, EVENT_DC_METER)
    car.set_power(11_000)
    for _ in range(2):
        with pytest.raises(HomeAssistantError):
            await call(hass, iem_dcr_entry, "stop")
    assert not events


async def test_the_event_entity_hears_of_a_start_that_died_with_home_assistant(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """What is settled after a restart is settled when there is somebody to be told."""
    await setup(dct1_entry)
    await line.cut()
    with pytest.raises(HomeAssistantError):
        await call(hass, dct1_entry, "start", transaction_id="T")
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    await line.mend()
    await setup(dct1_entry)
    await poll(hass, dct1_entry)
    assert state_of(hass, dct1_entry, "transaction_event") != "unknown"


async def test_the_receipt_of_a_transaction_of_somebody_else_is_waited_for(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    iem_dcr: SimulatedIemDcr,
    setup: Setup,
) -> None:
    """A meter has ended it before it has signed it: what is not there yet is asked for again."""
    await setup(iem_dcr_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    iem_dcr.post_receipt({"TX": "B"})
    await poll(hass, iem_dcr_entry)
    iem_dcr.signature_delay(seconds=1.5)
    iem_dcr.post_receipt({"TX": "E"})
    await poll(hass, iem_dcr_entry)
    assert not events
    await asyncio.sleep(1.5)
    await poll(hass, iem_dcr_entry)
    (event,) = events
    assert event.data["type"] == "transaction_stopped"
    assert (
        event.data["signed_meter_value"]["signed_meter_data"]
        == iem_dcr.get_transaction()
    )


async def test_the_receipt_of_a_transaction_that_came_and_went_is_kept(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """Nobody here started or stopped it; its receipt is told of and kept all the same."""
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    events = async_capture_events(hass, EVENT_DC_METER)
    await meter.begin(TransactionRequest(transaction_id="of somebody else"))
    await poll(hass, iem_dcr_entry)
    receipt = await meter.end()
    await poll(hass, iem_dcr_entry)
    await poll(hass, iem_dcr_entry)
    (event,) = events
    assert event.data["type"] == "transaction_stopped"
    assert event.data["transaction_id"].startswith("foreign-")
    assert (
        event.data["signed_meter_value"]["signed_meter_data"]
        == receipt.signed_value.signed_meter_data
    )


async def test_the_receipt_of_a_transaction_that_nobody_watched_is_kept(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """It came and went while Home Assistant did not run; the next one would take its place."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="first")
    await call(hass, iem_dcr_entry, "stop")
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)
    for mark in "BE":
        iem_dcr.post_receipt({"TX": mark})
    await asyncio.sleep(0.5)
    receipt = iem_dcr.get_transaction()
    await setup(iem_dcr_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    for number in ("second", "third"):
        await call(hass, iem_dcr_entry, "start", transaction_id=number)
        await call(hass, iem_dcr_entry, "stop")
    kept, *others = [
        event for event in events if event.data["type"] == "transaction_stopped"
    ]
    assert kept.data["transaction_id"].startswith("foreign-")
    assert kept.data["signed_meter_value"]["signed_meter_data"] == receipt
    assert [event.data["transaction_id"] for event in others] == ["second", "third"]
