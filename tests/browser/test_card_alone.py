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
