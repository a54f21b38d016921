"""The documentation: nothing that users meet is missing from it, and its links lead somewhere."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components.dc_meter.forms import (
    ADVANCED_SCHEMA,
    DCT1_NETWORK_SCHEMA,
    DCT1_SERIAL_SCHEMA,
    ECONOMY_SCHEMA,
    IEM_DCR_SCHEMA,
    OPTIONS_SCHEMAS,
)
from homeassistant.util.yaml import load_yaml_dict, parse_yaml

from .test_repository import (
    BLUEPRINTS,
    INTEGRATION,
    ROOT,
    action_fields,
    named,
    read_json,
)

DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "info.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.glob("*.md")),
]
ENGLISH = read_json(INTEGRATION / "translations" / "en.json")
ACTIONS = load_yaml_dict(str(INTEGRATION / "services.yaml"))
PARTS = {
    kind: load_yaml_dict(str(INTEGRATION / f"{kind}s.yaml"))
    for kind in ("trigger", "condition")
}
SECTIONS = {"advanced", "economy"}


def text_of(page: str) -> str:
    """Return a page."""
    return (DOCS / page).read_text(encoding="utf-8")


def settings() -> Iterator[str]:
    """Yield the fields of all forms as their label and key."""
    forms = [
        form
        for flow in ("config", "options")
        for step in ENGLISH[flow]["step"].values()
        for form in (step, *step.get("sections", {}).values())
    ]
    for form in forms:
        yield from (f"{label} (`{key}`)" for key, label in form.get("data", {}).items())


def entities() -> Iterator[str]:
    """Yield the entities by their keys; of power and problem the device class is the name."""
    for platform in ENGLISH["entity"].values():
        yield from platform
    yield from ("power", "problem")


def blueprint_inputs(file: Path) -> Iterator[str]:
    """Yield the names of a blueprint's inputs, those in sections included."""
    inputs = load_yaml_dict(str(file))["blueprint"]["input"]
    for name, entry in inputs.items():
        yield from entry.get("input", [name])


def without_names(text: str) -> str:
    """Return a text as the documentation quotes it: without what is filled in."""
    return re.sub(r"\{\w+\}", "…", text)


def coded(names: Iterable[str]) -> list[str]:
    """Return names as the documentation writes them."""
    return [f"`{name}`" for name in names]


@pytest.mark.parametrize(
    ("page", "what"),
    [
        ("meters.md", settings()),
        ("entities.md", coded(entities())),
        ("automations.md", coded(f"dc_meter.{name}" for name in ENGLISH["triggers"])),
        ("automations.md", coded(f"dc_meter.{name}" for name in ENGLISH["conditions"])),
        ("automations.md", [part["name"] for part in ENGLISH["triggers"].values()]),
        ("troubleshooting.md", coded(ENGLISH["issues"])),
        (
            "troubleshooting.md",
            [without_names(issue["title"]) for issue in ENGLISH["issues"].values()],
        ),
        ("troubleshooting.md", coded(ENGLISH["exceptions"])),
        ("troubleshooting.md", coded(ENGLISH["config"]["error"])),
        ("troubleshooting.md", coded(ENGLISH["options"]["error"])),
        ("troubleshooting.md", ENGLISH["system_health"]["info"].values()),
        *(
            ("receipts.md", coded(ENGLISH["selector"][selector]["options"]))
            for selector in (
                "caveat",
                "covered",
                "export_format",
                "gap",
                "objection",
                "start_warning",
                "verdict",
                "verdict_reason",
            )
        ),
    ],
)
def test_a_page_leaves_nothing_out(page: str, what: Iterable[str]) -> None:
    """Whatever a user meets is explained where it belongs."""
    text = text_of(page)
    wanted = list(what)
    assert wanted
    assert not [name for name in wanted if name not in text]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_field_of_an_action_is_explained(action: str) -> None:
    """In the action's own section; what two actions share is named once."""
    sections = re.split(r"^## ", text_of("actions.md"), flags=re.MULTILINE)
    [section] = [part for part in sections if part.startswith(f"`dc_meter.{action}`")]
    if "The filters of `get_receipts`" in section:
        section = "".join(sections)
    assert not [
        name for name in coded(action_fields(ACTIONS[action])) if name not in section
    ]


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_is_found_by_its_name_and_its_inputs_are_listed(file: Path) -> None:
    """Under the name that Home Assistant shows."""
    name = load_yaml_dict(str(file))["blueprint"]["name"]
    _, found, section = text_of("automations.md").partition(f"### {name}\n")
    assert found
    section = section.partition("\n### ")[0]
    assert not [key for key in blueprint_inputs(file) if f"`{key}`" not in section]
    assert f"[{name}]" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_defaults_are_those_of_the_forms() -> None:
    """What the tables say of a field is what the form shows."""
    rows = {
        match[1]: line
        for line in text_of("meters.md").splitlines()
        if (match := re.match(r"\| [^|]*\(`(\w+)`\) \|", line))
    }
    shown = 0
    for schema in (
        DCT1_SERIAL_SCHEMA,
        DCT1_NETWORK_SCHEMA,
        IEM_DCR_SCHEMA,
        ADVANCED_SCHEMA,
        ECONOMY_SCHEMA,
        *OPTIONS_SCHEMAS.values(),
    ):
        for key in schema.schema:
            default = getattr(key, "default", None)
            if str(key) in SECTIONS or not callable(default):
                continue
            value = default()
            if isinstance(value, bool):
                word = "on" if value else "off"
            elif isinstance(value, int | float):
                word = f"{value:g}"
            else:
                continue
            assert re.search(rf"\| {word}( \w+)? \|", rows[str(key)]), key
            shown += 1
    assert shown > 10


