"""What nobody gets by asking: rights they do not have, other people's names, files elsewhere."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
import json
import logging
from pathlib import Path
from threading import Event, Thread
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
import voluptuous as vol

from custom_components.dc_meter.const import DOMAIN
from custom_components.dc_meter.downloads import LIFETIME
from custom_components.dc_meter.repairs import show_exchange
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from tests.metering.http_line import HttpLine, answer

from .conftest import (
    IEM_DCR_OPTIONS,
    IEM_SERIAL,
    device_of,
    entity_of,
    iem_dcr_data,
    state_of,
)
from .test_actions import call
from .test_export import export, receipt
from .test_websocket_api import Connect, guest, refusal, stranger

__all__ = ["guest", "receipt", "stranger"]

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

WHO = "04A2B1C4D5E680"


# Who may do what


LEAST: dict[str, dict[str, Any]] = {
    "start_transaction": {},
    "stop_transaction": {},
    "get_transaction": {},
    "get_receipts": {},
    "export_receipts": {"format": "csv"},
}
"""Every action and the least it is called with."""


async def test_nobody_without_rights_does_anything(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    hass_read_only_user: User,
) -> None:
    """Neither by an action that is there today nor by one that is forgotten here."""
    await setup(meter_entry)
    actions = hass.services.async_services_for_domain(DOMAIN)
    assert actions.keys() == LEAST.keys()
    for action, data in LEAST.items():
        with pytest.raises(Unauthorized):
            await hass.services.async_call(
                DOMAIN,
                action,
                {"device_id": device_of(hass, meter_entry), **data},
                blocking=True,
                return_response=True,
                context=Context(user_id=hass_read_only_user.id),
            )
    assert state_of(hass, meter_entry, "transaction_active") == "off"


async def test_a_meter_whose_switch_was_removed_is_for_administrators(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    guest: Connect,
    hass_admin_user: User,
    hass_read_only_user: User,
) -> None:
    """Nobody gets rights by there being nothing to have rights to."""
    await setup(dct1_entry)
    device = {"device_id": device_of(hass, dct1_entry)}
    er.async_get(hass).async_remove(entity_of(hass, dct1_entry, "transaction"))

    async def start_and_stop(user: User) -> None:
        for action in ("start_transaction", "stop_transaction"):
            await hass.services.async_call(
                DOMAIN, action, device, blocking=True, context=Context(user_id=user.id)
            )

    with pytest.raises(Unauthorized):
        await start_and_stop(hass_read_only_user)
    assert await refusal(await guest(), "subscribe_session", **device) == "unauthorized"
    await start_and_stop(hass_admin_user)


async def test_no_command_of_the_card_tells_a_stranger_anything(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    stranger: Connect,
) -> None:
    """None that is there today, and none that is forgotten here."""
    await setup(meter_entry)
    commands = {
        command.removeprefix(f"{DOMAIN}/")
        for command in hass.data["websocket_api"]
        if command.startswith(f"{DOMAIN}/")
    }
    assert commands == {"meters", "subscribe_session", "receipts"}
    client = await stranger()
    for command in commands - {"meters"}:
        device = device_of(hass, meter_entry)
        assert await refusal(client, command, device_id=device) == "unauthorized"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("config/config_entries/flow", {"handler": DOMAIN}),
        ("config/config_entries/options/flow", {"handler": "{entry}"}),
        (
            "repairs/issues/fix",
            {"handler": DOMAIN, "issue_id": "meter_exchanged_{entry}"},
        ),
    ],
)
async def test_only_administrators_set_up_and_decide(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    hass_client: ClientSessionGenerator,
    hass_read_only_access_token: str,
    socket_enabled: None,
    path: str,
    data: dict[str, str],
) -> None:
    """Meters, their options, and what is asked in a repair."""
    for component in ("config", "repairs"):
        assert await async_setup_component(hass, component, {})
    await setup(meter_entry)
    show_exchange(hass, meter_entry, {"expected": "A", "found": "B"})
    asked = {
        name: value.format(entry=meter_entry.entry_id) for name, value in data.items()
    }
    administrator = await hass_client()
    assert (await administrator.post(f"/api/{path}", json=asked)).status == 200
    client = await hass_client(hass_read_only_access_token)
    assert (await client.post(f"/api/{path}", json=asked)).status in (401, 403)


async def test_diagnostics_are_for_administrators(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    hass_client: ClientSessionGenerator,
    hass_read_only_access_token: str,
    socket_enabled: None,
) -> None:
    assert await async_setup_component(hass, "diagnostics", {})
    await setup(meter_entry)
    path = f"/api/diagnostics/config_entry/{meter_entry.entry_id}"
    administrator = await hass_client()
    assert (await administrator.get(path)).status == 200
    client = await hass_client(hass_read_only_access_token)
    assert (await client.get(path)).status in (401, 403)


# Keys and verdicts


@pytest.mark.parametrize("action", LEAST)
@pytest.mark.parametrize(
    "name", ["verdict_reason", "public_key", "trusted_key", "judgement", "billable"]
)
async def test_no_action_takes_a_key_or_a_verdict(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    action: str,
    name: str,
) -> None:
    """They are computed from what the meter signed; a key is trusted in a repair."""
    await setup(dct1_entry)
    with pytest.raises(vol.Invalid, match="not a valid option|extra keys"):
        await hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device_of(hass, dct1_entry), **LEAST[action], name: "valid"},
            blocking=True,
            return_response=True,
        )


async def test_what_a_user_adds_to_a_session_is_no_part_of_its_verdict(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """It stays where it was put, whatever it is called."""
    await setup(iem_dcr_entry)
    claimed = {
        "verdict": {"verdict": "claimed", "reason": "claimed", "billable": "claimed"},
        "record": {"number": "claimed", "hash": "claimed"},
        "session": {"energy_import_wh": "claimed", "cost": "claimed"},
        "energy_import_wh": "claimed",
    }
    await call(hass, iem_dcr_entry, "start", user_data=claimed)
    answer = await call(hass, iem_dcr_entry, "stop")
    assert answer["session"].pop("user_data") == claimed
    assert answer["verdict"]["reason"] == "genuine"
    assert "claimed" not in str(answer)


# Data that is only data


@pytest.mark.parametrize(
    "text",
    [
        "'); DROP TABLE record; --",
        '" OR "1"="1',
        "%' OR 1=1 --",
        "$.session.request.identification_data",
        "*",
        "%",
    ],
)
async def test_no_text_is_taken_for_sql(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup, text: str
) -> None:
    """Neither as an id nor as a user: each finds what is called so and nothing else."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", transaction_id="other")
    await call(hass, iem_dcr_entry, "stop")
    await call(hass, iem_dcr_entry, "start", transaction_id=text, client_id=text)
    await call(hass, iem_dcr_entry, "stop")
    for query in ({"transaction_id": text}, {"user": text}):
        found = await hass.services.async_call(
            DOMAIN, "get_receipts", query, blocking=True, return_response=True
        )
        assert found is not None
        assert [one["transaction_id"] for one in found["receipts"]] == [text]  # type: ignore[index, union-attr, call-overload] # JSON of ours


