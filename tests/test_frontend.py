"""What browsers load: small, handed out by Home Assistant's frontend, and with all its words."""

from collections.abc import Iterable
from enum import StrEnum
import json
from pathlib import Path
import re

import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.dc_meter.export.words import ENGLISH
from custom_components.dc_meter.frontend import MODULE, URL, async_setup_frontend
from custom_components.dc_meter.metering.verdict import (
    Caveat,
    Covered,
    Objection,
    Reason,
    Verdict,
)
from custom_components.dc_meter.session import GapKind, StartWarning
from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL, UrlManager
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

ROOT = Path(__file__).parent.parent
SOURCES = "\n".join(
    file.read_text(encoding="utf-8") for file in (ROOT / "frontend/src").glob("*.ts")
)
TEXTS = json.loads(
    (ROOT / "custom_components/dc_meter/translations/en.json").read_text("utf-8")
)


async def test_browsers_load_the_module_and_keep_it(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, socket_enabled: None
) -> None:
    """Its address changes with its content, so an old one is never taken for it."""
    # The frontend itself, which is some hundred megabytes, is not installed for tests.
    hass.config.components.add("frontend")
    urls = hass.data[DATA_EXTRA_MODULE_URL] = UrlManager(lambda *_: None, [])
    await async_setup_component(hass, "http", {})
    await async_setup_frontend(hass)
    (url,) = urls.urls
    assert re.fullmatch(rf"{URL}\?[0-9a-f]{{12}}", url)
    answer = await (await hass_client()).get(url)
    assert answer.status == 200
    assert await answer.read() == MODULE.read_bytes()
    assert "javascript" in answer.headers["Content-Type"]
    assert "max-age" in answer.headers["Cache-Control"]


async def test_meters_work_without_a_frontend(hass: HomeAssistant) -> None:
    """Nothing is handed out where nobody takes it."""
    await async_setup_component(hass, "http", {})
    await async_setup_frontend(hass)
    assert DATA_EXTRA_MODULE_URL not in hass.data


def test_the_module_is_small() -> None:
    """Phones load it with every dashboard."""
    assert MODULE.stat().st_size < 60_000


def test_the_lock_file_names_no_registry() -> None:
    """Whoever builds it takes the packages from where they take all."""
    lock = (ROOT / "frontend/package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert "://" not in re.sub(r'"url": "[^"]*"', "", lock)


def test_no_word_of_the_card_is_left_over() -> None:
    """Those that are missing, the type checker finds."""
    unused = [
        word
        for word in TEXTS["config_panel"]["card"]
        if not re.search(rf'"{word}"|\.{word}\b', SOURCES)
    ]
    assert not unused


def test_every_option_of_the_card_is_named() -> None:
    """The form has a label for each, and no helper for none."""
    fields = set(re.findall(r'name: "(\w+)"', SOURCES))
    words = TEXTS["config_panel"]["editor"]
    assert {word for word in words if not word.endswith("_helper")} == fields
    assert {word.removesuffix("_helper") for word in words} == fields


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ("verdict", Verdict),
        ("verdict_reason", Reason),
        ("objection", Objection),
        ("caveat", Caveat),
        ("covered", Covered),
        ("gap", GapKind),
        ("start_warning", StartWarning),
    ],
)
def test_whatever_is_said_of_a_session_is_put_into_words(
    selector: str, values: Iterable[StrEnum]
) -> None:
    """A key never reaches a person."""
    assert TEXTS["selector"][selector]["options"].keys() == {
        value.value for value in values
    }


def test_card_and_papers_give_the_same_reasons() -> None:
    """A receipt is not explained in two ways."""
    selectors = TEXTS["selector"]
    for selector, words in (
        ("verdict_reason", ENGLISH.reasons),
        ("objection", ENGLISH.objections),
        ("caveat", ENGLISH.caveats),
    ):
        assert selectors[selector]["options"] == dict(words)
