"""From an empty Home Assistant to both meters, by clicking alone."""

from collections.abc import AsyncIterator

from playwright.async_api import Browser, Locator, Page, expect
import pytest
import pytest_asyncio

from demo import dashboard
from demo.client import PASSWORD, USER
from demo.meters import CHARGE_POINT_ID, DOMAIN, add_meters, find_meters
from demo.ports import free_port
from demo.stage import Stage, empty_stage
from tests.home import open_home

from .conftest import Opener, TakePicture, accessibility_flaws

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOW = "dialog-data-entry-flow"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def home(browser: Browser) -> AsyncIterator[Stage]:
    """Bring up a Home Assistant that knows no meter yet."""
    open_home()
    async with empty_stage() as up:
        yield up


async def add_meter(page: Page, name: str) -> Locator:
    """Go from the integrations to the form of a meter; returns the dialog."""
    await page.goto("/config/integrations/dashboard")
    await page.get_by_role("button", name="Add integration").click()
    await page.get_by_placeholder("Search for a brand name").fill("DC Charging")
    await page.get_by_text("DC Charging Meter").last.click()
    dialog = page.locator(FLOW)
    await dialog.get_by_text(name).click()
    return dialog


async def submit(dialog: Locator) -> None:
    await dialog.get_by_role("button", name="Submit").click()


async def test_the_owner_logs_in(open_window: Opener, home: Stage) -> None:
    page = await open_window(token="")
    await page.goto("/")
    await page.get_by_label("Username").fill(USER)
    await page.locator("input[type=password]").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Settings")).to_be_visible()


async def test_an_iem_dcr_is_added(
    page: Page, home: Stage, take_picture: TakePicture
) -> None:
    dialog = await add_meter(page, "Isabellenhütte IEM-DCR")
    address = dialog.get_by_role("textbox", name="Address")
    await address.fill("192.168.60.12/counter")
    await dialog.get_by_role("textbox", name="Charge point type").fill("EVSEID")
    await dialog.get_by_role("textbox", name="Charge point identification").fill(
        CHARGE_POINT_ID
    )
    await dialog.get_by_role("textbox", name="Tariff text").fill("0.49 EUR/kWh")
    await take_picture(page, "flow-iem-dcr")
    await submit(dialog)
    await expect(dialog).to_contain_text("not an address of a meter")
    assert await accessibility_flaws(page, FLOW) == []

    await address.fill(f"127.0.0.1:{free_port()}")
    await submit(dialog)
    await expect(dialog).to_contain_text("The meter does not answer")
    await take_picture(page, "flow-unreachable")

    await address.fill(home.simulation.iem_dcr_url)
    await submit(dialog)
    await expect(dialog).to_contain_text("IEM-DCR")
    await dialog.get_by_role("button", name="Skip and finish").click()
    await expect(
        page.get_by_text(home.simulation.iem_dcr_serial_number).first
    ).to_be_visible()


async def test_a_dct1_is_added(
    page: Page, home: Stage, take_picture: TakePicture
) -> None:
    dialog = await add_meter(page, "Carlo Gavazzi DCT1")
    await dialog.get_by_text("Serial port", exact=True).click()
    await take_picture(page, "flow-dct1")
    await dialog.get_by_role("button", name="Serial port").click()
    await page.get_by_role("option", name="Enter manually").click()
    await dialog.get_by_role("textbox", name="Serial port").fill(
        str(home.simulation.serial_port)
    )
    modbus_address = dialog.get_by_role("spinbutton", name="Modbus address")
    await modbus_address.fill("9")
    await submit(dialog)
    await expect(dialog).to_contain_text("The meter does not answer")
    assert await accessibility_flaws(page, FLOW) == []

    await modbus_address.fill("1")
    await submit(dialog)
    await expect(dialog).to_contain_text("Carlo Gavazzi")
    await dialog.get_by_role("button", name="Skip and finish").click()
    await expect(
        page.get_by_text(home.simulation.dct1_serial_number).first
    ).to_be_visible()
    async with home.client.socket() as socket:
        assert all(
            meter.entities for meter in await find_meters(socket, home.simulation)
        )


async def test_a_meter_is_added_only_once(page: Page, home: Stage) -> None:
    dialog = await add_meter(page, "Isabellenhütte IEM-DCR")
    for name, text in {
        "Address": home.simulation.iem_dcr_url,
        "Charge point type": "EVSEID",
        "Charge point identification": CHARGE_POINT_ID,
    }.items():
        await dialog.get_by_role("textbox", name=name).fill(text)
    await submit(dialog)
    await expect(dialog).to_contain_text("This meter is already set up.")


async def test_a_dashboard_waits_for_meters_and_takes_them_in(
    page: Page, home: Stage, take_picture: TakePicture
) -> None:
    client = home.client
    async with client.socket() as socket:
        await dashboard.show(socket)
    await add_meters(client, home.simulation)
    await page.goto(f"/{dashboard.URL_PATH}")
    await expect(page.locator("dc-meter-card")).to_have_count(2)
    entries = await client.get(f"/api/config/config_entries/entry?domain={DOMAIN}")
    for entry in entries:
        await client.delete(f"/api/config/config_entries/entry/{entry['entry_id']}")
    await expect(page.get_by_text("No meter is set up yet.")).to_be_visible()
    await take_picture(page, "dashboard-empty")
    await page.get_by_role("button", name="Add a meter").click()
    await expect(
        page.get_by_text("Do you want to set up DC Charging Meter?")
    ).to_be_visible()
    await page.goto(f"/{dashboard.URL_PATH}")
    await expect(page.get_by_text("No meter is set up yet.")).to_be_visible()
    await add_meters(client, home.simulation)
    await expect(page.locator("dc-meter-card")).to_have_count(2)
