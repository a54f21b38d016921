"""The card of a meter: what it shows, what can be done from it, and for whom."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
import json
import os
from pathlib import Path
import re
from typing import Any

from playwright.async_api import Locator, Page, WebSocketRoute, expect
import pytest
import pytest_asyncio

from demo.client import Client
from demo.meters import DOMAIN, Meter
from demo.stage import Stage

from .conftest import (
    PHONE,
    Opener,
    TakePicture,
    accessibility_flaws,
    pause_car,
    state_of,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOARD = "/dc-meter-card-test"
CARD = "dc-meter-card"
CHARGE_S = float(os.environ.get("DC_METER_CHARGE_S", "2"))
RELOAD_S = 30
"""Home Assistant loads an entry anew this long after one of its entities was enabled."""

WHO = "<b>Ada & Söhne</b>"
"""What a browser that took text for HTML would show otherwise."""


async def put_up(home: Stage, **config: Any) -> None:
    """Put a card of this configuration on a dashboard of its own."""
    async with home.client.socket() as socket:
        boards = await socket.command("lovelace/dashboards/list")
        if not any(f"/{board['url_path']}" == BOARD for board in boards):
            await socket.command(
                "lovelace/dashboards/create", url_path=BOARD[1:], title="Card"
            )
        await socket.command(
            "lovelace/config/save",
            url_path=BOARD[1:],
            config={
                "views": [
                    {
                        "type": "sections",
                        "sections": [{"cards": [{"type": f"custom:{CARD}", **config}]}],
                    }
                ]
            },
        )


async def start(home: Stage, meter: Meter, **request: str) -> None:
    """Start a transaction and let the car charge."""
    await pause_car(home)
    await home.client.action(
        DOMAIN, "start_transaction", device_id=meter.device_id, **request
    )
    await home.simulation.steer_car(charging=True, power_w=50_000)


async def stop(home: Stage, meter: Meter) -> dict[str, Any]:
    """Let the car pause and stop the transaction."""
    await pause_car(home)
    return await home.client.action(
        DOMAIN, "stop_transaction", device_id=meter.device_id
    )


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def rest(home: Stage) -> AsyncIterator[None]:
    """Leave no transaction to the next test."""
    yield
    for meter in home.meters:
        if await state_of(home, meter, "transaction") == "on":
            await stop(home, meter)


def button(card: Locator, name: str) -> Locator:
    return card.get_by_role("button", name=name, exact=True)


async def shown(page: Page) -> Locator:
    """Open the dashboard and return its card."""
    await page.goto(BOARD)
    card = page.locator(CARD)
    await expect(card.get_by_role("heading").first).to_be_visible()
    return card


async def test_a_session_draws_its_power(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    """Also one that was not started here, and before the card was opened."""
    await home.simulation.steer_car(charging=False)
    await home.client.action(
        DOMAIN,
        "start_transaction",
        device_id=dct1.device_id,
        identification_data="Ada",
    )
    await put_up(home, device_id=dct1.device_id, receipts=2)
    await home.simulation.steer_car(charging=True, power_w=50_000)
    card = await shown(page)
    await expect(card).to_contain_text("Charging · Ada")
    await expect(card.locator(".power")).to_contain_text(re.compile(r"\d\d,\d{3}\sW"))
    await asyncio.sleep(CHARGE_S)
    await expect(
        card.get_by_role("img", name="Power during the session")
    ).to_be_visible()
    await take_picture(page, "card", card)


async def test_a_session_is_started_for_somebody_watched_and_stopped(
    page: Page, home: Stage, iem_dcr: Meter, take_picture: TakePicture
) -> None:
    """The form asks who; the card shows it, and after the stop what was signed."""
    await pause_car(home)
    await put_up(
        home, device_id=iem_dcr.device_id, ask_user=True, ask_tariff=True, receipts=3
    )
    card = await shown(page)
    await expect(card).to_contain_text("Ready")
    await button(card, "Start").click()
    dialog = page.get_by_role("dialog")
    await expect(page.get_by_label("User")).to_be_focused()
    await take_picture(page, "card-start")
    await page.get_by_label("User").fill(WHO)
    await page.get_by_label("Tariff text").fill("0,39 EUR/kWh")
    await page.keyboard.press("Enter")
    await expect(dialog).to_have_count(0)

    await expect(card).to_contain_text("Charging")
    await expect(card).to_contain_text(WHO)
    await home.simulation.steer_car(charging=True, power_w=50_000)
    await expect(card.locator(".power")).to_contain_text(re.compile(r"\d\d,\d{3}\sW"))
    await expect(
        card.get_by_role("img", name="Power during the session")
    ).to_be_visible()
    await take_picture(page, "card-charging")

    await button(card, "Stop").click()
    await page.locator("dc-meter-dialog").get_by_role("button", name="Stop").click()
    await expect(card.get_by_role("alert")).to_contain_text("while current flows")
    await expect(card).to_contain_text("Charging")
    await pause_car(home)
    await button(card, "Stop").click()
    await page.locator("dc-meter-dialog").get_by_role("button", name="Stop").click()
    await expect(card).to_contain_text("Ready")

    newest = await home.client.action(
        DOMAIN, "get_receipts", device_id=iem_dcr.device_id, limit=1
    )
    (receipt,) = newest["receipts"]
    assert receipt["session"]["identification_data"] == WHO
    assert receipt["session"]["tariff_text"] == "0,39 EUR/kWh"
    kwh = f"{Decimal(receipt['session']['energy_import_wh']) / 1000:.3f} kWh"
    row = card.get_by_role("listitem").first
    await expect(row).to_contain_text(kwh)
    await expect(row).to_contain_text("Valid · Billable")
    await expect(card.get_by_role("status").get_by_text(kwh)).to_be_visible()


async def test_a_start_says_that_the_connection_broke(
    page: Page, home: Stage, dct1: Meter
) -> None:
    """In words, whatever the browser makes of an answer that never comes."""
    broken = False

    async def connect(browser: WebSocketRoute) -> None:
        if broken:
            await browser.close()
            return
        server = browser.connect_to_server()

        async def to_server(message: str | bytes) -> None:
            nonlocal broken
            assert isinstance(message, str)
            if "turn_on" in message:
                broken = True
                await browser.close()
            else:
                server.send(message)

        browser.on_message(to_server)

    await put_up(home, device_id=dct1.device_id)
    await page.route_web_socket("**/api/websocket", connect)
    card = await shown(page)
    await button(card, "Start").click()
    await expect(card.get_by_role("alert")).to_have_text("Connection lost")


async def test_a_receipt_is_looked_at_and_downloaded(
    page: Page, home: Stage, iem_dcr: Meter, take_picture: TakePicture
) -> None:
    """Its details say what it proves; its file holds it and no other."""
    await start(home, iem_dcr, transaction_id="to be downloaded")
    await stop(home, iem_dcr)
    await put_up(home, device_id=iem_dcr.device_id)
    card = await shown(page)
    await card.get_by_role("listitem").first.get_by_role("button").click()
    details = page.locator("dc-meter-receipt")
    await expect(details).to_contain_text("The signature is genuine")
    await expect(details).to_contain_text("to be downloaded")
    await take_picture(page, "card-receipt")
    async with page.expect_download() as coming:
        await details.get_by_role("button", name="Download as XML").click()
    download = await coming.value
    assert download.suggested_filename.endswith(".xml")
    file = Path(await download.path())
    content = await asyncio.to_thread(file.read_text, "utf-8")
    assert content.count("<signedData") == 1
    assert "to be downloaded" in content


async def test_a_receipt_tells_the_times_that_the_meter_has_signed(
    page: Page, home: Stage, iem_dcr: Meter
) -> None:
    """Home Assistant's end is hours later where it was off when the session ended."""

    changed = 0

    def connect(browser: WebSocketRoute) -> None:
        def late(message: str | bytes) -> None:
            nonlocal changed
            assert isinstance(message, str)
            told, changes = re.subn(
                r'"ended_at":"[^"]*"',
                '"ended_at":"2033-01-01T12:00:00+00:00"',
                message,
            )
            changed += changes
            browser.send(told)

        browser.connect_to_server().on_message(late)

    await start(home, iem_dcr)
    verdict = (await stop(home, iem_dcr))["verdict"]
    begin, end = (
        datetime.fromisoformat(verdict[time]) for time in ("begins_at", "ends_at")
    )
    await put_up(home, device_id=iem_dcr.device_id, receipts=1)
    await page.route_web_socket("**/api/websocket", connect)
    card = await shown(page)
    row = card.get_by_role("listitem").first
    await expect(row).to_contain_text(str(end.year))
    await row.get_by_role("button").click()
    details = page.locator("dc-meter-receipt")
    seconds = int((end - begin).total_seconds())
    await expect(details).to_contain_text(f"0:{seconds // 60:02}:{seconds % 60:02}")
    await expect(page.locator(CARD)).not_to_contain_text("2033")
    assert changed


