"""The README's pictures, taken of a real Home Assistant with the simulated meters."""

import argparse
import asyncio
from pathlib import Path
import shutil

from playwright.async_api import Page, ViewportSize, async_playwright

from . import dashboard
from .client import PASSWORD, USER
from .meters import CHARGE_POINT_ID, DOMAIN, Meter
from .process import ROOT
from .stage import Stage, stage

CHARGE_S = 60
"""Long enough for curves to be seen."""

SIZE = ViewportSize(width=1280, height=1000)
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


async def take(folder: Path) -> None:
    """Bring everything up, charge for a while, take the pictures."""
    async with stage() as up:
        async with up.client.socket() as socket:
            await dashboard.show(socket, *up.meters)
        await charge(up)
        await photograph(up.home_assistant.url, folder, up.meters)


async def charge(up: Stage) -> None:
    """Start a transaction on each meter and let the car charge."""
    await up.simulation.steer_car(charging=False)
    # The car may just have been between two polls.
    await asyncio.sleep(1)
    for meter in up.meters:
        await up.client.action(
            DOMAIN,
            "start_transaction",
            device_id=meter.device_id,
            evse_id=CHARGE_POINT_ID,
            identification_data="04A2B1C4D5E680",
            identification_type="ISO14443",
        )
    await up.simulation.steer_car(curve=True, state_of_charge=0.2)
    await asyncio.sleep(CHARGE_S)


async def photograph(url: str, folder: Path, meters: tuple[Meter, ...]) -> None:
    """Take every picture."""
    dct1, iem_dcr = meters
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=BROWSER_ARGUMENTS
        )
        page = await browser.new_page(viewport=SIZE, locale="en-GB")
        await log_in(page, url)
        await settle(page, folder / "dashboard.png")

        integration = f"{url}/config/integrations/integration/{DOMAIN}"
        await page.goto(integration)
        await page.get_by_text("Add device").click()
        await page.get_by_text("Carlo Gavazzi DCT1").click()
        await page.get_by_text("Serial port", exact=True).click()
        await settle(page, folder / "flow-dct1.png")
        await page.goto(integration)
        await page.get_by_text("Add device").click()
        await page.get_by_text("Isabellenhütte IEM-DCR").click()
        await settle(page, folder / "flow-iem-dcr.png")

        await page.goto(f"{url}/config/devices/device/{iem_dcr.device_id}")
        await settle(page, folder / "device.png")

        await page.goto(f"{url}/config/developer-tools/action")
        # The picker takes what is typed only some time after it is there.
        await page.wait_for_timeout(3_000)
        await page.locator("ha-service-picker").click()
        await page.wait_for_timeout(1_000)
        await page.keyboard.type("stop transaction")
        await page.get_by_text("Stop transaction").first.click()
        choose = page.get_by_text("Select a device").or_(page.get_by_text("Add device"))
        await choose.first.click()
        await page.get_by_text(f"{dct1.name} {dct1.serial_number}").first.click()
        await page.get_by_text("Perform action").last.click()
        await settle(page, folder / "action.png")
        await browser.close()


async def log_in(page: Page, url: str) -> None:
    """Log in as a person does."""
    await page.goto(url)
    await page.get_by_label("Username").fill(USER)
    await page.locator("input[type=password]").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{url}/{dashboard.URL_PATH}/**")


async def settle(page: Page, file: Path) -> None:
    """Let the page come to rest and take its picture."""
    await page.wait_for_timeout(3_000)
    await page.screenshot(path=file)
    print(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="scripts/pictures", description=f"{__doc__} Needs Chromium."
    )
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs/images")
    destination: Path = parser.parse_args().folder
    destination.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(destination))
