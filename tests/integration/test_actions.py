"""Start and stop: what callers get, what everyone is told, what is refused."""

import asyncio
from collections.abc import Awaitable, Callable
import json
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)
import voluptuous as vol

from custom_components.dc_meter.const import DOMAIN, EVENT_DC_METER
from custom_components.dc_meter.events import announcer, outcome_data
from custom_components.dc_meter.metering.errors import (
    CurrentFlowingError,
    MeterError,
    WrongEvseError,
)
from custom_components.dc_meter.metering.meter import TransactionRequest
from custom_components.dc_meter.outcome import Outcome
from custom_components.dc_meter.session import Account, Gap, GapKind
from homeassistant.components.recorder.db_schema import MAX_EVENT_DATA_BYTES
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.config_validation import template_complex
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.template import render_complex
from simulators.car import Car
from simulators.iem_dcr import SimulatedIemDcr
from simulators.line import SerialLine
from tests.export.accounts import RECORD, STARTED, ocmf_account

from .conftest import CHARGE_POINT, device_of, state_of

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

FOUR_FIELDS = {"signed_meter_data", "signing_method", "encoding_method", "public_key"}

REQUEST = {
    "evse_id": CHARGE_POINT[1],
    "transaction_id": "2f6c9a52-7f04-4a7c-9d0c-1f0d7e0b8a11",
    "client_id": "client",
    "tariff_id": "tariff",
    "cable_id": "cable",
    "user_data": {"car": "blue"},
}