async def test_all_receipts_come_page_by_page(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    """The card shows the last few; the rest is a tap away."""
    for _ in range(2):
        await start(home, dct1)
        await stop(home, dct1)
    await put_up(home, device_id=dct1.device_id, receipts=1)
    card = await shown(page)
    await expect(card.get_by_role("listitem")).to_have_count(1)
    await button(card, "All receipts").click()
    total = (
        await home.client.action(DOMAIN, "get_receipts", device_id=dct1.device_id)
    )["total"]
    await expect(
        page.locator("dc-meter-history").get_by_role("listitem")
    ).to_have_count(total)
    await take_picture(page, "card-history")


async def test_the_editor_shows_what_its_form_says(
    page: Page, home: Stage, dct1: Meter, iem_dcr: Meter
) -> None:
    """As many receipts as wanted, and none of the meter that was chosen before."""

    def connect(browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()

        def to_server(message: str | bytes) -> None:
            assert isinstance(message, str)
            if f"{DOMAIN}/receipts" not in message or iem_dcr.device_id not in message:
                server.send(message)

        browser.on_message(to_server)

    for _ in range(2):
        await start(home, dct1)
        await stop(home, dct1)
    await put_up(home, device_id=dct1.device_id, receipts=1)
    await page.route_web_socket("**/api/websocket", connect)
    card = await shown(page)
    rows = card.get_by_role("listitem")
    await expect(rows).to_have_count(1)
    for device_id, receipts in ((dct1.device_id, 2), (iem_dcr.device_id, 0)):
        await card.evaluate(
            "(card, device_id) => card.setConfig({type: '', device_id, receipts: 2})",
            device_id,
        )
        await expect(rows).to_have_count(receipts)


async def test_the_keyboard_does_it_all(page: Page, home: Stage, dct1: Meter) -> None:
    """Dialogs keep the focus and give it back to where it was."""
    await put_up(home, device_id=dct1.device_id, ask_user=True)
    card = await shown(page)
    await button(card, "Start").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("User")).to_be_focused()
    for _ in range(8):
        await page.keyboard.press("Tab")
        assert await page.evaluate(
            "() => { let at = document.activeElement;"
            " while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
            " return at === document.body || !!at.closest('dc-meter-dialog')"
            " || at.getRootNode().host?.localName === 'dc-meter-dialog'; }"
        )
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(button(card, "Start")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(button(card, "Stop")).to_be_focused()


async def test_a_meter_that_is_away_shows_nothing_old(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    """No power, no energy, a hole in the curve; and nothing can be started."""
    await start(home, dct1)
    await put_up(home, device_id=dct1.device_id)
    card = await shown(page)
    await expect(card.locator(".power")).to_contain_text("W")
    await asyncio.sleep(5)
    await home.simulation.steer("meters/dct1/power_off")
    try:
        await expect(card).to_contain_text("Unavailable")
        await expect(card.locator(".power")).to_have_text(re.compile(r"\s—\s*$"))
        await expect(card).to_contain_text("The meter does not answer")
        await expect(button(card, "Stop")).to_have_attribute("aria-disabled", "true")
        await take_picture(page, "card-unavailable")
    finally:
        await home.simulation.steer("meters/dct1/power_on")
    await expect(card).to_contain_text("Charging", timeout=60_000)
    await expect(card).to_contain_text("The meter could not be reached")
    await asyncio.sleep(3)
    line = await card.locator(".curve .line").get_attribute("d")
    assert line is not None
    assert line.count("M") == 2


async def test_it_waits_for_the_integration_that_a_restart_brings_up_last(
    page: Page, home: Stage, dct1: Meter
) -> None:
    """It asks for a restart only when Home Assistant is up, and goes on without a click."""
    starting = unknown = True

    def connect(browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()

        def to_server(message: str | bytes) -> None:
            assert isinstance(message, str)
            server.send(
                message.replace(f"{DOMAIN}/meters", f"{DOMAIN}/unknown")
                if unknown
                else message
            )

        def to_browser(message: str | bytes) -> None:
            assert isinstance(message, str)
            browser.send(
                message.replace('"state":"RUNNING"', '"state":"STARTING"')
                if starting
                else message
            )

        browser.on_message(to_server)
        server.on_message(to_browser)

    await put_up(home, device_id=dct1.device_id)
    await page.route_web_socket("**/api/websocket", connect)
    await page.goto(BOARD)
    card = page.locator(CARD)
    # What Home Assistant tells when a component is there and when all are.
    async with home.client.socket() as socket:
        await expect(card).to_have_text(re.compile(r"^\s*Loading\s*$"))
        starting = False
        await socket.command("config/core/update")
        await expect(card).to_contain_text("Restart it")
        unknown = False
        await socket.command("config/core/update")
    await expect(card).to_contain_text("Ready")
    await start(home, dct1, identification_data="Ada")
    await expect(card).to_contain_text("Charging · Ada")


async def test_a_session_that_could_not_be_followed_is_followed_after_a_reconnect(
    page: Page, home: Stage, dct1: Meter
) -> None:
    """Also by a card that stays while the connection is away; till then it asks once."""
    await start(home, dct1, identification_data="Ada")
    await put_up(home, device_id=dct1.device_id)
    card = await shown(page)
    await card.evaluate(
        """card => {
            const another = document.createElement(card.localName);
            another.id = "another";
            another.setConfig({type: "", device_id: card.config.device_id});
            let asked = 0;
            const subscribeMessage = (...subscription) =>
                asked++ ? card.hass.connection.subscribeMessage(...subscription)
                        : Promise.reject({message: "Not now"});
            another.hass = {...card.hass, connection: {subscribeMessage}};
            document.body.append(another);
        }"""
    )
    another = page.locator("#another")
    await expect(another.get_by_role("alert")).to_have_text("Not now")
    for connected in ("false", "true"):
        await expect(another).not_to_contain_text("Charging · Ada")
        await another.evaluate(
            "async card => {"
            f" card.hass = {{...card.hass, connected: {connected}}};"
            " await card.updateComplete; }"
        )
    await expect(another).to_contain_text("Charging · Ada")


async def test_the_form_of_a_start_goes_when_another_one_came_first(
    page: Page, home: Stage, dct1: Meter
) -> None:
    """Start would only be refused by then."""
    await put_up(home, device_id=dct1.device_id, ask_user=True)
    card = await shown(page)
    await button(card, "Start").click()
    await expect(page.get_by_label("User")).to_be_focused()
    await start(home, dct1)
    await expect(card).to_contain_text("Charging")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(button(card, "Stop")).to_be_focused()


async def test_the_question_of_a_stop_goes_with_its_session(
    page: Page, home: Stage, dct1: Meter
) -> None:
    """Whether another one follows at once or none does."""
    await put_up(home, device_id=dct1.device_id)
    await start(home, dct1, identification_data="Ada")
    card = await shown(page)
    question = page.get_by_role("alertdialog")
    for user in ("Ada", "Grace"):
        await expect(card).to_contain_text(f"Charging · {user}")
        await button(card, "Stop").click()
        await expect(question).to_be_visible()
        if user == "Ada":
            await start(home, dct1, identification_data="Grace")
        else:
            await stop(home, dct1)
        await expect(question).to_have_count(0)
    await expect(button(card, "Start")).to_be_focused()


async def test_a_meter_works_whose_switch_is_disabled(
    page: Page, home: Stage, dct1: Meter
) -> None:
    """Its binary sensor tells whether a transaction runs, actions begin and end it."""
    await put_up(home, device_id=dct1.device_id)
    switch = dct1.entities["transaction"]
    async with home.client.socket() as socket:
        await socket.command(
            "config/entity_registry/update", entity_id=switch, disabled_by="user"
        )
        try:
            card = await shown(page)
            await expect(card).to_contain_text("Ready")
            await button(card, "Start").click()
            await expect(card).to_contain_text("Charging")
            assert await state_of(home, dct1, "transaction_active") == "on"
            await pause_car(home)
            await button(card, "Stop").click()
            question = page.locator("dc-meter-dialog")
            await question.get_by_role("button", name="Stop").click()
            await expect(card).to_contain_text("Charging has ended")
        finally:
            await socket.command(
                "config/entity_registry/update", entity_id=switch, disabled_by=None
            )
            await asyncio.sleep(RELOAD_S)
            await until(lambda: exists(home, switch), True)


async def exists(home: Stage, entity_id: str) -> bool:
    """Tell whether an entity has a state."""
    states = await home.client.get("/api/states")
    return any(state["entity_id"] == entity_id for state in states)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_has_nothing_to_object_to(
    open_window: Opener, home: Stage, dct1: Meter, scheme: str
) -> None:
    """At rest, in a session, and in every dialog."""
    await start(home, dct1, identification_data=WHO)
    await stop(home, dct1)
    await put_up(home, device_id=dct1.device_id, ask_user=True, ask_tariff=True)
    page = await open_window(color_scheme=scheme)
    card = await shown(page)
    await expect(card.get_by_role("listitem").first).to_be_visible()
    assert await accessibility_flaws(page, CARD) == []
    for name, dialog in (
        ("Start", "dc-meter-start"),
        ("All receipts", "dc-meter-history"),
    ):
        await button(card, name).click()
        await expect(page.locator(dialog).get_by_role("button").first).to_be_visible()
        assert await accessibility_flaws(page, CARD) == []
        await page.keyboard.press("Escape")
    await card.get_by_role("listitem").first.get_by_role("button").click()
    await expect(page.locator("dc-meter-receipt")).to_contain_text("genuine")
    assert await accessibility_flaws(page, CARD) == []
    await page.keyboard.press("Escape")
    await start(home, dct1, identification_data=WHO)
    await expect(card).to_contain_text("Charging")
    assert await accessibility_flaws(page, CARD) == []


async def test_it_fits_a_phone_and_right_to_left(
    open_window: Opener, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    """Nothing is wider than the screen, whichever way one reads."""
    await start(home, dct1, identification_data=WHO * 4)
    await put_up(home, device_id=dct1.device_id)
    for language, direction in (("en", "ltr"), ("he", "rtl")):
        page = await open_window(viewport=PHONE)
        await page.add_init_script(
            f"localStorage.selectedLanguage = {json.dumps(json.dumps(language))}"
        )
        card = await shown(page)
        await expect(page.locator("html")).to_have_attribute("dir", direction)
        await expect(card.locator(".curve")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await card.evaluate("card => card.scrollWidth <= card.clientWidth")
        await take_picture(page, f"card-phone-{direction}")


async def test_who_is_no_administrator_sees_neither_receipts_nor_users(
    open_window: Opener, home: Stage, dct1: Meter
) -> None:
    """The card leaves them out and works."""
    token = await somebody(home)
    await start(home, dct1, identification_data=WHO)
    await put_up(home, device_id=dct1.device_id)
    card = await shown(await open_window(token=token))
    await expect(card.locator(".power")).to_contain_text("W")
    await expect(card).not_to_contain_text(WHO)
    await expect(card).not_to_contain_text("Receipts")
    await pause_car(home)
    await button(card, "Stop").click()
    await card.locator("dc-meter-dialog").get_by_role("button", name="Stop").click()
    await expect(card).to_contain_text("Charging has ended")


async def somebody(home: Stage) -> str:
    """Make a user without special rights, and return a token of theirs."""
    name = "somebody"
    async with home.client.socket() as socket:
        users = await socket.command("config/auth/list")
        if not any(user["name"] == name for user in users):
            made = await socket.command(
                "config/auth/create", name=name, group_ids=["system-users"]
            )
            await socket.command(
                "config/auth_provider/homeassistant/create",
                user_id=made["user"]["id"],
                username=name,
                password=name,
            )
    client = Client(http=home.client.http, url=home.client.url)
    await client.log_in(name, name)
    return client.token


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "Choose a meter"),
        ({"device_id": "gone"}, "not set up any more"),
    ],
)
async def test_it_says_why_there_is_nothing_to_show(
    page: Page, home: Stage, config: dict[str, str], says: str
) -> None:
    await put_up(home, **config)
    await page.goto(BOARD)
    await expect(page.locator(CARD)).to_contain_text(says)


async def test_the_picker_suggests_it_for_an_entity_of_a_meter_and_the_form_sets_it(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    """A preview in the picker, a form instead of YAML, and the card is there."""
    await put_up(home, device_id=dct1.device_id)
    await page.goto(f"{BOARD}/0?edit=1")
    offered = await offered_in_picker(page)
    await expect(offered).to_be_visible()
    await take_picture(page, "card-picker")
    await offered.locator("xpath=ancestor::div[contains(@class,'card')]").last.click()
    form = page.locator("hui-dialog-edit-card")
    await expect(form.get_by_text("Ask who charges before a start")).to_be_visible()
    await expect(form.locator(CARD)).to_contain_text(dct1.serial_number)
    await take_picture(page, "card-editor")
    await form.get_by_role("button", name="Save").click()
    await expect(page.locator(CARD)).to_have_count(2)


async def test_the_picker_shows_a_sample_where_there_is_no_meter(
    page: Page, home: Stage, dct1: Meter, take_picture: TakePicture
) -> None:
    """Whoever has no meter yet sees what they would get."""
    await put_up(home, device_id=dct1.device_id)
    await page.goto(f"{BOARD}/0?edit=1")
    await expect(page.locator(CARD)).to_be_visible()
    await page.evaluate(
        "card => { customElements.get(card).getStubConfig = () => ({}); }", CARD
    )
    offered = await offered_in_picker(page)
    await expect(offered).to_contain_text("Charging")
    await expect(offered).to_contain_text("38.207 kWh")
    await take_picture(page, "card-sample")


async def offered_in_picker(page: Page) -> Locator:
    """Open the card picker and return our card in it."""
    await page.get_by_role("button", name="Add card").first.click()
    dialog = page.locator("hui-dialog-create-card")
    await dialog.get_by_text("By card").click()
    await dialog.get_by_placeholder("Search cards").fill("charging meter")
    return dialog.locator("hui-card-picker").locator(CARD)
