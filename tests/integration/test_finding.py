"""Finding a meter: by search, behind an adapter that moved, on a line that others use."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from modbus_connection import ModbusSerialParams
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.dc_meter import forms
from custom_components.dc_meter.const import DOMAIN
from custom_components.dc_meter.metering import dct1_search
from homeassistant.components.modbus import async_get_temporary_unit
from homeassistant.components.modbus.connection import async_get_connection_info
from homeassistant.components.usb import USBDevice, async_register_serial_port_scanner
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE,
    FlowResultType,
)
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from simulators.dct1 import SimulatedDct1
from simulators.line import SerialLine, TcpGateway

from .conftest import DCT1_SERIAL, dct1_data

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

SECOND_SERIAL = "BY0000000002L"


@pytest.fixture(autouse=True)
def few_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search three addresses at two baud rates, of meters that are quick to answer."""
    monkeypatch.setattr(dct1_search, "ANSWER_S", 0.1)
    monkeypatch.setattr(dct1_search, "LOW_ADDRESSES", range(2, 3))
    monkeypatch.setattr(dct1_search, "HIGH_ADDRESSES", range(3, 4))
    monkeypatch.setattr(forms, "BAUDRATES", ("9600", "115200"))


async def begin(
    hass: HomeAssistant, step: str, form: dict[str, Any]
) -> ConfigFlowResult:
    """Choose a search and say where."""
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    for choice in ("dct1", step):
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": choice}
        )
    assert result["type"] is FlowResultType.FORM
    return await answer(hass, result, form)


async def answer(
    hass: HomeAssistant, result: ConfigFlowResult, form: dict[str, Any]
) -> ConfigFlowResult:
    """Fill in a form, or choose from a menu."""
    return await hass.config_entries.flow.async_configure(result["flow_id"], form)


async def searched(hass: HomeAssistant, result: ConfigFlowResult) -> ConfigFlowResult:
    """Wait for the search to pause."""
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        assert result["progress_action"] == "searching"
        await asyncio.sleep(0.05)
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    return result


def suggested(result: ConfigFlowResult) -> dict[str, Any]:
    """Return what a form has filled in."""
    assert result["data_schema"] is not None
    return {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }


def choices(result: ConfigFlowResult) -> dict[str, str]:
    """Return what can be chosen in the form of what was found."""
    assert result["step_id"] == "dct1_found"
    assert result["data_schema"] is not None
    selector = result["data_schema"].schema["found"]
    return {option["value"]: option["label"] for option in selector.config["options"]}


