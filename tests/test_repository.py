"""The repository: what hassfest and HACS ask for, and the floors of the house."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.util import resolve_name
import json
from pathlib import Path
import re
from string import Formatter
import subprocess
import tomllib
from typing import Any
from urllib.parse import quote, urlparse

from awesomeversion import AwesomeVersion
from PIL import Image
import pytest
import voluptuous as vol

from custom_components.dc_meter.actions import async_setup_actions
from custom_components.dc_meter.condition import CONDITIONS
from custom_components.dc_meter.const import DOMAIN
from custom_components.dc_meter.metering.errors import MeterError
from custom_components.dc_meter.trigger import TRIGGERS
import homeassistant.components
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
from homeassistant.const import __version__ as HOME_ASSISTANT_VERSION
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import validate_selector
from homeassistant.util.yaml import extract_inputs, load_yaml_dict, parse_yaml
from scripts.translations import texts

ROOT = Path(__file__).parent.parent
PACKAGE = "custom_components.dc_meter"
INTEGRATION = ROOT / "custom_components" / "dc_meter"
CORE_INTEGRATIONS = Path(homeassistant.components.__path__[0])
LANGUAGES = sorted(file.stem for file in INTEGRATION.glob("translations/*.json"))


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def placeholders(text: str) -> set[str]:
    """Return the names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.fixture(name="manifest")
def manifest_fixture() -> dict[str, Any]:
    """Return the integration's manifest."""
    return read_json(INTEGRATION / "manifest.json")


@pytest.fixture(name="hacs")
def hacs_fixture() -> dict[str, Any]:
    """Return what HACS reads about the repository."""
    return read_json(ROOT / "hacs.json")


@pytest.fixture(name="english")
def english_fixture() -> dict[str, Any]:
    """Return the English texts as a tree."""
    return read_json(INTEGRATION / "translations" / "en.json")


@pytest.fixture(name="icons")
def icons_fixture() -> dict[str, Any]:
    """Return the icons."""
    return read_json(INTEGRATION / "icons.json")


@pytest.fixture(name="actions")
def actions_fixture() -> dict[str, Any]:
    """Return the actions as the user interface knows them."""
    return load_yaml_dict(str(INTEGRATION / "services.yaml"))


@pytest.fixture(name="automation_parts")
def automation_parts_fixture() -> dict[str, dict[str, dict[str, Any]]]:
    """Return triggers and conditions as the user interface knows them."""
    return {
        kind: {
            name: description
            for name, description in load_yaml_dict(
                str(INTEGRATION / f"{kind}.yaml")
            ).items()
            if not name.startswith(".")
        }
        for kind in ("triggers", "conditions")
    }


@pytest.fixture(name="quality_scale")
def quality_scale_fixture() -> dict[str, dict[str, str]]:
    """Return what the integration says of each rule, in the long form."""
    rules = load_yaml_dict(str(INTEGRATION / "quality_scale.yaml"))["rules"]
    return {
        rule: {"status": answer} if isinstance(answer, str) else answer
        for rule, answer in rules.items()
    }


