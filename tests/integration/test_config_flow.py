"""Every way through the config flow, with meters that answer and meters that do not."""

from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

from modbus_connection import ModbusSerialParams
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_socket import socket_allow_hosts

from custom_components.dc_meter.config_flow import DcMeterConfigFlow
from custom_components.dc_meter.const import DOMAIN
from homeassistant.components.modbus import async_get_temporary_unit
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from simulators.line import SerialLine, TcpGateway

from .conftest import (
    CHARGE_POINT,
    DCT1_SERIAL,
    IEM_DCR_OPTIONS,
    IEM_SERIAL,
    dct1_data,
    device_of,
    iem_dcr_data,
    state_of,
)

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

ADVANCED = {
    "clock_interval": 2,
    "retries": 3,
    "retry_delay": 250,
    "show_user_id": False,
}


def serial_form(line: SerialLine, **changes: Any) -> dict[str, Any]:
    """Return what a user enters for the DCT1 on this line."""
    return {
        "device": line.path,
        "baudrate": "115200",
        "parity": "none",
        "stopbits": "1",
        "address": 1,
        "low_side_sensing": True,
    } | changes


def network_form(gateway: TcpGateway, framer: str, **changes: Any) -> dict[str, Any]:
    """Return what a user enters for the DCT1 behind this gateway."""
    return {
        "host": "127.0.0.1",
        "port": gateway.port,
        "framer": framer,
        "address": 1,
        "low_side_sensing": True,
    } | changes


def iem_dcr_form(server: IemDcrServer, **changes: Any) -> dict[str, Any]:
    """Return what a user enters for this IEM-DCR."""
    return {
        "url": server.url,
        "charge_point_type": CHARGE_POINT[0],
        "charge_point_id": CHARGE_POINT[1],
        "tariff_text": "0,39 EUR/kWh",
        "advanced": ADVANCED,
    } | changes


def charge_point_of(meter: SimulatedIemDcr) -> tuple[str, str]:
    """Return what the meter puts into its receipts until it is switched off."""
    gw = meter.get_gw()
    return gw["CT"], gw["CI"]


async def walk(hass: HomeAssistant, *choices: str) -> ConfigFlowResult:
    """Start the flow and choose from its menus."""
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    for choice in choices:
        assert result["type"] is FlowResultType.MENU
        assert choice in result["menu_options"]
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": choice}
        )
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {}
    return result


async def submit(
    hass: HomeAssistant, result: ConfigFlowResult, form: dict[str, Any]
) -> ConfigFlowResult:
    """Submit a form."""
    answer = await hass.config_entries.flow.async_configure(result["flow_id"], form)
    await hass.async_block_till_done(wait_background_tasks=True)
    return answer


def test_progress_is_shown_once_for_each_percent() -> None:
    """Each update goes to whoever has the page open."""
    flow, shown = DcMeterConfigFlow(), list[float]()
    with patch.object(flow, "async_update_progress", shown.append):
        show = flow._show_progress()  # noqa: SLF001, a search has other numbers each time
        for share in (0.101, 0.102, 0.109, 0.11, 0.5, 0.5):
            show(share)
    assert shown == [0.1, 0.11, 0.5]


async def test_a_dct1_on_a_serial_port(hass: HomeAssistant, line: SerialLine) -> None:
    """The meter is asked who it is, and the entry is named after it."""
    form = await walk(hass, "dct1", "dct1_serial")
    result = await submit(hass, form, serial_form(line))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"DCT1 {DCT1_SERIAL}"
    assert result["result"].unique_id == DCT1_SERIAL
    assert result["data"] == dct1_data(line)
    assert result["options"] == {"low_side_sensing": True}
    assert result["result"].state is ConfigEntryState.LOADED


@pytest.mark.parametrize("framer", ["rtu", "socket"])
async def test_a_dct1_behind_a_gateway(
    hass: HomeAssistant, dct1: SimulatedDct1, socket_enabled: None, framer: Any
) -> None:
    """Both kinds of gateway carry the meter."""
    async with TcpGateway([dct1], baud_rate=115200, framer=framer) as gateway:
        form = await walk(hass, "dct1", "dct1_network")
        result = await submit(hass, form, network_form(gateway, framer))
        assert result["type"] is FlowResultType.CREATE_ENTRY
        entry = result["result"]
        assert entry.state is ConfigEntryState.LOADED
        assert state_of(hass, entry, "energy_import") == "446.540"
        await hass.config_entries.async_unload(entry.entry_id)