async def test_what_a_meter_sends_begins_no_line_of_the_log(
    hass: HomeAssistant,
    iem_dcr: SimulatedIemDcr,
    server: IemDcrServer,
    setup: Setup,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not even when it is quoted as what is wrong, and it fills no disk."""
    async with HttpLine(server.url) as line:
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id=IEM_SERIAL,
            data={**iem_dcr_data(server), "url": line.url},
            options=IEM_DCR_OPTIONS,
        )
        entry.add_to_hass(hass)
        await setup(entry)
        value = json.dumps(iem_dcr.get_metervalue())
        forged = "kWh\\n2026-07-01 ERROR forged\\r\\u001b[31m" + "x" * 5000
        line.strike("GET metervalue", answer(value.replace("kWh", forged)), times=2)
        await entry.runtime_data.coordinator.async_refresh()
        await hass.config_entries.async_unload(entry.entry_id)
    told = [record.getMessage() for record in caplog.records]
    [quoted] = [message for message in told if "forged" in message]
    assert quoted.isprintable()
    assert len(quoted) < 1000


async def test_no_log_tells_who_charged(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever is logged of a session, of a refusal and of a restart."""
    caplog.set_level(logging.DEBUG)
    personal = {"identification_data": WHO, "client_id": WHO, "user_data": {"who": WHO}}
    await setup(meter_entry)
    await call(hass, meter_entry, "start", transaction_id="T", **personal)
    with pytest.raises(ServiceValidationError):
        await call(hass, meter_entry, "start", transaction_id="T", **personal)
    await hass.config_entries.async_reload(meter_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await call(hass, meter_entry, "stop")
    ours = [
        record
        for record in caplog.records
        if record.name.startswith("custom_components")
    ]
    assert ours
    assert not [one for one in ours if WHO in one.getMessage()]


# Files


async def test_a_download_is_gone_when_its_time_is_over(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    hass_client: ClientSessionGenerator,
    hass_admin_user: User,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Also for the one who asked, who needs no signature."""
    made = await export(hass, hass_admin_user, format="csv")
    client = await hass_client()
    bare = made["url"].partition("?")[0]
    assert (await client.get(bare)).status == 200
    freezer.tick(LIFETIME + timedelta(seconds=1))
    async_fire_time_changed(hass)
    assert (await client.get(made["url"])).status == 404
    assert (await client.get(bare)).status == 404


async def test_a_signed_address_expires(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    hass_client_no_auth: ClientSessionGenerator,
    hass_admin_user: User,
    hass_admin_credential: Any,
    freezer: FrozenDateTimeFactory,
) -> None:
    """By itself: it would lead nowhere even to a file that is still there."""
    await hass.auth.async_create_refresh_token(
        hass_admin_user, "http://127.0.0.1", credential=hass_admin_credential
    )
    made = await export(hass, hass_admin_user, format="csv")
    client = await hass_client_no_auth()
    assert (await client.get(made["url"])).status == 200
    freezer.tick(LIFETIME + timedelta(seconds=1))
    assert (await client.get(made["url"])).status == 401


async def test_a_download_is_not_for_a_user_without_rights(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    hass_client: ClientSessionGenerator,
    hass_read_only_access_token: str,
    hass_admin_user: User,
) -> None:
    """Whoever learns of an address gets nothing by a login of their own."""
    made = await export(hass, hass_admin_user, format="csv")
    client = await hass_client(hass_read_only_access_token)
    assert (await client.get(made["url"].partition("?")[0])).status == 403


@pytest.fixture
def folders(hass: HomeAssistant, tmp_path: Path) -> tuple[Path, Path]:
    """Make a folder that exports may be written into, and one that they may not."""
    allowed, forbidden = tmp_path / "allowed", tmp_path / "forbidden"
    allowed.mkdir()
    forbidden.mkdir()
    hass.config.allowlist_external_dirs = {str(allowed)}
    return allowed, forbidden


@pytest.mark.parametrize(
    "way",
    [
        "allowed/link",
        "allowed/../forbidden",
        "allowed/link/..",
        "/",
        "allowed-not",
        "missing",
    ],
)
async def test_no_way_leads_out_of_the_allowed_folders(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    folders: tuple[Path, Path],
    way: str,
) -> None:
    """Neither a link nor dots; and whether there is such a folder is not told either."""
    allowed, forbidden = folders
    (allowed / "link").symlink_to(forbidden)
    (allowed.parent / "allowed-not").mkdir()
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    await call(hass, dct1_entry, "stop")
    with pytest.raises(ServiceValidationError) as refusal:
        await export(hass, format="csv", folder=str(allowed.parent / way))
    assert refusal.value.translation_key == "folder_not_allowed"
    assert not list(forbidden.iterdir())


async def test_a_folder_that_cannot_be_one_is_refused(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    await setup(dct1_entry)
    with pytest.raises(vol.Invalid):
        await export(hass, format="csv", folder="/media/a\0/b")


@contextmanager
def turning(link: Path, *targets: Path) -> Iterator[None]:
    """Let a link lead to one folder and then to the other, as fast as can be."""
    done = Event()

    def turn() -> None:
        anew = link.with_name("anew")
        while not done.is_set():
            for target in targets:
                anew.symlink_to(target)
                anew.rename(link)

    thread = Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def test_a_link_that_turns_behind_the_check_leads_nowhere(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    folders: tuple[Path, Path],
) -> None:
    """What was checked is what is written into."""
    allowed, forbidden = folders
    inside = allowed / "inside"
    inside.mkdir()
    link = allowed / "link"
    link.symlink_to(inside)
    await setup(dct1_entry)
    await call(hass, dct1_entry, "start")
    await call(hass, dct1_entry, "stop")
    with turning(link, inside, forbidden):
        for _ in range(60):
            with suppress(ServiceValidationError):
                await export(hass, format="csv", folder=str(link))
    assert not list(forbidden.iterdir())
