"""The card by itself: what it asks a Home Assistant that refuses, breaks off and answers late."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect
import pytest
import pytest_asyncio

from custom_components.dc_meter.frontend import MODULE

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOME = Path(__file__).with_name("home.js").read_text("utf-8")
TEXTS = (MODULE.parent.parent / "translations/en.json").read_text("utf-8")

NOT_NOW = "{code: 'home_assistant_error', message: 'Not now'}"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Open a page that has nothing but the module, on a system set to German."""
    broken: list[str] = []
    context = await browser.new_context(locale="de-DE")
    async with context:
        page = await context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        await page.set_content("<!doctype html>")
        await page.add_script_tag(content=HOME.replace("/* the texts */ null", TEXTS))
        await page.add_script_tag(path=MODULE, type="module")
        await page.evaluate("customElements.whenDefined('dc-meter-card')")
        yield page
    assert not broken


async def asked(page: Page, what: str) -> list[dict[str, Any]]:
    """Return the questions of a kind that were asked so far."""
    questions: list[dict[str, Any]] = await page.evaluate(
        "type => asked.filter((one) => one.type === type)", what
    )
    return questions


async def following(page: Page) -> int:
    """Return how many subscriptions have not ended."""
    number: int = await page.evaluate(
        "subscriptions.filter(({ ended }) => !ended).length"
    )
    return number


async def test_a_start_for_somebody_leaves_a_session_alone_that_came_first(
    page: Page,
) -> None:
    """It says that one runs."""
    await page.evaluate("""
        refused["dc_meter.start_transaction"] = {
            translation_domain: "dc_meter", translation_key: "already_running",
        };
        putUp({ ask_user: true });
    """)
    await page.get_by_role("button", name="Start", exact=True).click()
    await page.get_by_label("User").fill("Ada")
    await page.keyboard.press("Enter")
    (start,) = await asked(page, "dc_meter.start_transaction")
    assert start["identification_data"] == "Ada"
    assert start["unless_running"] is True
    await expect(page.get_by_role("alert")).to_have_text(
        "A transaction is already running."
    )


async def test_a_card_that_was_taken_off_follows_nothing(page: Page) -> None:
    """It follows again when it is put back."""
    await page.evaluate("putUp()")
    assert await following(page) == 1
    await page.evaluate("card.remove()")
    await page.evaluate("turn('on')")
    assert await following(page) == 0
    await page.evaluate("document.body.append(card); settled()")
    assert await following(page) == 1


async def test_a_card_that_was_taken_off_early_follows_nothing(page: Page) -> None:
    """The meters come when nobody looks any more."""
    await page.evaluate("""async () => {
        let answered;
        held["dc_meter/meters"] = new Promise((resolve) => { answered = resolve; });
        await putUp();
        card.remove();
        answered();
        await settled();
    }""")
    assert await following(page) == 0


@pytest.mark.parametrize(
    ("number_format", "written"),
    [("none", "41.874 kWh"), ("language", "41,874 kWh"), ("system", "41,874 kWh")],
)
async def test_numbers_are_written_as_home_assistant_writes_them(
    page: Page, number_format: str, written: str
) -> None:
    """German where they follow the language or the system; without a format as in English."""
    await page.evaluate(
        """number_format => {
            hass.locale = { ...hass.locale, language: "de", number_format };
            return putUp();
        }""",
        number_format,
    )
    await expect(page.get_by_role("listitem")).to_contain_text(written)


@pytest.mark.parametrize(
    ("time_format", "written"),
    [
        ("system", "Mar 5, 2026, 19:00"),
        ("language", "Mar 5, 2026, 7:00 PM"),
        ("12", "Mar 5, 2026, 7:00 PM"),
        ("24", "Mar 5, 2026, 19:00"),
    ],
)
async def test_months_are_called_what_the_user_calls_them(
    page: Page, time_format: str, written: str
) -> None:
    """From the system comes only how many hours a clock has."""
    await page.evaluate(
        """time_format => {
            hass.locale = { ...hass.locale, time_format };
            return putUp();
        }""",
        time_format,
    )
    when = page.get_by_role("listitem").locator(".when")
    assert " ".join((await when.inner_text()).split()) == written


async def test_the_session_is_asked_for_anew_with_a_connection(page: Page) -> None:
    """By the card alone; what is left of the connection before is not ended in the new one."""
    await page.evaluate("""async () => {
        await putUp();
        subscriptions[0].listener(session("Ada"));
        await turn("on");
        await reconnect();
        subscriptions[1].listener(session("Grace"));
        subscriptions[0].listener(session("Ada"));
        await settled();
    }""")
    subscriptions = await page.evaluate(
        "subscriptions.map(({ options, ended }) => ({ ...options, ended }))"
    )
    assert subscriptions == [{"resubscribe": False, "ended": False}] * 2
    await expect(page.locator(".head")).to_contain_text("Charging · Grace")


