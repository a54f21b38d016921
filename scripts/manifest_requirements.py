"""Print the packages Home Assistant would install when it starts with a configuration.

python scripts/manifest_requirements.py CONFIGURATION.yaml CUSTOM_INTEGRATION_FOLDER...

Runs in the environment of the Home Assistant in question and follows its rules: what it
always loads, what the configuration names, and what those depend on.
"""

import json
from pathlib import Path
import sys
from typing import Any

import yaml

from homeassistant import components
from homeassistant.bootstrap import DEFAULT_INTEGRATIONS
from homeassistant.const import BASE_PLATFORMS
from homeassistant.requirements import DISCOVERY_INTEGRATIONS


def manifest(folder: Path) -> dict[str, Any]:
    """Return an integration's manifest."""
    data: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return data


def wanted_by(data: dict[str, Any]) -> set[str]:
    """Return the integrations Home Assistant loads or makes ready along with one."""
    return {
        *data.get("dependencies", ()),
        *data.get("after_dependencies", ()),
        *(
            discovery
            for discovery, keys in DISCOVERY_INTEGRATIONS.items()
            if any(key in data for key in keys)
        ),
    }


def requirements(configuration: Path, custom: list[Path]) -> set[str]:
    """Return the requirements of all integrations that come to be loaded."""
    [built_in] = (Path(folder) for folder in components.__path__)
    # Composed only, for the tags that Home Assistant adds to YAML stay unread this way.
    document = yaml.compose(configuration.read_text())
    named = {key.value for key, _ in document.value} if document else set()
    custom_manifests = [manifest(folder) for folder in custom]
    found = {text for data in custom_manifests for text in data.get("requirements", ())}
    waiting = {*DEFAULT_INTEGRATIONS, *BASE_PLATFORMS, *named}.union(
        *(wanted_by(data) for data in custom_manifests)
    ) - {"homeassistant"}
    done: set[str] = set()
    while waiting:
        done.add(domain := waiting.pop())
        data = manifest(built_in / domain)
        found.update(data.get("requirements", ()))
        waiting |= wanted_by(data) - done
    return found


if __name__ == "__main__":
    configuration, *custom = map(Path, sys.argv[1:])
    print(*sorted(requirements(configuration, custom)), sep="\n")