async def call(
    hass: HomeAssistant, entry: MockConfigEntry, action: str, **data: Any
) -> dict[str, Any]:
    """Call an action of a meter and return its response."""
    response = await hass.services.async_call(
        DOMAIN,
        f"{action}_transaction",
        {"device_id": device_of(hass, entry), **data},
        blocking=True,
        return_response=True,
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert response is not None
    return dict(response)


async def test_an_answer_does_not_wait_for_a_reading(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """What is read after a start and a stop is read when the caller has its answer."""
    await setup(dct1_entry)
    coordinator = dct1_entry.runtime_data.coordinator
    coordinator.update_interval = None
    await coordinator.async_refresh()  # no other comes by itself now
    for action, shown in (("start", STATE_ON), ("stop", STATE_OFF)):
        before = line.requests
        await hass.services.async_call(
            DOMAIN,
            f"{action}_transaction",
            {"device_id": device_of(hass, dct1_entry)},
            blocking=True,
            return_response=True,
        )
        assert line.requests == before + 2  # the snapshot
        assert state_of(hass, dct1_entry, "transaction") == shown
        await hass.async_block_till_done(wait_background_tasks=True)
        assert line.requests == before + 4


async def test_start_and_stop_answer_with_what_was_asked_and_signed(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """The request comes back field by field, with one genuine receipt."""
    await setup(meter_entry)
    started = await call(hass, meter_entry, "start", **REQUEST)
    assert started["status"] == "OK"
    assert started["transaction_id"] == REQUEST["transaction_id"]
    stopped = await call(hass, meter_entry, "stop", transaction_id="")
    assert stopped["status"] == "OK"
    assert REQUEST.items() <= stopped["session"].items()
    assert set(stopped["signed_meter_value"]) == FOUR_FIELDS
    assert stopped["verdict"]["verdict"] == "valid"
    assert stopped["session"]["energy_import_wh"] == 0


async def test_a_dct1_gives_its_signed_begin_with_start_and_stop(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """The begin value is the very same at both ends."""
    await setup(dct1_entry)
    started = await call(hass, dct1_entry, "start")
    stopped = await call(hass, dct1_entry, "stop")
    assert set(stopped["start_signed_meter_value"]) == FOUR_FIELDS
    assert stopped["start_signed_meter_value"] == started["start_signed_meter_value"]
    assert stopped["signed_meter_value"] != stopped["start_signed_meter_value"]


async def test_an_iem_dcr_writes_user_and_charge_point_into_its_receipt(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """What OCMF can carry is signed."""
    await setup(iem_dcr_entry)
    await call(
        hass,
        iem_dcr_entry,
        "start",
        identification_data="04A2B1C4",
        identification_type="ISO14443",
        identification_flags=["RFID_PLAIN"],
        tariff_text="0,50 EUR/kWh",
    )
    stopped = await call(hass, iem_dcr_entry, "stop")
    text = stopped["signed_meter_value"]["signed_meter_data"]
    for field in (
        '"CI":"DE*DCM*E1"',
        '"IS":true',
        '"ID":"04A2B1C4"',
        '"IT":"ISO14443"',
        '"TT":"0,50 EUR/kWh"',
    ):
        assert field in text
    assert "start_signed_meter_value" not in stopped


async def test_everyone_is_told_what_the_caller_is_told(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """The bus event carries the response, and the event entity its gist."""
    await setup(meter_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    started = await call(hass, meter_entry, "start", **REQUEST)
    stopped = await call(hass, meter_entry, "stop")
    told = {"device_id": device_of(hass, meter_entry)}
    assert [event.data for event in events] == [
        {"type": "transaction_started"} | told | started,
        {"type": "transaction_stopped"} | told | stopped,
    ]
    assert state_of(hass, meter_entry, "transaction_event") != STATE_UNKNOWN


async def test_a_start_can_leave_alone_what_runs(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """It is refused, and the transaction goes on; where none runs one begins."""
    await setup(meter_entry)
    started = await call(hass, meter_entry, "start", unless_running=True)
    with pytest.raises(ServiceValidationError) as refused:
        await call(hass, meter_entry, "start", unless_running=True)
    assert refused.value.translation_key == "already_running"
    running = await call(hass, meter_entry, "get")
    assert running["transaction_id"] == started["transaction_id"]


async def test_entities_follow_the_session(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """Active, id, begin and energy of the transaction, while it runs and after."""
    await setup(meter_entry)
    assert state_of(hass, meter_entry, "transaction_active") == STATE_OFF
    assert state_of(hass, meter_entry, "transaction_energy_import") == STATE_UNKNOWN
    await call(hass, meter_entry, "start", transaction_id="T-1")
    assert state_of(hass, meter_entry, "transaction_active") == STATE_ON
    assert state_of(hass, meter_entry, "transaction_id") == "T-1"
    assert state_of(hass, meter_entry, "transaction_start") != STATE_UNKNOWN
    assert float(state_of(hass, meter_entry, "transaction_energy_import")) == 0
    car.steer(power_w=100_000, time_scale=5)
    await asyncio.sleep(0.5)
    car.stop()
    await meter_entry.runtime_data.coordinator.async_refresh()
    charged = float(state_of(hass, meter_entry, "transaction_energy_import"))
    assert charged > 0.05
    stopped = await call(hass, meter_entry, "stop")
    assert stopped["session"]["energy_import_wh"] == pytest.approx(charged * 1000)
    assert state_of(hass, meter_entry, "transaction_active") == STATE_OFF
    assert state_of(hass, meter_entry, "transaction_id") == STATE_UNKNOWN


async def test_starting_again_keeps_the_receipt_of_what_ran(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """A transaction that still runs is stopped first, and everyone is told."""
    await setup(meter_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    await call(hass, meter_entry, "start", transaction_id="first")
    await call(hass, meter_entry, "start", transaction_id="second")
    assert [(event.data["type"], event.data["transaction_id"]) for event in events] == [
        ("transaction_started", "first"),
        ("transaction_stopped", "first"),
        ("transaction_started", "second"),
    ]
    assert events[1].data["verdict"]["verdict"] == "valid"


async def test_stopping_again_gives_the_same_receipt(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Stop is safe to repeat, with or without the id, and tells nobody twice."""
    await setup(meter_entry)
    await call(hass, meter_entry, "start", transaction_id="once")
    stopped = await call(hass, meter_entry, "stop")
    events = async_capture_events(hass, EVENT_DC_METER)
    for transaction_id in ("", "once"):
        again = await call(hass, meter_entry, "stop", transaction_id=transaction_id)
        assert again == stopped | {"already_stopped": True}
    assert not events


async def test_a_session_survives_a_restart(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """What ran before Home Assistant stopped is stopped after, with the same begin."""
    await setup(meter_entry)
    started = await call(hass, meter_entry, "start", transaction_id="long")
    await hass.config_entries.async_unload(meter_entry.entry_id)
    await setup(meter_entry)
    assert state_of(hass, meter_entry, "transaction_id") == "long"
    stopped = await call(hass, meter_entry, "stop", transaction_id="long")
    assert stopped["verdict"]["verdict"] == "valid"
    assert stopped["session"]["started_at"] == started["session"]["started_at"]
    assert stopped.get("start_signed_meter_value") == started.get(
        "start_signed_meter_value"
    )


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"action": "start", "evse_id": "DE*XXX*E9"}, "wrong_evse"),
        ({"action": "stop"}, "no_transaction"),
        ({"action": "stop", "transaction_id": "never"}, "unknown_transaction"),
        ({"action": "start", "transaction_id": "foreign-1"}, "transaction_id_reserved"),
    ],
)
async def test_wrong_calls_are_refused_and_change_nothing(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    data: dict[str, Any],
    key: str,
) -> None:
    """The error names the cause; no transaction has begun and nobody is told of one."""
    await setup(iem_dcr_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    with pytest.raises(ServiceValidationError) as refusal:
        await call(hass, iem_dcr_entry, **data)
    assert refusal.value.translation_key == key
    assert state_of(hass, iem_dcr_entry, "transaction_active") == STATE_OFF
    assert not events


async def test_an_evse_id_is_not_the_dct1s_business(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """A meter without an identification of its own takes any."""
    await setup(dct1_entry)
    started = await call(hass, dct1_entry, "start", evse_id="DE*XXX*E9")
    assert started["session"]["evse_id"] == "DE*XXX*E9"


async def test_another_transaction_than_the_running_one_is_not_stopped(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Stop with a wrong id names the right one and lets it run."""
    await setup(meter_entry)
    await call(hass, meter_entry, "start", transaction_id="mine")
    with pytest.raises(ServiceValidationError) as refusal:
        await call(hass, meter_entry, "stop", transaction_id="yours")
    assert refusal.value.translation_key == "other_transaction"
    assert refusal.value.translation_placeholders == {
        "asked": "yours",
        "running": "mine",
    }
    assert state_of(hass, meter_entry, "transaction_active") == STATE_ON


async def test_a_transaction_id_is_used_once(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Two sessions never share an id; the running one is left alone."""
    await setup(meter_entry)
    await call(hass, meter_entry, "start", transaction_id="mine")
    with pytest.raises(ServiceValidationError) as refusal:
        await call(hass, meter_entry, "start", transaction_id="mine")
    assert refusal.value.translation_key == "transaction_id_used"
    assert state_of(hass, meter_entry, "transaction_active") == STATE_ON


async def test_current_keeps_an_iem_dcr_from_starting_and_stopping(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """The error says just that, and once the current is off it works."""
    await setup(iem_dcr_entry)
    car.set_power(11_000)
    with pytest.raises(HomeAssistantError) as refusal:
        await call(hass, iem_dcr_entry, "start", transaction_id="T")
    assert refusal.value.translation_key == "current_flowing"
    car.stop()
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    car.set_power(11_000)
    with pytest.raises(HomeAssistantError) as refusal:
        await call(hass, iem_dcr_entry, "stop")
    assert refusal.value.translation_key == "current_flowing"
    assert state_of(hass, iem_dcr_entry, "transaction_id") == "T"
    car.stop()
    assert (await call(hass, iem_dcr_entry, "stop"))["status"] == "OK"


async def test_a_meter_in_its_error_state_starts_nothing(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """The error shows the meter's words; so does the problem sensor."""
    await setup(iem_dcr_entry)
    iem_dcr.error(words="0x0001, 0x00000000, 0x00, 0x00")
    with pytest.raises(HomeAssistantError) as refusal:
        await call(hass, iem_dcr_entry, "start")
    assert refusal.value.translation_key == "error_state"
    assert refusal.value.translation_placeholders is not None
    assert "0x0001" in refusal.value.translation_placeholders["words"]
    await iem_dcr_entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, iem_dcr_entry, "problem") == STATE_ON


async def test_a_receipt_the_archive_does_not_know_comes_from_the_meter(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    config_dir: Any,
) -> None:
    """When nothing runs, stop hands out the last receipt the meter still holds."""
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    await meter.begin(TransactionRequest(transaction_id="by someone else"))
    receipt = await meter.end()
    stopped = await call(hass, iem_dcr_entry, "stop")
    assert stopped["already_stopped"]
    assert (
        stopped["signed_meter_value"]["signed_meter_data"]
        == receipt.signed_value.signed_meter_data
    )
    assert stopped["verdict"]["verdict"] == "valid"


async def test_a_transaction_ended_at_the_meter_still_gets_its_receipt(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """The archive follows the meter: the receipt is fetched and everyone told."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="T")
    events = async_capture_events(hass, EVENT_DC_METER)
    await iem_dcr_entry.runtime_data.meter.end()
    await iem_dcr_entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    (event,) = events
    assert event.data["type"] == "transaction_stopped"
    assert event.data["transaction_id"] == "T"
    assert event.data["verdict"]["verdict"] == "valid"


async def test_a_cut_line_fails_the_start_and_leaves_nothing_running(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """Once the meter is back, the archive knows that nothing has begun."""
    await setup(dct1_entry)
    await line.cut()
    with pytest.raises(HomeAssistantError) as refusal:
        await call(hass, dct1_entry, "start", transaction_id="T")
    assert refusal.value.translation_key == "unreachable"
    await dct1_entry.runtime_data.coordinator.async_refresh()
    await line.mend()
    events = async_capture_events(hass, EVENT_DC_METER)
    await dct1_entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    back, failed = events
    assert back.data["type"] == "meter_back"
    assert failed.data["type"] == "transaction_failed"
    assert failed.data["status"] == "UNEXPECTED_ERROR"
    assert (await call(hass, dct1_entry, "start", transaction_id="T"))["status"] == "OK"


@pytest.mark.parametrize(
    "data",
    [
        {"identification_flags": ["RFID_PLAIN"] * 5},
        {"identification_flags": ["NO_SUCH_FLAG"]},
        {"identification_level": "VERY"},
        {"tariff_text": "x" * 251},
        {"transaction_id": "two\nlines"},
        {"client_id": ["a", "list"]},
        {"user_data": "x" * 5000},
        {"user_data": {"card": 89049032000001000000000000}},
        {"user_data": json.loads("[" * 300 + "]" * 300)},
        {"user_data": "\ud800"},
        {"client_id": "\ud800"},
        {"client_id": "two\u2028lines"},
        {"client_id": "\ufffe"},
    ],
)
async def test_data_that_cannot_be_right_is_refused_before_anything_happens(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, data: dict[str, Any]
) -> None:
    """The schema holds for scripts as for the user interface."""
    await setup(dct1_entry)
    with pytest.raises(vol.Invalid):
        await call(hass, dct1_entry, "start", **data)
    assert state_of(hass, dct1_entry, "transaction_active") == STATE_OFF


@pytest.mark.parametrize(
    "written", ["0,39\u00a0€/kWh", "0,39\u202f€/kWh", "\U0001f468\u200d\U0001f527"]
)
async def test_a_text_is_taken_however_people_write_it(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup, written: str
) -> None:
    """Spaces that do not break and signs of several characters, as in the options and on the display."""
    await setup(iem_dcr_entry)
    await call(
        hass, iem_dcr_entry, "start", tariff_text=written, identification_data=written
    )
    stopped = await call(hass, iem_dcr_entry, "stop")
    assert stopped["session"]["tariff_text"] == written
    assert stopped["verdict"]["verdict"] == "valid"
    assert (await call(hass, iem_dcr_entry, "start", client_id=written))["session"][
        "client_id"
    ] == written


PHONE = {"identification_type": "PHONE_NUMBER"}
DATA_OF_ONE_TEMPLATE = "{{ {'identification_type': 'PHONE_NUMBER', 'identification_data': '+491711234567'} }}"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (PHONE | {"identification_data": 491711234567}, None),
        (PHONE | {"identification_data": "{{ '+491711234567' }}"}, None),
        (PHONE | {"identification_data": "+491711234567"}, "+491711234567"),
        (
            PHONE | {"identification_data": "tel:{{ '+491711234567' }}"},
            "tel:+491711234567",
        ),
        (DATA_OF_ONE_TEMPLATE, "+491711234567"),
        ({"identification_type": "KEY_CODE", "identification_data": 34}, None),
        ({"identification_type": "KEY_CODE", "identification_data": "0042"}, "0042"),
        ({"identification_type": "LOCAL", "identification_data": 4711}, "4711"),
    ],
)
async def test_no_id_is_signed_that_lost_what_it_begins_with(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    written: Any,
    kept: str | None,
) -> None:
    """YAML and templates make a number of what looks like one; a tag of digits stays what it is."""
    await setup(iem_dcr_entry)
    data = render_complex(template_complex(written))
    if kept is None:
        with pytest.raises(ServiceValidationError) as refusal:
            await call(hass, iem_dcr_entry, "start", **data)
        assert refusal.value.translation_key == "identification_is_number"
        assert state_of(hass, iem_dcr_entry, "transaction_active") == STATE_OFF
    else:
        await call(hass, iem_dcr_entry, "start", **data)
        stopped = await call(hass, iem_dcr_entry, "stop")
        assert stopped["session"]["identification_data"] == kept
        signed = stopped["signed_meter_value"]["signed_meter_data"].split("|")[1]
        assert json.loads(signed)["ID"] == kept


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "UNEXPECTED_ERROR"),
        (CurrentFlowingError(action="begin"), "UNEXPECTED_ERROR"),
        (WrongEvseError(evse_id="E9", expected="E1"), "NOT_SUPPORTED"),
    ],
)
def test_a_failure_has_the_status_that_everest_would_give_it(
    error: MeterError | None, status: str
) -> None:
    outcome = Outcome(kind="transaction_failed", account=ocmf_account(), error=error)
    assert outcome_data(outcome)["status"] == status


GAP = Gap(kind=GapKind.METER_UNREACHABLE, begins_at=STARTED, ends_at=STARTED)


@pytest.mark.parametrize(
    ("account", "left_out"),
    [
        (ocmf_account(text="OCMF|" + "x" * 25_000), None),
        (ocmf_account(text="OCMF|" + "x" * 40_000), ["signed_meter_value"]),
        (ocmf_account(text="OCMF|" + "€" * 15_000), ["signed_meter_value"]),
        (ocmf_account(gaps=(GAP,) * 1000), ["signed_meter_value", "gaps"]),
    ],
    ids=["fits", "long text", "long in bytes", "many gaps"],
)
async def test_an_event_is_never_too_large_to_be_recorded(
    hass: HomeAssistant, account: Account, left_out: list[str] | None
) -> None:
    """It says what it leaves out, and where that is kept; whoever called gets everything."""
    outcome = Outcome(kind="transaction_stopped", account=account)
    events = async_capture_events(hass, EVENT_DC_METER)
    announcer(hass, "device", "serial")(outcome, None)
    (event,) = events
    assert len(json_bytes(event.data)) <= MAX_EVENT_DATA_BYTES
    assert event.data.get("left_out") == left_out
    assert event.data["record"]["number"] == RECORD.number
    if left_out is None:
        assert outcome_data(outcome).items() <= event.data.items()
    assert "gaps" in outcome_data(outcome)["session"]
    assert "signed_meter_value" in outcome_data(outcome)


async def test_calls_wait_for_each_other(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Ten starts at once leave ten sessions in order, nine of them with receipts."""
    await setup(meter_entry)
    events = async_capture_events(hass, EVENT_DC_METER)
    await asyncio.gather(*(call(hass, meter_entry, "start") for _ in range(10)))
    kinds = [event.data["type"] for event in events]
    assert kinds.count("transaction_started") == 10
    assert kinds.count("transaction_stopped") == 9


async def test_a_running_transaction_can_be_looked_at(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Whether one runs and for whom, by the meter's word; one begun elsewhere has no session."""
    await setup(meter_entry)

    async def look() -> Any:
        return await hass.services.async_call(
            DOMAIN,
            "get_transaction",
            {"device_id": device_of(hass, meter_entry)},
            blocking=True,
            return_response=True,
        )

    assert await look() == {"running": False}
    started = await call(hass, meter_entry, "start", **REQUEST)
    seen = await look()
    assert seen.pop("running") is True
    of_the_start = ("status", "record")
    assert seen == {key: started[key] for key in started if key not in of_the_start}
    await call(hass, meter_entry, "stop")
    assert await look() == {"running": False}


async def test_a_transaction_begun_elsewhere_runs_without_a_session(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """Nothing is made up about it, and one that ended there runs no more."""
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter

    async def look() -> Any:
        return await hass.services.async_call(
            DOMAIN,
            "get_transaction",
            {"device_id": device_of(hass, iem_dcr_entry)},
            blocking=True,
            return_response=True,
        )

    await meter.begin(TransactionRequest(transaction_id="T"))
    assert await look() == {"running": True}
    await meter.end()
    await call(hass, iem_dcr_entry, "start")
    await meter.end()
    assert await look() == {"running": False}