async def test_an_iem_dcr(
    hass: HomeAssistant, server: IemDcrServer, iem_dcr: SimulatedIemDcr
) -> None:
    """The meter is initialised with what was entered, once it is an entry."""
    form = await walk(hass, "iem_dcr")
    result = await submit(hass, form, iem_dcr_form(server))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"IEM-DCR {IEM_SERIAL}"
    assert result["data"] == iem_dcr_data(server)
    assert result["options"] == IEM_DCR_OPTIONS
    assert charge_point_of(iem_dcr) == CHARGE_POINT


@pytest.mark.parametrize("prefix", ["", "http://", "HTTP://", "  "])
async def test_a_bare_address_is_enough(
    hass: HomeAssistant, server: IemDcrServer, prefix: str
) -> None:
    """What is left out of an address is completed."""
    form = await walk(hass, "iem_dcr")
    address = prefix + server.url.removeprefix("http://")
    result = await submit(hass, form, iem_dcr_form(server, url=address))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["url"] == server.url


@pytest.mark.parametrize(
    ("changes", "field", "error"),
    [
        ({"url": "ftp://127.0.0.1"}, "url", "invalid_url"),
        ({"url": "http://127.0.0.1/path"}, "url", "invalid_url"),
        ({"url": "http://127.0.0.1:99999"}, "url", "invalid_url"),
        ({"url": "http://user@127.0.0.1"}, "url", "invalid_url"),
        ({"url": "two words"}, "url", "invalid_url"),
        ({"url": ""}, "url", "invalid_url"),
        ({"url": "http://:pw@127.0.0.1"}, "url", "invalid_url"),
        ({"url": "http://127.0.\n0.1"}, "url", "invalid_url"),
        ({"url": "http://127.0.0.1\x7f"}, "url", "invalid_url"),
        ({"url": "http://xn--:1"}, "url", "invalid_url"),
        ({"url": "http://\ud800"}, "url", "invalid_url"),
        ({"url": "0:1"}, "url", "invalid_url"),
        ({"url": "127.0.0.1:0"}, "url", "invalid_url"),
        ({"url": "http://127.0.0.1:9"}, "url", "unreachable"),
        ({"url": "::1"}, "url", "unreachable"),
        ({"url": "[::1]:9"}, "url", "unreachable"),
        ({"charge_point_type": " "}, "charge_point_type", "empty"),
        ({"charge_point_id": ""}, "charge_point_id", "empty"),
        ({"charge_point_type": "a|b"}, "charge_point_type", "text_uncarriable"),
        ({"charge_point_id": "a\nb"}, "charge_point_id", "text_uncarriable"),
        ({"charge_point_id": "x" * 251}, "charge_point_id", "text_too_long"),
        ({"tariff_text": "x" * 251}, "tariff_text", "text_too_long"),
        ({"tariff_text": "\ud800"}, "tariff_text", "text_uncarriable"),
    ],
)
async def test_what_is_wrong_with_an_iem_dcr_is_said_at_its_field(
    hass: HomeAssistant,
    server: IemDcrServer,
    iem_dcr: SimulatedIemDcr,
    changes: dict[str, Any],
    field: str,
    error: str,
) -> None:
    """The form names the field, nothing is sent, and corrected it goes through."""
    socket_allow_hosts(["127.0.0.1", "::1"])
    form = await walk(hass, "iem_dcr")
    result = await submit(hass, form, iem_dcr_form(server, **changes))
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {field: error}
    assert charge_point_of(iem_dcr) == ("", "")
    result = await submit(hass, result, iem_dcr_form(server))
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"address": 2}, "device"),
        ({"device": "/dev/no-such-port"}, "device"),
    ],
)
async def test_a_dct1_that_does_not_answer_makes_no_entry(
    hass: HomeAssistant, line: SerialLine, changes: dict[str, Any], field: str
) -> None:
    """A wrong address or port is refused, and corrected it goes through."""
    form = await walk(hass, "dct1", "dct1_serial")
    result = await submit(hass, form, serial_form(line, **changes))
    assert result["errors"] == {field: "unreachable"}
    result = await submit(hass, result, serial_form(line))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_an_empty_port_is_said_so(hass: HomeAssistant, line: SerialLine) -> None:
    """Spaces are no port."""
    form = await walk(hass, "dct1", "dct1_serial")
    result = await submit(hass, form, serial_form(line, device=" "))
    assert result["errors"] == {"device": "empty"}


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "http://gateway",
        "user@gateway",
        "gateway:502",
        "127.0.0.1:1",
        "gate\nway",
        "gate\0way",
        "\ud800",
        "xn--",
    ],
)
async def test_a_host_that_is_none_is_said_so(hass: HomeAssistant, host: str) -> None:
    """Only a host name or an address is taken."""
    form = await walk(hass, "dct1", "dct1_network")
    result = await submit(
        hass,
        form,
        {
            "host": host,
            "port": 502,
            "framer": "socket",
            "address": 1,
            "low_side_sensing": True,
        },
    )
    assert result["errors"] == {"host": "invalid_host"}