def action_fields(action: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an action's fields, those in sections included."""
    fields: dict[str, dict[str, Any]] = {}
    for name, field in action.get("fields", {}).items():
        fields |= field.get("fields", {name: field})
    return fields


# The manifests


def test_the_manifest_is_in_hassfests_order(manifest: dict[str, Any]) -> None:
    """Domain, name, then the alphabet."""
    rest = sorted(manifest.keys() - {"domain", "name"})
    assert list(manifest) == ["domain", "name", *rest]


def test_the_manifest_has_what_hassfest_and_hacs_require(
    manifest: dict[str, Any],
) -> None:
    """Nobody has to guess whose it is, where its words are and where to complain."""
    assert manifest["domain"] == INTEGRATION.name == DOMAIN
    assert manifest["iot_class"] == "local_polling"
    assert manifest["integration_type"] == "device"
    assert manifest["config_flow"] is True
    assert manifest["codeowners"]
    for key in ("documentation", "issue_tracker"):
        url = urlparse(manifest[key])
        assert (url.scheme, url.hostname) == ("https", "github.com")


def test_the_manifest_depends_on_integrations_that_exist(
    manifest: dict[str, Any],
) -> None:
    """A dependency is one of Home Assistant's own."""
    assert manifest["dependencies"]
    for dependency in manifest["dependencies"]:
        assert (CORE_INTEGRATIONS / dependency / "manifest.json").is_file()


def test_manifest_and_project_have_the_same_version(manifest: dict[str, Any]) -> None:
    """There is one version, and it can be compared with others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert manifest["version"] == project["project"]["version"]
    assert AwesomeVersion(manifest["version"]).valid


def test_hacs_finds_nothing_it_does_not_know(hacs: dict[str, Any]) -> None:
    """HACS refuses a file with other keys than its own."""
    assert hacs.keys() <= {
        "content_in_root",
        "country",
        "filename",
        "hacs",
        "hide_default_branch",
        "homeassistant",
        "name",
        "persistent_directory",
        "render_readme",
        "zip_release",
    }


def test_hacs_shows_the_name_of_the_manifest(
    hacs: dict[str, Any], manifest: dict[str, Any]
) -> None:
    """The store and the integration page call it the same."""
    assert hacs["name"] == manifest["name"]


def test_hacs_asks_for_no_newer_home_assistant_than_the_tests(
    hacs: dict[str, Any],
) -> None:
    """The oldest version offered is one these tests run on, or older."""
    assert AwesomeVersion(hacs["homeassistant"]) <= HOME_ASSISTANT_VERSION


def test_the_store_finds_one_integration_and_its_papers() -> None:
    """HACS takes the only folder under custom_components, a read-me and a licence."""
    folders = [file.parent for file in ROOT.glob("custom_components/*/manifest.json")]
    assert folders == [INTEGRATION]
    for name in ("README.md", "info.md", "LICENSE"):
        assert (ROOT / name).read_text(encoding="utf-8").strip()


# The pictures


@pytest.mark.parametrize(
    ("name", "height"),
    [
        ("icon.png", 256),
        ("icon@2x.png", 512),
        ("logo.png", 256),
        ("logo@2x.png", 512),
        ("dark_logo.png", 256),
        ("dark_logo@2x.png", 512),
    ],
)
def test_brand_picture_is_a_trimmed_png_of_the_right_size(
    name: str, height: int
) -> None:
    """Icons are squares, logos are landscape, and neither has an empty edge."""
    with Image.open(INTEGRATION / "brand" / name) as picture:
        assert picture.format == "PNG"
        assert picture.height == height
        if "icon" in name:
            assert picture.width == height
        else:
            assert picture.width > height
        assert picture.convert("RGBA").getbbox() == (0, 0, *picture.size)


# The words


def test_it_speaks_six_languages() -> None:
    """More are welcome; these are kept."""
    assert {"de", "en", "es", "fr", "it", "nl"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    """A language has the keys of English, no more and no less."""
    assert texts(language).keys() == texts("en").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_fills_in_the_same(language: str) -> None:
    """What English fills in from the meter or the request, the others fill in as well."""
    english = {path: placeholders(text) for path, text in texts("en").items()}
    assert {
        path: placeholders(text) for path, text in texts(language).items()
    } == english


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("flaw", "pattern"),
    [
        ("is empty", r"\A\s*\Z"),
        ("begins or ends with a space", r"\A\s|\s\Z"),
        ("contains HTML", r"<[a-z/!][^>]*>"),
        ("contains an address; use a placeholder", r"(?i)\b(\w+://|www\.)[a-z0-9]"),
        ("quotes a placeholder with apostrophes", r"'\{\w+\}'"),
        ("refers to another text, as only core may", r"\[%key:"),
    ],
)
def test_no_text_has_a_flaw(language: str, flaw: str, pattern: str) -> None:
    """Texts are as hassfest wants them."""
    flawed = [
        path for path, text in texts(language).items() if re.search(pattern, text)
    ]
    assert not flawed, f"{language}: {flawed} {flaw}"


def test_every_field_of_a_form_is_explained(english: dict[str, Any]) -> None:
    """A label alone does not tell what to type; each has its description."""
    forms = [
        form
        for flow in ("config", "options")
        for step in english.get(flow, {}).get("step", {}).values()
        for form in (step, *step.get("sections", {}).values())
    ]
    assert any("data" in form for form in forms)
    for form in forms:
        assert form.get("data", {}).keys() == form.get("data_description", {}).keys()


def test_everything_a_meter_can_raise_is_put_into_words(
    english: dict[str, Any],
) -> None:
    """Each error has a text, filled in with nothing the error does not know."""

    def family(error: type[MeterError]) -> Iterator[type[MeterError]]:
        yield error
        for child in error.__subclasses__():
            yield from family(child)

    for error in family(MeterError):
        message = english["exceptions"][error.key]["message"]
        assert placeholders(message) <= placeholders(error.message), error.key


# The actions


def test_every_action_is_named_and_explained(
    actions: dict[str, Any], english: dict[str, Any]
) -> None:
    """Actions, their fields and their sections have words, and no words are left over."""
    assert actions.keys() == english["services"].keys()
    for key, action in actions.items():
        words = english["services"][key]
        sections = {
            name for name, field in action["fields"].items() if "fields" in field
        }
        assert words["name"] and words["description"]
        assert words["fields"].keys() == action_fields(action).keys()
        assert words.get("sections", {}).keys() == sections
        for field in words["fields"].values():
            assert field.keys() == {"name", "description"}


def test_every_choice_of_an_action_is_translated(
    actions: dict[str, Any], english: dict[str, Any]
) -> None:
    """A list with a translation key has a text for each of its options."""
    for action in actions.values():
        for field in action_fields(action).values():
            choice = field["selector"].get("select") or {}
            if "translation_key" in choice:
                words = english["selector"][choice["translation_key"]]["options"]
                assert words.keys() == set(choice["options"])


def test_every_field_of_an_action_can_be_entered(actions: dict[str, Any]) -> None:
    """Home Assistant knows the selectors and accepts their settings."""
    for action in actions.values():
        for field in action_fields(action).values():
            validate_selector(field["selector"])


async def test_actions_take_what_they_show(
    hass: HomeAssistant, actions: dict[str, Any]
) -> None:
    """Forms and code agree on the fields, on which are required, and on every choice."""
    async_setup_actions(hass)
    registered = hass.services.async_services_for_domain(DOMAIN)
    assert registered.keys() == actions.keys()
    for key, action in actions.items():
        schema: Any = registered[key].schema
        taken = {str(name): isinstance(name, vol.Required) for name in schema.schema}
        shown = action_fields(action)
        assert taken == {
            name: field.get("required", False) for name, field in shown.items()
        }
        choices = {
            name: (field["selector"].get("select") or {}).get("options", [])
            for name, field in shown.items()
        }
        least = {
            name: (choices[name] or ["a meter"])[0]
            for name, required in taken.items()
            if required
        }
        for name, options in choices.items():
            for option in options:
                schema({**least, name: option})


# Triggers and conditions


@pytest.mark.parametrize("kind", ["triggers", "conditions"])
def test_every_trigger_and_condition_is_named_and_has_an_icon(
    kind: str,
    automation_parts: dict[str, dict[str, dict[str, Any]]],
    english: dict[str, Any],
    icons: dict[str, Any],
) -> None:
    """They and their fields have words and icons, and none are left over."""
    parts = automation_parts[kind]
    code = {"triggers": TRIGGERS, "conditions": CONDITIONS}[kind]
    assert parts.keys() == code.keys() == english[kind].keys() == icons[kind].keys()
    for key, part in parts.items():
        words = english[kind][key]
        fields = part.get("fields", {})
        assert words["name"] and words["description"]
        assert words.get("fields", {}).keys() == fields.keys()
        validate_selector({"target": part["target"]})
        for name, field in fields.items():
            assert words["fields"][name].keys() == {"name", "description"}
            validate_selector(field["selector"])


# The blueprints

BLUEPRINTS = sorted((ROOT / "blueprints").rglob("*.yaml"))
AUTOMATIONS = ROOT / "docs" / "automations.md"
EXAMPLES = {
    example["use_blueprint"]["path"]: example["use_blueprint"]["input"]
    for block in re.findall(
        r"```yaml\n(.*?)```", AUTOMATIONS.read_text("utf-8"), re.DOTALL
    )
    if "use_blueprint" in block and isinstance(example := parse_yaml(block), dict)
}


def named(tree: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each trigger, condition and action of ours in a tree, with what it is given."""
    if isinstance(tree, dict):
        for kind in ("trigger", "condition", "action"):
            domain, _, name = str(tree.get(kind, "")).partition(".")
            if domain == DOMAIN:
                given = tree.get("data" if kind == "action" else "options", {})
                yield kind, name, given if isinstance(given, dict) else {}
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from named(branch)


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_names_only_what_exists(
    file: Path,
    actions: dict[str, Any],
    automation_parts: dict[str, dict[str, dict[str, Any]]],
) -> None:
    """Our triggers, conditions and actions, and the fields they are given."""
    seen = list(named(load_yaml_dict(str(file))))
    assert seen
    for kind, name, given in seen:
        if kind == "action":
            assert given.keys() <= action_fields(actions[name]).keys()
        else:
            part = automation_parts[f"{kind}s"][name]
            assert given.keys() <= part.get("fields", {}).keys()


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_says_whence_it_comes_and_what_it_asks_for(
    file: Path, hacs: dict[str, Any], manifest: dict[str, Any]
) -> None:
    """It can be updated from its source, and every input has a name and a selector."""
    blueprint = Blueprint(load_yaml_dict(str(file)), schema=BLUEPRINT_SCHEMA)
    metadata = blueprint.metadata
    address = f"{manifest['documentation']}/blob/main/{file.relative_to(ROOT)}"
    assert metadata["source_url"] == address
    assert metadata["homeassistant"]["min_version"] == hacs["homeassistant"]
    assert metadata["description"].strip()
    for entry in blueprint.inputs.values():
        assert entry["name"] and entry["selector"]
    used = extract_inputs(blueprint.data)
    assert used == blueprint.inputs.keys()


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_the_documentation_shows_how_to_get_and_use_a_blueprint(file: Path) -> None:
    """It has a link to import it, and an example that gives all it cannot do without."""
    blueprint = Blueprint(load_yaml_dict(str(file)), schema=BLUEPRINT_SCHEMA)
    text = AUTOMATIONS.read_text(encoding="utf-8")
    assert quote(blueprint.metadata["source_url"], safe="") in text
    example = EXAMPLES[f"dc-meter/{file.name}"]
    needed = {key for key, entry in blueprint.inputs.items() if "default" not in entry}
    assert needed <= example.keys() <= blueprint.inputs.keys()


# The icons


def test_icons_belong_to_something(
    icons: dict[str, Any], english: dict[str, Any], actions: dict[str, Any]
) -> None:
    """An icon is for an entity that has a name, or for an action; every action has one."""
    assert icons["services"].keys() == actions.keys()
    for platform, entities in icons["entity"].items():
        assert entities.keys() <= english["entity"][platform].keys()


def test_icons_are_material_design_icons(icons: dict[str, Any]) -> None:
    """Others are not in the frontend."""
    named = re.findall(r'": "([^"]+)"', json.dumps(icons))
    assert named
    for icon in named:
        assert re.fullmatch(r"mdi:[a-z0-9]+(-[a-z0-9]+)*", icon)


# What is run


def test_a_pull_request_is_tried_with_all_that_a_contributor_runs() -> None:
    """What .ci/run does, the workflow does; it may keep more of what it saw."""
    workflow = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    commands = re.findall(
        r"scripts/\w+(?: --.+)?", (ROOT / ".ci/run").read_text(encoding="utf-8")
    )
    assert len(commands) == 6
    assert not [command for command in commands if f"run: {command}" not in workflow]


# The quality scale


def test_the_quality_scale_is_answered_rule_by_rule(
    quality_scale: dict[str, dict[str, str]],
) -> None:
    """Every rule of Home Assistant's scale has an answer; the list is a core integration's."""
    core = load_yaml_dict(str(CORE_INTEGRATIONS / "sofar" / "quality_scale.yaml"))
    assert quality_scale.keys() == core["rules"].keys()
    for rule, answer in quality_scale.items():
        assert answer["status"] in {"done", "exempt", "todo"}, rule
        if answer["status"] == "exempt":
            assert answer["comment"].strip(), f"why is {rule} exempt?"


def test_platinum_leaves_nothing_to_do(
    manifest: dict[str, Any], quality_scale: dict[str, dict[str, str]]
) -> None:
    """The manifest claims the highest tier only when no rule is open."""
    open_rules = [
        rule for rule, answer in quality_scale.items() if answer["status"] == "todo"
    ]
    assert manifest["quality_scale"] != "platinum" or not open_rules


# The house

GROUND = f"{PACKAGE}.metering"
FLOORS = {
    f"{PACKAGE}.coordinator": 2,
    f"{PACKAGE}.events": 2,
    f"{PACKAGE}.held": 2,
    f"{PACKAGE}.ledger": 2,
    f"{PACKAGE}.receipts": 2,
    f"{PACKAGE}.registers": 2,
    f"{PACKAGE}.presence": 2,
    f"{PACKAGE}.sessions": 2,
    f"{PACKAGE}.statistics": 2,
    f"{PACKAGE}.trust": 2,
    f"{PACKAGE}.archive": 1,
    f"{PACKAGE}.clock": 1,
    f"{PACKAGE}.economy": 1,
    f"{PACKAGE}.gaps": 1,
    f"{PACKAGE}.moments": 1,
    f"{PACKAGE}.outcome": 1,
    f"{PACKAGE}.plausible": 1,
    f"{PACKAGE}.polls": 1,
    f"{PACKAGE}.registry": 1,
    f"{PACKAGE}.session": 1,
    # Names only, for every floor but the ground.
    f"{PACKAGE}.const": 1,
}


def floor(module: str) -> int:
    """Return how high a module stands: platforms, actions and flows on top."""
    return 0 if module.startswith(GROUND) else FLOORS.get(module, 3)


@cache
def modules() -> dict[str, Path]:
    """Return the integration's files by the name of their module."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__init__"
        ): file
        for file in INTEGRATION.rglob("*.py")
    }


def imports(module: str, file: Path) -> Iterator[str]:
    """Yield the full name of everything a file imports, at any depth of its code."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield name if name in modules() else source


def own_imports() -> dict[str, set[str]]:
    """Return, for each of our modules, those of our modules it imports."""
    known = modules()
    return {
        module: {name for name in imports(module, file) if name in known}
        for module, file in known.items()
    }


def test_metering_knows_nothing_of_home_assistant() -> None:
    """The meters and the mathematics of receipts work without it."""
    metering = {
        name: file for name, file in modules().items() if name.startswith(GROUND)
    }
    assert metering
    for module, file in metering.items():
        foreign = {
            name
            for name in imports(module, file)
            if name.startswith(("homeassistant", "custom_components"))
            and not name.startswith(GROUND)
        }
        assert not foreign, f"{module} imports {foreign}"


def test_imports_go_down_only() -> None:
    """Platforms, actions and flows; sessions and coordinator; archive; metering."""
    climbing = [
        f"{module} imports {imported}"
        for module, names in own_imports().items()
        for imported in names
        if floor(imported) > floor(module)
    ]
    assert not climbing


def test_no_import_goes_round_in_a_circle() -> None:
    """Any two modules have an order; a circle raises, and names its members."""
    order = list(TopologicalSorter(own_imports()).static_order())
    assert set(order) == modules().keys()


# The files


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        (
            "a package registry",
            rb"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|crates\.io|index[-_]url",
        ),
        ("a folder of one machine", rb"(?<![\w.~}])/(root|work|Users|home/\w+)/"),
        ("a merge left half done", rb"(?m)^(<{7}|>{7}) "),
    ],
)
def test_no_file_names(what: str, pattern: bytes) -> None:
    """What is committed works from anywhere."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [ROOT / name for name in listing.split("\0") if name]
    assert INTEGRATION / "manifest.json" in files
    assert not [file for file in files if file.name == "uv.lock"]
    naming = [
        str(file.relative_to(ROOT))
        for file in files
        if file.is_file() and re.search(pattern, file.read_bytes())
    ]
    assert not naming, f"{what} is named in {naming}"