async def test_a_newcomer_needs_to_know_the_port_only(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """The meter is found with its settings, chosen, and set up."""
    updates = async_capture_events(hass, EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE)
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    assert result["description_placeholders"] == {
        "settings": "9600 baud 8N1 …",
        "minutes": "1",
        "known": "–",
        "others": "–",
    }
    result = await searched(hass, result)
    assert choices(result) == {
        DCT1_SERIAL: f"{DCT1_SERIAL} · Modbus 1 · 115200 baud 8N1",
        "search_on": "search_on",
    }
    result = await answer(
        hass, result, {"found": DCT1_SERIAL, "low_side_sensing": False}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].data == dct1_data(line)
    assert result["result"].options == {"low_side_sensing": False}
    assert result["result"].state is ConfigEntryState.LOADED
    shares = [event.data["progress"] for event in updates]
    assert shares == sorted(set(shares))
    assert shares[-1] <= 1


@pytest.mark.parametrize("framer", ["rtu", "socket"])
async def test_a_gateway_needs_no_protocol(
    hass: HomeAssistant, dct1: SimulatedDct1, socket_enabled: None, framer: Any
) -> None:
    """Which of the two it speaks is found out."""
    async with TcpGateway(
        [dct1], baud_rate=115200, framer=framer, timeout_s=0.3
    ) as gateway:
        place = {"host": "127.0.0.1", "port": gateway.port}
        result = await searched(hass, await begin(hass, "dct1_search_network", place))
        result = await answer(
            hass, result, {"found": DCT1_SERIAL, "low_side_sensing": True}
        )
        await hass.async_block_till_done(wait_background_tasks=True)
        entry = result["result"]
        assert entry.data == {
            "meter": "dct1",
            **place,
            "framer": framer,
            "address": 1,
        }
        assert entry.state is ConfigEntryState.LOADED
        await hass.config_entries.async_unload(entry.entry_id)


async def test_the_search_goes_on_from_meter_to_meter(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """All that were found can be chosen from, until every place was searched."""
    line.connect(SimulatedDct1(address=3, serial_number=SECOND_SERIAL))
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    result = await searched(hass, result)
    while "search_on" in choices(result):
        result = await answer(
            hass, result, {"found": "search_on", "low_side_sensing": True}
        )
        result = await searched(hass, result)
    assert choices(result).keys() == {DCT1_SERIAL, SECOND_SERIAL}
    result = await answer(
        hass, result, {"found": SECOND_SERIAL, "low_side_sensing": True}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["result"].data == dct1_data(line, address=3)


async def test_what_was_chosen_is_there_after_the_search_went_on(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """How the meter is wired does not change with what else is found."""
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    result = await searched(hass, result)
    result = await answer(
        hass, result, {"found": "search_on", "low_side_sensing": False}
    )
    result = await searched(hass, result)
    assert suggested(result)["low_side_sensing"] is False


async def test_a_meter_that_is_polled_goes_on_being_polled(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """Its line is searched with its settings, where it is not, and it loses no reading."""
    line.connect(SimulatedDct1(address=3, serial_number=SECOND_SERIAL))
    await setup(dct1_entry)
    coordinator = dct1_entry.runtime_data.coordinator
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    assert result["description_placeholders"]["settings"] == "115200 baud 8N1"
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        await coordinator.async_refresh()
        assert coordinator.last_update_success
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert choices(result).keys() == {SECOND_SERIAL}
    # Where it is, it was not even asked who it is.
    assert result["description_placeholders"]["known"] == "–"
    result = await answer(
        hass, result, {"found": SECOND_SERIAL, "low_side_sensing": True}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert dct1_entry.state is ConfigEntryState.LOADED


async def test_a_meter_that_is_set_up_is_named_and_not_offered(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, line: SerialLine
) -> None:
    """Even when its entry does not run; and the search can go on or begin again."""
    line.connect(SimulatedDct1(address=2, serial_number=SECOND_SERIAL))
    line.exception()
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    line.drop(count=0)
    result = await searched(hass, result)
    assert result["description_placeholders"]["others"] == "1"
    assert choices(result).keys() == {SECOND_SERIAL, "search_on"}


async def test_nothing_found_is_no_dead_end(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, line: SerialLine
) -> None:
    """What is left can be searched, then there is the form for the settings."""
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    result = await searched(hass, result)
    assert result["step_id"] == "dct1_nothing"
    assert result["menu_options"] == [
        "dct1_searching",
        "dct1_search_serial",
        "dct1_serial",
    ]
    assert result["description_placeholders"]["known"] == DCT1_SERIAL
    while "dct1_searching" in result["menu_options"]:
        result = await answer(hass, result, {"next_step_id": "dct1_searching"})
        result = await searched(hass, result)
    assert result["menu_options"] == ["dct1_search_serial", "dct1_serial"]
    result = await answer(hass, result, {"next_step_id": "dct1_serial"})
    assert result["step_id"] == "dct1_serial"


@pytest.mark.parametrize("source", [SOURCE_USER, SOURCE_RECONFIGURE])
@pytest.mark.parametrize("choice", ["search", "by hand"])
async def test_what_was_typed_is_there_after_a_search_in_vain(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    socket_enabled: None,
    source: str,
    choice: str,
) -> None:
    """Whichever way one goes on; a meter that is reconfigured has moved there."""
    async with TcpGateway([], framer="socket", timeout_s=0.05) as gateway:
        place = {"host": "127.0.0.1", "port": gateway.port}
        if source == SOURCE_USER:
            result = await begin(hass, "dct1_search_network", place)
        else:
            result = await dct1_entry.start_reconfigure_flow(hass)
            search = {"next_step_id": "dct1_search_network"}
            result = await answer(hass, await answer(hass, result, search), place)
        result = await searched(hass, result)
    assert result["step_id"] == "dct1_nothing"
    *_, again, by_hand = result["menu_options"]
    chosen = again if choice == "search" else by_hand
    result = await answer(hass, result, {"next_step_id": chosen})
    assert suggested(result).items() >= place.items()


async def test_nothing_behind_a_gateway_leads_to_its_form(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """Not to that of a serial port."""
    async with TcpGateway([], framer="socket", timeout_s=0.05) as gateway:
        result = await begin(
            hass, "dct1_search_network", {"host": "127.0.0.1", "port": gateway.port}
        )
        result = await searched(hass, result)
    assert "dct1_network" in result["menu_options"]


async def test_a_meter_gone_since_it_was_found_makes_no_entry(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """It is asked once more before it is set up."""
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    result = await searched(hass, result)
    await line.cut()
    chosen = {"found": DCT1_SERIAL, "low_side_sensing": True}
    result = await answer(hass, result, chosen)
    assert result["errors"] == {"base": "unreachable"}
    await line.mend()
    result = await answer(hass, result, chosen)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_meter_set_up_in_another_dialogue_is_not_set_up_twice(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """Whoever chooses it second is told so."""
    place = {"device": line.path}
    first, second = [
        await searched(hass, await begin(hass, "dct1_search_serial", place))
        for _ in range(2)
    ]
    chosen = {"found": DCT1_SERIAL, "low_side_sensing": True}
    first = await answer(hass, first, chosen)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert first["type"] is FlowResultType.CREATE_ENTRY
    second = await answer(hass, second, chosen)
    assert second["reason"] == "already_configured"


@pytest.mark.parametrize(
    ("step", "form", "errors"),
    [
        ("dct1_search_serial", {"device": " "}, {"device": "empty"}),
        (
            "dct1_search_serial",
            {"device": "socket://127.0.0.1:502"},
            {"device": "use_gateway"},
        ),
        ("dct1_search_network", {"host": "a b", "port": 502}, {"host": "invalid_host"}),
    ],
)
async def test_a_place_that_is_none_is_said_so(
    hass: HomeAssistant, step: str, form: dict[str, Any], errors: dict[str, str]
) -> None:
    """Nothing is searched."""
    result = await begin(hass, step, form)
    assert result["errors"] == errors


async def test_a_port_that_does_not_open_is_said_so(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """The form comes back as it was filled in, and corrected it goes through."""
    result = await begin(hass, "dct1_search_serial", {"device": "/dev/no-such-port"})
    result = await searched(hass, result)
    assert result["step_id"] == "dct1_search_serial"
    assert result["errors"] == {"base": "unreachable"}
    assert suggested(result) == {"device": "/dev/no-such-port"}
    result = await searched(hass, await answer(hass, result, {"device": line.path}))
    assert result["step_id"] == "dct1_found"


async def test_a_line_with_settings_no_dct1_has_is_not_searched(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """Whoever holds it would be thrown off."""
    assert await async_setup_component(hass, "modbus", {})
    odd = ModbusSerialParams(device=line.path, baudrate=115200, parity="O")
    async with async_get_temporary_unit(hass, odd, 1):
        result = await begin(hass, "dct1_search_serial", {"device": line.path})
    assert result["errors"] == {"base": "line_in_use"}
    assert result["description_placeholders"] == {
        "holders": "–",
        "settings": "115200 baud 8O1",
    }


async def test_a_line_taken_during_the_search_ends_it(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """Another flow was faster with the next settings."""
    line.baud_rate = 9600
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    result = await searched(hass, result)
    other = ModbusSerialParams(device=line.path, baudrate=57600)
    async with async_get_temporary_unit(hass, other, 1):
        result = await answer(
            hass, result, {"found": "search_on", "low_side_sensing": True}
        )
        result = await searched(hass, result)
    assert result["errors"] == {"base": "line_in_use"}
    assert result["description_placeholders"]["settings"] == "57600 baud 8N1"


async def test_a_line_is_searched_by_one_at_a_time(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """Two would change each other's settings; who comes second hears what is in force."""
    await line.cut()
    place = {"device": line.path}
    first = await begin(hass, "dct1_search_serial", place)
    while not async_get_connection_info(hass):
        await asyncio.sleep(0.01)
    second = await begin(hass, "dct1_search_serial", place)
    assert second["errors"] == {"base": "line_in_use"}
    assert second["description_placeholders"] == {
        "holders": "–",
        "settings": "9600 baud 8N1",
    }
    hass.config_entries.flow.async_abort(first["flow_id"])
    while async_get_connection_info(hass):
        await asyncio.sleep(0.01)
    second = await answer(hass, second, place)
    assert second["type"] is FlowResultType.SHOW_PROGRESS
    hass.config_entries.flow.async_abort(second["flow_id"])


async def test_a_port_that_serves_something_else_is_not_searched(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """The radio on it would not understand."""
    plug_in(hass, await usb(hass), line.path)
    with radio_at(hass, line.path):
        result = await begin(hass, "dct1_search_serial", {"device": line.path})
    assert result["errors"] == {"base": "port_in_use"}
    assert result["description_placeholders"]["holders"] == "Zigbee"
    assert line.requests == 0


@pytest.mark.parametrize("end", ["close", "stop"])
async def test_a_search_leaves_nothing_behind(
    hass: HomeAssistant, line: SerialLine, end: str
) -> None:
    """Closing the dialogue and stopping Home Assistant end it, and the port is free."""
    line.baud_rate = 9600
    await line.cut()
    result = await begin(hass, "dct1_search_serial", {"device": line.path})
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    await asyncio.sleep(0.2)
    assert async_get_connection_info(hass)
    if end == "close":
        hass.config_entries.flow.async_abort(result["flow_id"])
    else:
        await hass.async_stop()
    await asyncio.sleep(0.2)
    assert not async_get_connection_info(hass)
    assert not [
        task
        for task in asyncio.all_tasks()
        if task.get_name() == f"{DOMAIN} search" and not task.done()
    ]


async def test_the_factory_address_of_an_iem_dcr_is_offered(
    hass: HomeAssistant,
) -> None:
    """Out of the box it is there."""
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    result = await answer(hass, result, {"next_step_id": "iem_dcr"})
    assert suggested(result)["url"] == "192.168.60.12"


@contextmanager
def radio_at(hass: HomeAssistant, path: str) -> Iterator[None]:
    """Have another integration use a port."""
    radio = MockConfigEntry(
        domain="zha",
        title="Zigbee",
        data={"device": {"path": path}},
        state=ConfigEntryState.LOADED,
    )
    radio.add_to_hass(hass)
    yield
    # It has no code here that could unload it.
    radio.mock_state(hass, ConfigEntryState.NOT_LOADED)


# The search from an entry whose meter is elsewhere


async def begin_again(
    hass: HomeAssistant, entry: MockConfigEntry, line: SerialLine
) -> ConfigFlowResult:
    """Search for the meter of an entry, at the port that is suggested: its own."""
    result = await entry.start_reconfigure_flow(hass)
    assert "dct1_search_network" in result["menu_options"]
    result = await answer(hass, result, {"next_step_id": "dct1_search_serial"})
    assert result["data_schema"] is not None
    (port,) = result["data_schema"].schema
    assert port.description == {"suggested_value": line.path}
    return await answer(hass, result, {"device": line.path})


async def test_a_meter_whose_baud_rate_changed_is_found_from_its_entry(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """The entry's own hold on the line is no obstacle, and its options stay."""
    options = {"low_side_sensing": False, "price": 0.3}
    hass.config_entries.async_update_entry(dct1_entry, options=options)
    await setup(dct1_entry)
    line.baud_rate = 9600
    result = await searched(hass, await begin_again(hass, dct1_entry, line))
    assert choices(result).keys() == {DCT1_SERIAL, "search_on"}
    assert result["data_schema"] is not None
    suggested = {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }
    assert suggested == {"low_side_sensing": False}
    result = await answer(hass, result, {"found": DCT1_SERIAL, **suggested})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["reason"] == "reconfigure_successful"
    assert dct1_entry.data == dct1_data(line, baudrate=9600)
    assert dct1_entry.options == options
    assert dct1_entry.state is ConfigEntryState.LOADED


async def test_a_meter_whose_address_changed_is_found_on_a_line_that_others_use(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """The others go on; one that nobody has set up is offered too, and refused by name."""
    line.connect(SimulatedDct1(address=2, serial_number=SECOND_SERIAL))
    line.connect(SimulatedDct1(address=4, serial_number="BY0000000004L"))
    other = MockConfigEntry(
        domain=DOMAIN,
        unique_id="BY0000000004L",
        data=dct1_data(line, address=4),
        options=dct1_entry.options,
    )
    other.add_to_hass(hass)
    hass.config_entries.async_update_entry(dct1_entry, data=dct1_data(line, address=3))
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    assert other.state is ConfigEntryState.LOADED
    result = await searched(hass, await begin_again(hass, dct1_entry, line))
    while "search_on" in choices(result):
        result = await answer(
            hass, result, {"found": "search_on", "low_side_sensing": True}
        )
        result = await searched(hass, result)
    assert choices(result).keys() == {DCT1_SERIAL, SECOND_SERIAL}
    wrong = {"found": SECOND_SERIAL, "low_side_sensing": True}
    result = await answer(hass, result, wrong)
    assert result["errors"] == {"base": "wrong_meter"}
    assert result["data_schema"] is not None
    # The own one is what was chosen already.
    result = await answer(hass, result, result["data_schema"]({}))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["reason"] == "reconfigure_successful"
    assert dct1_entry.data == dct1_data(line)
    assert other.runtime_data.coordinator.last_update_success


@pytest.mark.parametrize("end", ["close", "nothing"])
async def test_a_search_that_finds_nothing_puts_the_entry_back_to_work(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    end: str,
) -> None:
    """It is not read while its line is searched, and again when the search pauses."""
    await setup(dct1_entry)
    await line.cut()
    result = await begin_again(hass, dct1_entry, line)
    await asyncio.sleep(0.2)
    assert dct1_entry.state is ConfigEntryState.NOT_LOADED
    if end == "close":
        await line.mend()
        hass.config_entries.flow.async_abort(result["flow_id"])
    else:
        result = await searched(hass, result)
        assert result["menu_options"][1:] == [
            "dct1_search_serial",
            "reconfigure_dct1_serial",
        ]
        await line.mend()
    async with asyncio.timeout(15):
        while dct1_entry.state is not ConfigEntryState.LOADED:
            await asyncio.sleep(0.05)
    assert dct1_entry.data == dct1_data(line)


# The adapter


async def usb(hass: HomeAssistant) -> list[USBDevice]:
    """Return the adapters that Home Assistant sees, to be filled."""
    assert await async_setup_component(hass, "usb", {})
    adapters: list[USBDevice] = []
    async_register_serial_port_scanner(hass, lambda _: adapters)
    return adapters


def plug_in(
    hass: HomeAssistant, adapters: list[USBDevice], path: str, serial: str | None = "A1"
) -> None:
    """Plug an adapter in; where one with the serial number was, it is not any more."""
    adapters[:] = [
        USBDevice(
            device=path,
            vid="0403",
            pid="6001",
            serial_number=serial,
            manufacturer="FTDI",
            description="USB-RS485",
            interface_num=0,
        )
    ]


async def test_an_adapter_that_moved_is_followed(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    dct1: SimulatedDct1,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The entry goes on with the port at which its meter is now."""
    adapters = await usb(hass)
    plug_in(hass, adapters, line.path)
    await setup(dct1_entry)
    assert dct1_entry.data["adapter"] == "0403:6001:A1:0"
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    await line.cut(mode="unplugged")
    async with SerialLine([dct1], baud_rate=115200) as moved:
        plug_in(hass, adapters, moved.path)
        await setup(dct1_entry)
        assert dct1_entry.data["device"] == moved.path
        assert dct1_entry.unique_id == DCT1_SERIAL
        assert caplog.text.count("its adapter moved from") == 1
        await hass.config_entries.async_unload(dct1_entry.entry_id)
    assert not async_get_connection_info(hass)


async def test_an_adapter_that_moves_while_in_use_is_followed(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    dct1: SimulatedDct1,
) -> None:
    """No restart is needed."""
    adapters = await usb(hass)
    plug_in(hass, adapters, line.path)
    await setup(dct1_entry)
    await line.cut(mode="unplugged")
    await dct1_entry.runtime_data.coordinator.async_refresh()
    async with SerialLine([dct1], baud_rate=115200) as moved:
        plug_in(hass, adapters, moved.path)
        await hass.data["usb"].async_request_scan()
        await hass.async_block_till_done(wait_background_tasks=True)
        assert dct1_entry.state is ConfigEntryState.LOADED
        assert dct1_entry.data["device"] == moved.path
        await hass.config_entries.async_unload(dct1_entry.entry_id)


async def test_an_adapter_plugged_in_elsewhere_disturbs_no_meter_that_answers(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """A second one of a kind without serial numbers is another."""
    adapters = await usb(hass)
    plug_in(hass, adapters, line.path, None)
    await setup(dct1_entry)
    runtime_data = dct1_entry.runtime_data
    async with SerialLine([]) as other:
        plug_in(hass, adapters, other.path, None)
        await hass.data["usb"].async_request_scan()
        await hass.async_block_till_done(wait_background_tasks=True)
    assert dct1_entry.runtime_data is runtime_data
    assert dct1_entry.data["device"] == line.path


@pytest.mark.parametrize(
    ("serial", "found"),
    [("A1", SECOND_SERIAL), ("A1", None), ("B2", DCT1_SERIAL)],
    ids=["another meter", "no meter", "another adapter"],
)
async def test_only_the_own_meter_behind_the_own_adapter_is_followed(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    serial: str,
    found: str | None,
) -> None:
    """Anything else leaves the entry as it is."""
    adapters = await usb(hass)
    plug_in(hass, adapters, line.path)
    await setup(dct1_entry)
    before = dict(dct1_entry.data)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    await line.cut(mode="unplugged")
    meters = [] if found is None else [SimulatedDct1(serial_number=found)]
    async with SerialLine(meters, baud_rate=115200) as other:
        plug_in(hass, adapters, other.path, serial)
        await hass.config_entries.async_setup(dct1_entry.entry_id)
        assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
        assert dct1_entry.data == before
        assert (other.requests == 0) == (serial == "B2")


async def test_a_port_in_use_is_not_asked_for_a_moved_meter(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """Two adapters of one kind without serial numbers: the other serves a radio."""
    adapters = await usb(hass)
    plug_in(hass, adapters, line.path, None)
    await setup(dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    await line.cut(mode="unplugged")
    async with SerialLine([SimulatedDct1()], baud_rate=115200) as other:
        plug_in(hass, adapters, other.path, None)
        with radio_at(hass, other.path):
            await hass.config_entries.async_setup(dct1_entry.entry_id)
        assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
        assert other.requests == 0


async def test_two_adapters_that_changed_places_are_told_apart_by_their_meters(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    dct1: SimulatedDct1,
) -> None:
    """The wrong meter at the old port is no exchange when the right one is at the other."""
    adapters = await usb(hass)
    plug_in(hass, adapters, line.path, None)
    await setup(dct1_entry)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    dct1.exchange(serial_number=SECOND_SERIAL)
    async with SerialLine(
        [SimulatedDct1(serial_number=DCT1_SERIAL)], baud_rate=115200
    ) as other:
        plug_in(hass, adapters, other.path, None)
        await setup(dct1_entry)
        assert dct1_entry.data["device"] == other.path
        exchange = f"meter_exchanged_{dct1_entry.entry_id}"
        assert ir.async_get(hass).async_get_issue(DOMAIN, exchange) is None
        await hass.config_entries.async_unload(dct1_entry.entry_id)


# The line


async def rival_of(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    """Try to set up an entry for the same line, with other settings."""
    rival = MockConfigEntry(
        domain=DOMAIN,
        title="DCT1 B",
        unique_id=SECOND_SERIAL,
        data=entry.data | {"baudrate": 9600},
        options=entry.options,
    )
    rival.add_to_hass(hass)
    await hass.config_entries.async_setup(rival.entry_id)
    assert rival.state is ConfigEntryState.SETUP_RETRY
    return rival


def issue(hass: HomeAssistant, entry: MockConfigEntry) -> ir.IssueEntry | None:
    """Return the repair about the line of an entry."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"line_in_use_{entry.entry_id}")


async def test_whoever_holds_the_line_is_named(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    dct1: SimulatedDct1,
) -> None:
    """A repair tells who, and what to do; solved, it goes away by itself."""
    await setup(dct1_entry)
    rival = await rival_of(hass, dct1_entry)
    assert rival.error_reason_translation_key == "line_in_use"
    shown = issue(hass, rival)
    assert shown is not None
    assert shown.translation_placeholders == {
        "meter": "DCT1 B",
        "wanted": "9600 baud 8N1",
        "holders": "DCT1",
        "settings": "115200 baud 8N1",
    }
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    line.baud_rate = 9600
    dct1.exchange(serial_number=SECOND_SERIAL)
    await hass.config_entries.async_reload(rival.entry_id)
    assert rival.state is ConfigEntryState.LOADED
    assert issue(hass, rival) is None


async def test_an_entry_that_is_removed_leaves_no_repair(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """There is nothing to repair any more."""
    await setup(dct1_entry)
    rival = await rival_of(hass, dct1_entry)
    assert issue(hass, rival) is not None
    await hass.config_entries.async_remove(rival.entry_id)
    assert issue(hass, rival) is None


async def test_a_config_flow_on_the_line_is_nothing_to_repair(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, line: SerialLine
) -> None:
    """It is over in a moment, and the entry tries again."""
    assert await async_setup_component(hass, "modbus", {})
    other = ModbusSerialParams(device=line.path, baudrate=9600)
    async with async_get_temporary_unit(hass, other, 1):
        await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    assert issue(hass, dct1_entry) is None