async def test_something_else_on_the_line_makes_no_entry(
    hass: HomeAssistant, line: SerialLine
) -> None:
    """A device that refuses the meter's registers is not taken for one."""
    line.exception(count=20, code=2)
    form = await walk(hass, "dct1", "dct1_serial")
    result = await submit(hass, form, serial_form(line))
    assert result["errors"] == {"base": "unexpected_answer"}


async def test_a_line_in_use_with_other_settings_is_refused(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """The form says who holds the line; what holds it goes on."""
    await setup(dct1_entry)
    form = await walk(hass, "dct1", "dct1_serial")
    result = await submit(hass, form, serial_form(line, baudrate="9600"))
    assert result["errors"] == {"base": "line_in_use"}
    assert result["description_placeholders"] == {
        "holders": "DCT1",
        "settings": "115200 baud 8N1",
    }
    assert dct1_entry.state is ConfigEntryState.LOADED


async def test_the_same_meter_is_not_added_twice(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """The serial number tells, not the address."""
    await setup(meter_entry)
    data = meter_entry.data
    if data["meter"] == "dct1":
        form = await walk(hass, "dct1", "dct1_serial")
        entered = {
            "device": data["device"],
            "baudrate": "115200",
            "parity": "none",
            "stopbits": "1",
            "address": 1,
            "low_side_sensing": True,
        }
    else:
        form = await walk(hass, "iem_dcr")
        entered = {
            "url": data["url"],
            "charge_point_type": "EVSEID",
            "charge_point_id": "DE*DCM*E1",
            "advanced": ADVANCED,
        }
    result = await submit(hass, form, entered)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_an_iem_dcr_that_is_known_is_told_nothing(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    server: IemDcrServer,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Adding it once more does not freeze another charge point in it."""
    form = await walk(hass, "iem_dcr")
    entered = iem_dcr_form(server, charge_point_id="DE*DCM*E9", tariff_text="other")
    result = await submit(hass, form, entered)
    assert result["reason"] == "already_configured"
    assert charge_point_of(iem_dcr) == ("", "")
    assert iem_dcr.describe()["tariff_text"] == ""


async def test_an_iem_dcr_without_a_tariff_text_is_reconfigured(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
) -> None:
    options = {**iem_dcr_entry.options}
    del options["tariff_text"]
    hass.config_entries.async_update_entry(iem_dcr_entry, options=options)
    await setup(iem_dcr_entry)
    result = await iem_dcr_entry.start_reconfigure_flow(hass)
    result = await submit(
        hass,
        result,
        {
            "url": server.url,
            "charge_point_type": CHARGE_POINT[0],
            "charge_point_id": CHARGE_POINT[1],
        },
    )
    assert result["reason"] == "reconfigure_successful"
    assert iem_dcr_entry.options == options


async def test_an_iem_dcr_of_another_charge_point_is_told_nothing(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """A slip in the address costs that one neither its charge point nor its clock."""
    await setup(iem_dcr_entry)
    other = SimulatedIemDcr(serial_number="1ISA0299999999")
    async with IemDcrServer(other) as server:
        result = await iem_dcr_entry.start_reconfigure_flow(hass)
        result = await submit(
            hass,
            result,
            {
                "url": server.url,
                "charge_point_type": CHARGE_POINT[0],
                "charge_point_id": CHARGE_POINT[1],
            },
        )
        assert result["errors"] == {"base": "wrong_meter"}
        assert charge_point_of(other) == ("", "")
        assert other.describe()["clock"].endswith("U")


async def test_a_dct1_moves_to_another_line(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, dct1: SimulatedDct1
) -> None:
    """Reconfiguring keeps the meter's entities and options."""
    await setup(dct1_entry)
    before = {state.entity_id for state in hass.states.async_all()}
    async with SerialLine([dct1], baud_rate=115200) as other:
        result = await dct1_entry.start_reconfigure_flow(hass)
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": "reconfigure_dct1_serial"}
        )
        result = await submit(hass, result, serial_form(other, low_side_sensing=False))
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] == "reconfigure_successful"
        assert dct1_entry.data == dct1_data(other)
        assert dct1_entry.options == {"low_side_sensing": False}
        assert dct1_entry.state is ConfigEntryState.LOADED
        assert {state.entity_id for state in hass.states.async_all()} == before
        await hass.config_entries.async_unload(dct1_entry.entry_id)


async def test_a_dct1_moves_behind_a_gateway(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    socket_enabled: None,
) -> None:
    """From the serial port to the network, nothing of the old link is kept."""
    await setup(dct1_entry)
    async with TcpGateway([dct1], baud_rate=115200, framer="socket") as gateway:
        result = await dct1_entry.start_reconfigure_flow(hass)
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": "reconfigure_dct1_network"}
        )
        result = await submit(hass, result, network_form(gateway, "socket"))
        assert result["reason"] == "reconfigure_successful"
        assert "device" not in dct1_entry.data
        assert dct1_entry.state is ConfigEntryState.LOADED
        await hass.config_entries.async_unload(dct1_entry.entry_id)


