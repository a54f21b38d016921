"""The card of a meter: everything that can be seen and done with it."""

import asyncio
import os
from typing import Any

from playwright.async_api import Locator, Page, expect
import pytest

from demo.client import Client
from demo.meters import DOMAIN, Meter
from demo.stage import Stage

from .conftest import (
    PHONE,
    Opener,
    TakePicture,
    accessibility_flaws,
    entry_of,
    loaded,
    state_of,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

CARD = "dc-meter-card"
CHARGE_S = float(os.environ.get("DC_METER_CHARGE_S", "2"))
"""How long to charge before a picture; longer draws a nicer curve."""


async def show_cards(page: Page, home: Stage, *settings: dict[str, Any]) -> Locator:
    """Show cards with these settings on a dashboard of their own; returns the first."""
    url_path = "dc-meter-cards"
    cards = [{"type": f"custom:{CARD}", **one} for one in settings]
    sections = [{"type": "grid", "cards": [card]} for card in cards]
    async with home.client.socket() as socket:
        dashboards = await socket.command("lovelace/dashboards/list")
        if not any(one["url_path"] == url_path for one in dashboards):
            await socket.command(
                "lovelace/dashboards/create", url_path=url_path, title="Cards"
            )
        await socket.command(
            "lovelace/config/save",
            url_path=url_path,
            config={
                "views": [{"title": "Cards", "type": "sections", "sections": sections}]
            },
        )
    await page.goto(f"/{url_path}")
    await expect(page.locator(CARD)).to_have_count(len(cards))
    return page.locator(CARD).first


async def set_price(home: Stage, meter: Meter) -> None:
    """Give a DCT1 a price."""
    path = "/api/config/config_entries/options/flow"
    flow = await home.client.post(
        path, handler=(await entry_of(home, meter))["entry_id"]
    )
    form = {"low_side_sensing": True, "price": 0.39}
    await home.client.post(f"{path}/{flow['flow_id']}", **form)
    await until(lambda: loaded(home, meter), True)


async def charge(home: Stage, meter: Meter, user: str) -> None:
    """Charge for a moment, and leave no current."""
    target = {"device_id": meter.device_id}
    await home.client.action(
        DOMAIN, "start_transaction", **target, identification_data=user
    )
    await home.simulation.steer_car(power_w=250_000)
    await asyncio.sleep(2)
    await home.simulation.steer_car(charging=False)
    await until(lambda: state_of(home, meter, "power"), "0.0")
    await home.client.action(DOMAIN, "stop_transaction", **target)


async def test_it_charges_from_start_to_receipt(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    await set_price(home, dct1)
    await charge(home, dct1, "Grace")
    await charge(home, dct1, "Ada")
    settings = {"device_id": dct1.device_id, "ask_user": True}
    card = await show_cards(page, home, settings)
    await card.get_by_role("button", name="Start").click()
    await expect(card.get_by_role("heading", name="Start charging")).to_be_visible()
    await card.get_by_label("User").fill("Ada")
    await take_picture(page, "card-start")
    assert await accessibility_flaws(page, CARD) == []
    await page.keyboard.press("Enter")
    await until(lambda: state_of(home, dct1, "transaction_active"), "on")
    await expect(card.get_by_text("Charging", exact=True).first).to_be_visible()
    await expect(card.get_by_text("Ada").first).to_be_visible()
    await expect(card.locator("svg.curve")).to_be_visible()
    await home.simulation.steer_car(curve=True, state_of_charge=0.2)
    await page.wait_for_timeout(CHARGE_S * 1000)
    await take_picture(page, "card", card)
    assert await accessibility_flaws(page, CARD) == []

    await card.get_by_role("button", name="Stop").click()
    dialog = card.get_by_role("alertdialog")
    await expect(dialog).to_be_visible()
    await take_picture(page, "card-stop")
    await page.keyboard.press("Escape")
    assert await state_of(home, dct1, "transaction_active") == "on"
    await card.get_by_role("button", name="Stop").click()
    await page.keyboard.press("Tab")
    await card.get_by_role("button", name="Stop").last.click()
    await expect(card.get_by_text("Charging has ended")).to_be_visible()
    assert await state_of(home, dct1, "transaction_active") == "off"

    await card.get_by_role("listitem").first.get_by_role("button").click()
    await expect(card.get_by_text("Proved by the signature")).to_be_visible()
    await take_picture(page, "card-receipt")
    assert await accessibility_flaws(page, CARD) == []
    async with page.expect_download() as started:
        await card.get_by_role("button", name="Download as PDF").click()
    download = await started.value
    assert (await download.path()).read_bytes().startswith(b"%PDF")


async def test_it_says_why_a_start_is_refused(
    page: Page, home: Stage, iem_dcr: Meter, take_picture: TakePicture
) -> None:
    await home.simulation.steer_car(power_w=50_000)
    await page.wait_for_timeout(1500)
    card = await show_cards(page, home, {"device_id": iem_dcr.device_id})
    await card.get_by_role("button", name="Start").click()
    await expect(card.get_by_role("alert")).to_contain_text("while current flows")
    await take_picture(page, "card-refused")


async def test_it_shows_that_its_meter_is_away(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    card = await show_cards(page, home, {"device_id": dct1.device_id})
    await expect(card.get_by_text("Ready").first).to_be_visible()
    await home.simulation.steer("lines/line/cut")
    await expect(card.get_by_text("The meter does not answer")).to_be_visible()
    await expect(card.get_by_role("button", name="Start")).to_be_disabled()
    assert "49" not in await card.locator("dl").inner_text()
    await take_picture(page, "card-unavailable")
    await home.simulation.steer("lines/line/mend")
    await expect(card.get_by_text("Ready").first).to_be_visible()


async def test_it_keeps_receipts_from_those_who_do_not_run_the_house(
    open_window: Opener, home: Stage, dct1: Meter
) -> None:
    async with home.client.socket() as socket:
        user = await socket.command(
            "config/auth/create", name="Guest", group_ids=["system-users"]
        )
        await socket.command(
            "config/auth_provider/homeassistant/create",
            user_id=user["user"]["id"],
            username="guest",
            password="guest",
        )
    guest = Client(http=home.client.http, url=home.client.url)
    await guest.log_in("guest", "guest")
    page = await open_window(token=guest.token)
    card = await show_cards(page, home, {"device_id": dct1.device_id})
    await expect(card.get_by_role("button", name="Start")).to_be_enabled()
    await expect(card.get_by_text("Receipts")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("phone-dark", {"viewport": PHONE, "color_scheme": "dark", "locale": "de-DE"}),
        ("right-to-left", {"viewport": PHONE, "locale": "ar"}),
    ],
)
async def test_it_fits(
    open_window: Opener,
    home: Stage,
    take_picture: TakePicture,
    name: str,
    options: dict[str, Any],
) -> None:
    page = await open_window(**options)
    card = await show_cards(
        page, home, *({"device_id": meter.device_id} for meter in home.meters)
    )
    await expect(card.get_by_role("button").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await take_picture(page, f"card-{name}")
    assert await accessibility_flaws(page, CARD) == []


async def test_it_is_found_in_the_card_picker(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    await show_cards(page, home, {"device_id": dct1.device_id})
    await page.goto("/dc-meter-cards/0?edit=1")
    await page.get_by_role("button", name="Add card").first.click()
    await page.get_by_role("tab", name="By card").click()
    await page.get_by_placeholder("Search").last.fill("DC Charging")
    picker = page.locator("hui-card-picker")
    await expect(picker.locator(CARD).get_by_text("Ready").first).to_be_visible()
    await take_picture(page, "card-picker")
    await picker.locator(".overlay").first.click()
    editor = page.locator("hui-dialog-edit-card")
    await expect(editor.get_by_text("Ask who charges before a start")).to_be_visible()
    await take_picture(page, "card-editor")
    await editor.get_by_role("button", name="Save").click()
    await page.get_by_role("button", name="Done").click()
    await expect(page.locator(CARD)).to_have_count(2)