async def test_a_card_waits_for_the_integration_after_a_restart(page: Page) -> None:
    """It asks first for the meters, and forgets the session of before."""
    await page.evaluate("""async () => {
        await putUp();
        subscriptions[0].listener(session("Ada"));
        await turn("on");
        hass.config = { ...hass.config, state: "STARTING" };
        refused["dc_meter/meters"] = { code: "unknown_command" };
        refused["dc_meter/subscribe_session"] = { code: "unknown_command" };
        await reconnect();
    }""")
    assert len(await asked(page, "dc_meter/subscribe_session")) == 1
    await expect(page.locator("ha-card")).to_have_text("Loading")
    await page.evaluate("""async () => {
        refused = {};
        await turn("off");
        await change({ config: { ...hass.config, state: "RUNNING" } });
        subscriptions[1].listener(null);
        await settled();
    }""")
    await expect(page.locator(".head")).to_contain_text("Ready")
    assert await page.evaluate("subscriptions[0].ended") is False


async def test_a_session_that_may_not_be_followed_any_more_is_not_shown(
    page: Page,
) -> None:
    """Not as it was before the connection broke."""
    await page.evaluate(f"""async () => {{
        await putUp();
        subscriptions[0].listener(session("Ada"));
        await turn("on");
        refused["dc_meter/subscribe_session"] = {NOT_NOW};
        await reconnect();
    }}""")
    await expect(page.get_by_role("alert")).to_have_text("Not now")
    await expect(page.locator(".head")).not_to_contain_text("Ada")


async def test_receipts_that_do_not_come_are_asked_for_with_the_next_connection(
    page: Page,
) -> None:
    """Until then the card says why, and not that they are on their way."""
    await page.evaluate(f"""async () => {{
        refused["dc_meter/receipts"] = {NOT_NOW};
        await putUp();
        await turn("on");
        await turn("off");
    }}""")
    receipts = page.locator("section")
    await expect(receipts).to_contain_text("Not now")
    await expect(receipts).not_to_contain_text("Loading")
    assert len(await asked(page, "dc_meter/receipts")) == 1
    await page.evaluate("refused = {}; reconnect()")
    await expect(receipts.get_by_role("listitem")).to_have_count(1)
    await expect(receipts).not_to_contain_text("Not now")


async def test_a_dialog_goes_with_its_card(page: Page) -> None:
    """Whoever comes back to the view finds the card as it is."""
    await page.evaluate("putUp()")
    for opened in (
        page.get_by_role("button", name="All receipts"),
        page.get_by_role("listitem").get_by_role("button"),
    ):
        await opened.click()
        await expect(page.get_by_role("dialog")).to_have_count(1)
        await page.evaluate("card.remove(); settled()")
        await page.evaluate("document.body.append(card); settled()")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.locator("dc-meter-dialog")).to_have_count(0)


async def test_all_receipts_are_there_once_wherever_the_card_is_moved_to(
    page: Page,
) -> None:
    await page.evaluate("putUp({ receipts: 1 })")
    await page.get_by_role("button", name="All receipts").click()
    history = page.locator("dc-meter-history")
    await expect(history.get_by_role("listitem")).to_have_count(1)
    await history.evaluate(
        "async history => { history.parentNode.append(history); await settled(); }"
    )
    assert len(await asked(page, "dc_meter/receipts")) == 2


async def test_a_receipt_names_whom_its_signature_names(page: Page) -> None:
    """Also where nobody here was told who charges; the tariff text likewise."""
    await page.evaluate("""
        answers["dc_meter/receipts"] = () => ({
            receipts: [
                receipt(1, { user: "Ada", tariff_text: "0,39 EUR/kWh" }),
                receipt(2, { session: { client_id: "Grace" } }),
            ],
            cursor: null,
        });
        putUp();
    """)
    rows = page.get_by_role("listitem")
    await expect(rows.first).to_contain_text("Not signed · Ada")
    await expect(rows.last).to_contain_text("Not signed · Grace")
    await rows.first.get_by_role("button").click()
    details = page.locator("dc-meter-receipt")
    await expect(details).to_contain_text("Ada")
    await expect(details).to_contain_text("0,39 EUR/kWh")