@pytest.mark.parametrize("framer", ["rtu", "socket"])
async def test_a_dct1_that_moves_keeps_its_history(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    socket_enabled: None,
    framer: Any,
) -> None:
    """Device, entities and receipts are those of before."""
    await setup(dct1_entry)
    device_id = device_of(hass, dct1_entry)
    for action in ("start_transaction", "stop_transaction"):
        await hass.services.async_call(
            DOMAIN, action, {"device_id": device_id}, blocking=True
        )

    async def history() -> list[Any]:
        receipts = await hass.services.async_call(
            DOMAIN,
            "get_receipts",
            {"device_id": device_id},
            blocking=True,
            return_response=True,
        )
        entities = er.async_entries_for_config_entry(
            er.async_get(hass), dct1_entry.entry_id
        )
        return [
            device_of(hass, dct1_entry),
            sorted((entity.id, entity.entity_id) for entity in entities),
            receipts,
        ]

    before = await history()
    async with TcpGateway([dct1], baud_rate=115200, framer=framer) as gateway:
        result = await dct1_entry.start_reconfigure_flow(hass)
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": "reconfigure_dct1_network"}
        )
        result = await submit(hass, result, network_form(gateway, framer))
        assert result["reason"] == "reconfigure_successful"
        assert await history() == before
        await hass.config_entries.async_unload(dct1_entry.entry_id)


async def test_a_dct1_does_not_move_where_it_cannot_be(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """Nobody there, or a line in use with other settings: all stays as it was."""
    await setup(dct1_entry)
    data, runtime_data = dict(dct1_entry.data), dct1_entry.runtime_data
    async with SerialLine([], baud_rate=115200) as other:
        result = await dct1_entry.start_reconfigure_flow(hass)
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": "reconfigure_dct1_serial"}
        )
        result = await submit(hass, result, serial_form(other))
        assert result["errors"] == {"device": "unreachable"}
        held = ModbusSerialParams(device=other.path, baudrate=9600)
        async with async_get_temporary_unit(hass, held, 1):
            result = await submit(hass, result, serial_form(other))
        assert result["errors"] == {"base": "line_in_use"}
    assert dct1_entry.data == data
    assert dct1_entry.runtime_data is runtime_data


async def test_new_settings_of_the_same_line_are_tried_and_given_up(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """The entry's own hold on the line is no obstacle, and a failure puts it back to work."""
    await setup(dct1_entry)
    result = await dct1_entry.start_reconfigure_flow(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "reconfigure_dct1_serial"}
    )
    result = await submit(hass, result, serial_form(line, baudrate="9600"))
    assert result["errors"] == {"device": "unreachable"}
    assert dct1_entry.state is ConfigEntryState.LOADED
    line.baud_rate = 9600
    result = await submit(hass, result, serial_form(line, baudrate="9600"))
    assert result["reason"] == "reconfigure_successful"
    assert dct1_entry.data["baudrate"] == 9600
    assert dct1_entry.state is ConfigEntryState.LOADED


