"""How long the integration takes to import, in a Home Assistant that has not used it yet."""

import asyncio
from collections.abc import Sequence
import json
import sys
import textwrap

from demo.process import ROOT
from homeassistant.const import BASE_PLATFORMS

from .result import Must, Result

PACKAGE = "custom_components.dc_meter"
FOLDER = ROOT / "custom_components" / "dc_meter"


CHILD = textwrap.dedent(
    """
    import sys
    from importlib import import_module
    import time

    def took_ms(modules):
        began = time.process_time()
        for module in modules:
            import_module(module)
        return (time.process_time() - began) * 1000

    platforms, dependencies, own = (names.split() for names in sys.argv[1:])
    took_ms(platforms)
    print(took_ms(dependencies), took_ms(own))
    """
)

LOADED = (
    "homeassistant.bootstrap",
    "homeassistant.helpers.aiohttp_client",
    "homeassistant.helpers.update_coordinator",
)
"""What every Home Assistant has loaded before it comes to an integration, beside platforms."""


async def once(platforms: Sequence[str], dependencies: Sequence[str]) -> list[float]:
    """Return the milliseconds of CPU in a fresh process: of dependencies, of ourselves."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD),
        " ".join((*LOADED, *(f"homeassistant.components.{one}" for one in platforms))),
        " ".join(f"homeassistant.components.{one}" for one in dependencies),
        " ".join((PACKAGE, *(f"{PACKAGE}.{one}" for one in platforms))),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate()
    return [float(one) for one in said.split()]


async def ask(*, quick: bool) -> list[Result]:
    """Import it in fresh processes; the first, which may compile, does not count."""
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    platforms = [
        file.stem for file in FOLDER.glob("*.py") if file.stem in set(BASE_PLATFORMS)
    ]
    dependencies = manifest["dependencies"]
    await once(platforms, dependencies)
    took = [await once(platforms, dependencies) for _ in range(3 if quick else 9)]
    theirs, ours = zip(*took, strict=True)
    return [
        Result.of(
            f"import of {len(platforms)} platforms and the integration,"
            " after what it depends on",
            ours,
            "ms",
            must=Must(bound=150),
        ),
        Result.of(
            f"import of what it depends on ({', '.join(dependencies)}), where nobody"
            " has before",
            theirs,
            "ms",
        ),
    ]
