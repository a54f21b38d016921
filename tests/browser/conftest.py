"""A real Home Assistant with simulated meters and a browser, for tests of what people see."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
import json
import os
from pathlib import Path
import re
import shutil
from typing import Any, Protocol

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    Locator,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)
import pytest
import pytest_asyncio

from demo import dashboard
from demo.client import Json
from demo.meters import DOMAIN, Meter
from demo.stage import Stage, stage
from tests.home import open_home, sockets, verify_cleanup  # noqa: F401, fixtures of every test here

PICTURES = "DC_METER_PICTURES"
"""The environment variable that names the folder for screenshots."""

DESK = ViewportSize(width=1280, height=1000)
PHONE = ViewportSize(width=390, height=844)

PATIENCE_S = 15

BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

expect.set_options(timeout=PATIENCE_S * 1000)

_PICTURES = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def pictures(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Path:
    """Provide the folder that screenshots go to."""
    if named := os.environ.get(PICTURES):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = tmp_path_factory.mktemp("pictures")
    pytestconfig.stash[_PICTURES] = folder
    return folder


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say where the screenshots are."""
    if (folder := config.stash.get(_PICTURES, None)) is not None:
        terminalreporter.write_line(f"Screenshots: {folder}")


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Start Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed; scripts/setup browser installs it")
    open_home()
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=chromium, args=BROWSER_ARGUMENTS
        ) as browser,
    ):
        yield browser


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def home(browser: Browser) -> AsyncIterator[Stage]:
    """Bring Home Assistant up with both meters."""
    open_home()
    async with stage() as up:
        async with up.client.socket() as socket:
            await dashboard.show(socket, *up.meters)
        yield up


@pytest.fixture
def dct1(home: Stage) -> Meter:
    """Provide the DCT1."""
    return home.meters[0]


@pytest.fixture
def iem_dcr(home: Stage) -> Meter:
    """Provide the IEM-DCR."""
    return home.meters[1]


class Opener(Protocol):
    """Opens a window of its own, logged in unless told otherwise."""

    async def __call__(self, *, token: str | None = None, **options: Any) -> Page:
        """Open it; the options are those of Playwright's contexts."""


@pytest_asyncio.fixture(loop_scope="session")
async def open_window(
    browser: Browser, home: Stage, pictures: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Opener]:
    """Open windows; what breaks in one breaks the test, and what each shows last is kept."""
    broken: list[str] = []
    pages: list[Page] = []
    async with AsyncExitStack() as windows:

        async def opened(*, token: str | None = None, **options: Any) -> Page:
            context = await windows.enter_async_context(
                await browser.new_context(
                    base_url=home.client.url,
                    **{"viewport": DESK, "locale": "en-GB"} | options,
                )
            )
            if token is None:
                token = home.client.token
            if token:
                await context.add_init_script(logged_in(home.client.url, token))
            context.set_default_timeout(PATIENCE_S * 1000)
            page = await context.new_page()
            pages.append(page)
            page.on("pageerror", lambda error: broken.append(str(error)))
            return page

        yield opened
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        for number, page in enumerate(pages):
            await page.screenshot(path=pictures / f"{name}-{number}.png")
    assert not broken


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_window: Opener) -> Page:
    """Provide a window on a desk, of the one who owns the house."""
    return await open_window()


def logged_in(url: str, token: str) -> str:
    """Return the script that makes the frontend find its log-in."""
    tokens = {
        "hassUrl": url,
        "clientId": f"{url}/",
        "access_token": token,
        "refresh_token": "",
        "token_type": "Bearer",
        "expires_in": 1800,
        "expires": 9e15,
    }
    return f"localStorage.hassTokens = {json.dumps(json.dumps(tokens))}"


class TakePicture(Protocol):
    """Takes a picture of what a window shows, or of one thing in it."""

    async def __call__(self, page: Page, name: str, of: Locator | None = None) -> None:
        """Take it."""


@pytest.fixture
def take_picture(pictures: Path) -> TakePicture:
    """Take pictures."""

    async def taken(page: Page, name: str, of: Locator | None = None) -> None:
        # Dialogs slide in and charts draw themselves.
        await page.wait_for_timeout(600)
        await (of or page).screenshot(
            path=pictures / f"{name}.png", animations="disabled"
        )

    return taken


async def accessibility_flaws(page: Page, element: str) -> list[str]:
    """Return what axe objects to in an element; what is around it belongs to others."""
    # Whether a page has landmarks is not for what is shown within it to say.
    options = {"rules": {"region": {"enabled": False}}}
    found = (await Axe().run(page, options=options)).response

    def within(node: dict[str, Any]) -> bool:
        return element in json.dumps(node["target"])

    assert any(within(node) for rule in found["passes"] for node in rule["nodes"])
    return [
        f"{rule['id']}: {node['failureSummary']}: {node['html']}"
        for rule in found["violations"]
        for node in rule["nodes"]
        if within(node)
    ]


async def until[T](ask: Callable[[], Awaitable[T]], wanted: T) -> None:
    """Wait for an answer. Raises ``TimeoutError``."""
    async with asyncio.timeout(PATIENCE_S):
        while await ask() != wanted:
            await asyncio.sleep(0.2)


async def state_of(home: Stage, meter: Meter, key: str) -> str:
    """Return the state of a meter's entity."""
    state: str = (await home.client.get(f"/api/states/{meter.entities[key]}"))["state"]
    return state


async def pause_car(home: Stage) -> None:
    """Let no current flow, and wait until the meters have seen it."""
    await home.simulation.steer_car(charging=False)
    for meter in home.meters:
        await until(partial(flows, home, meter), False)


async def flows(home: Stage, meter: Meter) -> bool:
    """Tell whether a meter shows power, or does not answer."""
    return await state_of(home, meter, "power") not in ("0", "0.0")


async def entry_of(home: Stage, meter: Meter) -> Json:
    """Return a meter's config entry."""
    entries = await home.client.get(f"/api/config/config_entries/entry?domain={DOMAIN}")
    return next(entry for entry in entries if meter.serial_number in entry["title"])


async def loaded(home: Stage, meter: Meter) -> bool:
    """Tell whether a meter's entry is up."""
    state: str = (await entry_of(home, meter))["state"]
    return state == "loaded"