def test_what_an_error_says_is_what_it_says() -> None:
    """The tables quote the texts of today, with … for what is filled in."""
    says: dict[str, list[str]] = {}
    for key, error in ENGLISH["exceptions"].items():
        says.setdefault(key, []).append(error["message"])
    for flow in ("config", "options"):
        for key, message in ENGLISH[flow]["error"].items():
            says.setdefault(key, []).append(message)
    tables = text_of("troubleshooting.md").partition("## Errors")[2]
    rows = re.findall(r"^\| `(\w+)` \| ((?:\\\||[^|])+) \|", tables, re.MULTILINE)
    assert {key for key, _ in rows} == says.keys()
    for key, quoted in rows:
        quote = quoted.replace("\\|", "|").removesuffix("…").strip()
        assert any(quote in without_names(text) for text in says[key]), key


def anchors(file: Path) -> set[str]:
    """Return what links can name in a page: its headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""

    links = re.findall(
        r'(?:\]\(|(?:src|srcset)=")(?!https?:)([^)"]+)',
        page.read_text(encoding="utf-8"),
    )
    for link in links:
        target, _, anchor = link.partition("#")
        file = page.parent / target if target else page
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_links_from_outside_lead_somewhere() -> None:
    """Cards, repairs and the store link to the published pages."""
    sources = [
        ROOT / "info.md",
        *(ROOT / "frontend/src").glob("*.ts"),
        *INTEGRATION.glob("*.py"),
    ]
    links = re.findall(
        r"https://github\.com/dc-meter/dc-meter(?:/blob/main/([\w./-]+))?#([\w-]+)",
        "".join(file.read_text(encoding="utf-8") for file in sources),
    )
    assert len(links) > 3
    for page, anchor in links:
        assert anchor in anchors(ROOT / (page or "README.md")), (page, anchor)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_name_only_what_exists(page: Path) -> None:
    """They are YAML, and give our triggers, conditions and actions fields that these have."""
    for block in re.findall(
        r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    ):
        if "…" in block:
            continue
        for kind, name, given in named(parse_yaml(block)):
            fields: dict[str, Any] = (
                action_fields(ACTIONS[name])
                if kind == "action"
                else PARTS[kind][name].get("fields", {})
            )
            assert given.keys() <= fields.keys()


THREATS = re.findall(
    r"^\| (?!Threat \||-)(.+?) \|.*\| (.+) \|$",
    (ROOT / "SECURITY.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(
    "held_by",
    [held_by for _, held_by in THREATS],
    ids=[threat for threat, _ in THREATS],
)
def test_a_threat_is_held_by_tests_that_exist(held_by: str) -> None:
    """At least one, and each by its name."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", held_by)
    assert named
    for file, test in named:
        tests = {
            node.name
            for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert test in tests, f"{file}::{test}"


def test_the_table_of_threats_is_read() -> None:
    """Or nothing above would be looked at."""
    assert len(THREATS) > 20