async def test_the_keyboard_stays_where_it_is_while_receipts_come(page: Page) -> None:
    """After the last of them it is on the first of the new ones."""
    await page.evaluate("""
        answers["dc_meter/receipts"] = ({ cursor = 4 }) => ({
            receipts: [receipt(cursor), receipt(cursor - 1)],
            cursor: cursor > 2 ? cursor - 1 : null,
        });
        putUp();
    """)
    await page.get_by_role("button", name="All receipts").click()
    more = page.get_by_role("button", name="Show more")
    await more.focus()
    await page.evaluate("""() => {
        held["dc_meter/receipts"] = new Promise((resolve) => { window.come = resolve; });
    }""")
    before = len(await asked(page, "dc_meter/receipts"))
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(more).to_have_attribute("aria-disabled", "true")
    await expect(more).to_be_focused()
    await page.evaluate("come(); settled()")
    await expect(more).to_be_focused()
    assert len(await asked(page, "dc_meter/receipts")) == before + 1
    await page.keyboard.press("Enter")
    await expect(more).to_have_count(0)
    rows = page.locator("dc-meter-history").get_by_role("listitem")
    await expect(rows).to_have_count(6)
    await expect(rows.nth(4).get_by_role("button")).to_be_focused()


async def test_the_keyboard_stays_where_it_is_while_a_file_is_made(page: Page) -> None:
    """A second press makes no second file."""
    await page.evaluate(f"""
        held["dc_meter.export_receipts"] =
            new Promise((resolve) => {{ window.come = resolve; }});
        refused["dc_meter.export_receipts"] = {NOT_NOW};
        putUp();
    """)
    await page.get_by_role("button", name="All receipts").click()
    pdf = page.get_by_role("button", name="Download as PDF")
    await pdf.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(pdf).to_have_attribute("aria-disabled", "true")
    await expect(pdf).to_be_focused()
    await page.evaluate("come(); settled()")
    await expect(pdf).to_have_attribute("aria-disabled", "false")
    await expect(pdf).to_be_focused()
    assert len(await asked(page, "dc_meter.export_receipts")) == 1


async def test_a_session_is_never_that_of_the_meter_chosen_before(page: Page) -> None:
    """What the earlier subscription still sends is nobody's."""
    await page.evaluate("""async () => {
        const [meter] = answers["dc_meter/meters"]();
        answers["dc_meter/meters"] = () => [meter, { ...meter, device_id: "another" }];
        await putUp();
        card.setConfig({ type: "", device_id: "another" });
        await settled();
        subscriptions[0].listener(session("Ada"));
        await settled();
    }""")
    await expect(page.locator(".head")).not_to_contain_text("Ada")
    await page.evaluate("subscriptions[1].listener(session('Grace'))")
    await expect(page.locator(".head")).to_contain_text("Grace")


async def test_a_stop_without_a_receipt_says_so_when_it_has_ended(page: Page) -> None:
    """The switch that goes off with it takes no reason away."""
    await page.evaluate("""async () => {
        refused["dc_meter.stop_transaction"] = {
            translation_domain: "dc_meter",
            translation_key: "no_receipt",
            translation_placeholders: { seconds: "60" },
        };
        await putUp();
        await turn("on");
    }""")
    await page.get_by_role("button", name="Stop").click()
    await page.locator("dc-meter-dialog").get_by_role("button", name="Stop").click()
    said = page.get_by_text("did not hand out the receipt within 60 s")
    await expect(said).to_be_visible()
    await page.evaluate("turn('off')")
    await expect(said).to_be_visible()


async def test_a_receipt_is_read_in_a_narrow_card(page: Page) -> None:
    """Its date does not make room for its energy."""
    await page.evaluate("document.body.style.width = '180px'; putUp()")
    row = page.get_by_role("listitem")
    assert await row.evaluate("row => row.scrollWidth <= row.clientWidth")
    assert await row.locator(".when").evaluate("when => when.clientWidth") >= 90


async def dashboard(page: Page, *hidden: str, meters: int = 1) -> str:
    """Return the dashboard of meters of which these entities are hidden, as YAML has it."""
    views: str = await page.evaluate(
        """async ([hidden, meters]) => {
            const entities = { power: "sensor.power", energy_import: "sensor.energy" };
            const [meter] = answers["dc_meter/meters"]();
            answers["dc_meter/meters"] = () => Array(meters).fill({ ...meter, entities });
            hass.entities = Object.fromEntries(Object.entries(entities).map(
                ([key, entity]) => [entity, { hidden: hidden.includes(key) }],
            ));
            const { generate } = customElements.get("ll-strategy-dashboard-dc-meter");
            return JSON.stringify(await generate({}, hass));
        }""",
        [hidden, meters],
    )
    return views


@pytest.mark.parametrize("meters", [1, 2])
async def test_a_dashboard_leaves_out_what_it_has_nothing_for(
    page: Page, meters: int
) -> None:
    """A card without an entity is shown as an error."""
    shown = await dashboard(page, meters=meters)
    assert "statistics-graph" in shown
    assert "history-graph" in shown
    shown = await dashboard(page, "energy_import", "power", meters=meters)
    for card in ("statistics-graph", "history-graph", '"entities"', "heading"):
        assert card not in shown
    assert "dc-meter-card" in shown
