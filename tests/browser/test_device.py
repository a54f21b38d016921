"""A meter among Home Assistant's own pages: device, options, switch, action tool, repairs."""

from collections.abc import AsyncIterator

from playwright.async_api import Locator, Page, expect
import pytest
import pytest_asyncio

from demo.meters import CHARGE_POINT_ID, DOMAIN, Meter
from demo.stage import Stage

from .conftest import (
    PHONE,
    Opener,
    TakePicture,
    accessibility_flaws,
    entry_of,
    loaded,
    pause_car,
    state_of,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

INTEGRATION = f"/config/integrations/integration/{DOMAIN}"


@pytest_asyncio.fixture(loop_scope="session")
async def no_current(home: Stage, iem_dcr: Meter) -> AsyncIterator[None]:
    """Let the car pause, for an IEM-DCR begins and ends only then; leave no transaction."""
    await pause_car(home)
    yield
    await home.client.action(DOMAIN, "stop_transaction", device_id=iem_dcr.device_id)
    await home.simulation.steer_car(curve=True)


def device_page(meter: Meter) -> str:
    return f"/config/devices/device/{meter.device_id}"


async def repair(page: Page, title: str) -> Locator:
    """Open a repair; returns its dialog."""
    await page.goto("/config/repairs")
    await page.get_by_text(title).first.click()
    return page.locator("dialog-repairs-issue, dialog-data-entry-flow")


async def no_repair(page: Page) -> None:
    """See that nothing is left to repair."""
    await page.goto("/config/repairs")
    await expect(page.get_by_text("There are currently no repairs")).to_be_visible()


async def test_a_device_shows_what_its_meter_measures(
    page: Page, iem_dcr: Meter, take_picture: TakePicture
) -> None:
    await page.goto(device_page(iem_dcr))
    main = page.locator("ha-config-device-page")
    await expect(main).to_contain_text("IEM-DCR by Isabellenhütte")
    for name in ("Energy import", "Power", "Voltage", "Transaction", "Clock state"):
        await expect(main.get_by_text(name, exact=True).first).to_be_visible()
    await expect(main.get_by_text("Informative").first).to_be_visible()
    await take_picture(page, "device")


async def test_a_device_fits_a_phone_in_the_dark(
    open_window: Opener, dct1: Meter, take_picture: TakePicture
) -> None:
    page = await open_window(viewport=PHONE, color_scheme="dark", locale="de-DE")
    await page.goto(device_page(dct1))
    await expect(page.get_by_text("Energy import").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await take_picture(page, "device-phone-dark")


async def test_a_transaction_runs_by_its_switch(
    page: Page, home: Stage, dct1: Meter
) -> None:
    await page.goto(device_page(dct1))
    switch = page.get_by_role("switch", name="Transaction")
    await switch.press("Space")
    await until(lambda: state_of(home, dct1, "transaction_active"), "on")
    await expect(switch).to_be_checked()
    await expect(page.get_by_text("Transaction started").first).to_be_visible()
    await switch.press("Space")
    await until(lambda: state_of(home, dct1, "transaction_active"), "off")
    await expect(page.get_by_text("Transaction stopped").first).to_be_visible()


async def test_options_name_what_is_wrong_and_keep_a_price(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    await page.goto(
        f"{INTEGRATION}#config_entry={(await entry_of(home, dct1))['entry_id']}"
    )
    await page.get_by_role("button", name="Configure").first.click()
    dialog = page.locator("dialog-data-entry-flow")
    await dialog.get_by_role("spinbutton", name="Price per kWh").fill("0.39")
    key = dialog.get_by_role("textbox", name="Public key on the label")
    await key.fill("0401")
    await dialog.get_by_role("button", name="Submit").click()
    await expect(dialog).to_contain_text("This is not the key the meter shows")
    await take_picture(page, "options")
    assert await accessibility_flaws(page, "dialog-data-entry-flow") == []
    await key.fill(await state_of(home, dct1, "public_key"))
    await dialog.get_by_role("button", name="Submit").click()
    await expect(dialog).to_contain_text("Options successfully saved")
    await until(lambda: loaded(home, dct1), True)


async def test_the_action_tool_shows_what_stop_answers(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    await home.client.action(
        DOMAIN,
        "start_transaction",
        device_id=dct1.device_id,
        identification_data="04A2B1C4D5E680",
        identification_type="ISO14443",
    )
    await page.goto("/config/developer-tools/action")
    picker = page.locator("ha-service-picker")
    await picker.click()
    await page.get_by_placeholder("Search").last.fill("stop transaction")
    await page.get_by_text("Stop transaction").first.click()
    await (
        page.get_by_text("Select a device")
        .or_(page.get_by_text("Add device"))
        .first.click()
    )
    await page.get_by_text(f"{dct1.name} {dct1.serial_number}").first.click()
    await page.get_by_text("Perform action").last.click()
    await expect(page.get_by_text("status: OK").first).to_be_visible()
    await expect(page.get_by_text("signed_meter_data: ").first).to_be_visible()
    await take_picture(page, "action")


@pytest.mark.parametrize(
    ("choice", "outcome"),
    [
        ("Take it over", "transaction_started"),
        ("End it now", "transaction_stopped"),
    ],
)
async def test_a_transaction_begun_by_others_is_taken_over_or_ended(
    page: Page,
    home: Stage,
    no_current: None,
    take_picture: TakePicture,
    choice: str,
    outcome: str,
) -> None:
    async with home.client.http.post(
        f"{home.simulation.iem_dcr_url}/counter/v1/ocmf/receipt", json={"TX": "B"}
    ) as begun:
        assert begun.ok
    dialog = await repair(page, "transaction not started here")
    await expect(dialog).to_contain_text("What should happen to it?")
    await take_picture(page, "repair-foreign-transaction")
    async with home.client.socket() as socket:
        await socket.subscribe(f"{DOMAIN}_event")
        await dialog.get_by_text(choice).click()
        event = await socket.wait_for(lambda event: True)
    assert event.data["type"] == outcome
    await expect(dialog).to_contain_text("repaired")


async def test_a_repair_explains_a_frozen_charge_point(
    page: Page, home: Stage, iem_dcr: Meter, take_picture: TakePicture
) -> None:
    await reconfigure(home, iem_dcr, charge_point_id="DE*DCM*E0002")
    dialog = await repair(page, "Receipts carry another charge point")
    await expect(dialog).to_contain_text(f"EVSEID {CHARGE_POINT_ID}")
    await expect(dialog).to_contain_text("EVSEID DE*DCM*E0002 is configured")
    await take_picture(page, "repair-charge-point")
    await reconfigure(home, iem_dcr, charge_point_id=CHARGE_POINT_ID)
    await no_repair(page)


async def reconfigure(home: Stage, meter: Meter, **changes: str) -> None:
    """Walk the reconfigure flow of an IEM-DCR."""
    path = "/api/config/config_entries/flow"
    flow = await home.client.post(
        path, handler=DOMAIN, entry_id=(await entry_of(home, meter))["entry_id"]
    )
    settings = {"url": home.simulation.iem_dcr_url, "charge_point_type": "EVSEID"}
    flow = await home.client.post(f"{path}/{flow['flow_id']}", **settings, **changes)
    assert flow["reason"] == "reconfigure_successful"


async def test_a_new_key_is_accepted_in_a_repair(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    old = await state_of(home, dct1, "public_key")
    await home.simulation.steer("meters/dct1/exchange", new_key=True)
    entry_id = (await entry_of(home, dct1))["entry_id"]
    await home.client.post(f"/api/config/config_entries/entry/{entry_id}/reload")
    dialog = await repair(page, "shows another key")
    await expect(dialog).to_contain_text(f"Trusted: {old}")
    await take_picture(page, "repair-key")
    await dialog.get_by_role("button", name="Submit").click()
    await expect(dialog).to_contain_text("repaired")
    await no_repair(page)


async def test_an_export_is_downloaded_by_its_address_alone(
    page: Page, open_window: Opener, home: Stage, dct1: Meter
) -> None:
    await page.goto("/")
    client = home.client
    await client.action(DOMAIN, "start_transaction", device_id=dct1.device_id)
    await client.action(DOMAIN, "stop_transaction", device_id=dct1.device_id)
    made = await client.action(
        DOMAIN, "export_receipts", device_id=dct1.device_id, format="pdf"
    )
    async with page.expect_download() as started:
        await page.evaluate("url => location.assign(url)", made["url"])
    download = await started.value
    assert download.suggested_filename == made["file_name"]
    assert (await download.path()).read_bytes().startswith(b"%PDF")

    stranger = await open_window(token="")
    for url, status in {
        made["url"]: 200,
        made["url"].partition("?")[0]: 401,
        f"{made['url']}x": 401,
    }.items():
        assert (await stranger.request.get(url)).status == status