async def test_another_meter_is_no_new_place_of_this_one(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """A wrong meter is refused by name, and the entry stays as it was."""
    await setup(dct1_entry)
    line.connect(SimulatedDct1(address=2, serial_number="BY0000000000X"))
    result = await dct1_entry.start_reconfigure_flow(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "reconfigure_dct1_serial"}
    )
    result = await submit(hass, result, serial_form(line, address=2))
    assert result["errors"] == {"base": "wrong_meter"}
    assert result["description_placeholders"] == {
        "expected": DCT1_SERIAL,
        "found": "BY0000000000X",
    }
    assert dct1_entry.data == dct1_data(line)


async def test_an_iem_dcr_moves_and_keeps_its_options(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """Reconfiguring asks only for address and charge point."""
    await setup(iem_dcr_entry)
    result = await iem_dcr_entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "reconfigure_iem_dcr"
    result = await submit(
        hass,
        result,
        {
            "url": iem_dcr_entry.data["url"],
            "charge_point_type": "EVSEID",
            "charge_point_id": "DE*DCM*E2",
        },
    )
    assert result["reason"] == "reconfigure_successful"
    assert iem_dcr_entry.data["charge_point_id"] == "DE*DCM*E2"
    assert iem_dcr_entry.options == IEM_DCR_OPTIONS


async def test_options_of_a_dct1(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """The wiring can be corrected: import and export change places."""
    await setup(dct1_entry)
    result = await hass.config_entries.options.async_init(dct1_entry.entry_id)
    assert result["step_id"] == "dct1"
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"low_side_sensing": False, "economy": {}}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, dct1_entry, "energy_import") == "4.881"


async def test_options_of_an_iem_dcr(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """The text is checked, and the meter shows the new one."""
    await setup(iem_dcr_entry)
    result = await hass.config_entries.options.async_init(iem_dcr_entry.entry_id)
    assert result["step_id"] == "iem_dcr"
    for text, error in {
        "x" * 251: "text_too_long",
        "a|b": "text_uncarriable",
        "two\nlines": "text_uncarriable",
    }.items():
        result = await hass.config_entries.options.async_configure(
            result["flow_id"],
            {"tariff_text": text, "advanced": ADVANCED, "economy": {}},
        )
        assert result["errors"] == {"tariff_text": error}
    result = await hass.config_entries.options.async_configure(
        result["flow_id"],
        {
            "tariff_text": "0,10 EUR/kWh",
            "advanced": ADVANCED | {"retries": 1},
            "economy": {},
        },
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    assert iem_dcr_entry.options["retries"] == 1
    assert state_of(hass, iem_dcr_entry, "tariff_text") == "0,10 EUR/kWh"


async def test_a_tariff_text_that_is_emptied_is_taken_out_of_the_meter(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Else it would be signed into every receipt to come, and told as none."""
    await setup(iem_dcr_entry)
    assert iem_dcr.describe()["tariff_text"] == "0,39 EUR/kWh"
    result = await hass.config_entries.options.async_init(iem_dcr_entry.entry_id)
    await hass.config_entries.options.async_configure(
        result["flow_id"], {"advanced": ADVANCED, "economy": {}}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert iem_dcr.describe()["tariff_text"] == ""
    assert state_of(hass, iem_dcr_entry, "tariff_text") == ""


async def test_options_can_make_recording_economical(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Bounds come from the section of the form, and are offered again as they were chosen."""
    await setup(meter_entry)
    kind: dict[str, Any] = (
        {"low_side_sensing": True}
        if meter_entry.data["meter"] == "dct1"
        else {"advanced": ADVANCED}
    )
    bounds = {
        "voltage_bound": 1.5,
        "current_bound": 0.5,
        "power_bound": 200.0,
        "longest_wait": 30.0,
    }
    result = await hass.config_entries.options.async_init(meter_entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], kind | {"recording": "economical", "economy": bounds}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    assert meter_entry.options["recording"] == "economical"
    assert bounds.items() <= meter_entry.options.items()
    result = await hass.config_entries.options.async_init(meter_entry.entry_id)
    offered = result["data_schema"].schema["economy"].schema.schema
    assert {str(key): key.description["suggested_value"] for key in offered} == bounds
