"""A real Home Assistant process in a folder of its own."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
import json
from pathlib import Path
import re
import shutil
import time
from typing import Any, Self

import aiohttp

from .process import ROOT, Process

HASS = ROOT / ".venv-run" / "bin" / "hass"
"""Also for those who run in another environment: the tests."""

LOG = "console.log"
"""What it writes to stderr, in its folder: every run, unlike home-assistant.log."""

UP_TIMEOUT_S = 60
RESTART_EXIT_CODE = 100
"""Home Assistant ends with it when a person asked it to restart."""

RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.MULTILINE)
COMPLAINT = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ")
SAID_OF_ALL = "We found a custom integration"
"""What Home Assistant warns of at every custom integration."""


class DidNotStartError(Exception):
    """Home Assistant ended or went on without answering."""


@dataclass(kw_only=True)
class HomeAssistant:
    """Answers on 127.0.0.1 only; installs nothing; knows the integration by a link."""

    http: aiohttp.ClientSession
    folder: Path
    port: int
    car_url: str
    process: Process | None = field(default=None, init=False)
    started_at: float = field(default=0, init=False)
    """When the process was started, by the monotonic clock."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it logged, over all its runs."""
        return self.folder / LOG

    async def __aenter__(self) -> Self:
        """Prepare its folder and start it. Raises ``DidNotStartError``."""
        self.prepare()
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it; its folder stays."""
        await self.stop()

    def prepare(self) -> None:
        """Write what it reads at its first start."""
        custom = self.folder / "custom_components" / "dc_meter"
        custom.parent.mkdir(parents=True, exist_ok=True)
        custom.unlink(missing_ok=True)
        custom.symlink_to(ROOT / "custom_components" / "dc_meter")
        shutil.copy(ROOT / "demo" / "configuration.yaml", self.folder)
        if not (automations := self.folder / "automations.yaml").exists():
            automations.write_text("[]\n")
        # A host and port in YAML would be on trial for five minutes and then be undone.
        self._store("http", version=3, data=http_settings(self.port))
        # All steps but the user's, for one of them sets up integrations that are not installed.
        if not (self.folder / ".storage" / "onboarding").exists():
            done = ["core_config", "analytics", "integration"]
            self._store("onboarding", version=4, data={"done": done})

    def _store(self, key: str, *, version: int, data: dict[str, Any]) -> None:
        path = self.folder / ".storage" / key
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps(
                {"version": version, "minor_version": 1, "key": key, "data": data}
            )
        )

    async def start(self) -> None:
        """Start it and wait until it answers. Raises ``DidNotStartError``."""
        self.started_at = time.monotonic()
        self.process = process = await Process.start(
            *(str(HASS), "--skip-pip"),
            *("--config", str(self.folder)),
            folder=self.folder,
            log=self.log,
            DC_METER_DEMO_CAR=self.car_url,
        )
        try:
            async with asyncio.timeout(UP_TIMEOUT_S):
                while not await self._answers():
                    if (code := process.exit_code) is not None:
                        raise DidNotStartError(
                            f"Home Assistant ended with exit code {code}"
                        )
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise DidNotStartError(
                f"Home Assistant gave no answer within {UP_TIMEOUT_S} s"
            ) from None

    async def _answers(self) -> bool:
        try:
            async with self.http.get(f"{self.url}/manifest.json") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def ended(self) -> int:
        """Wait for it to end by itself; returns its exit code."""
        return 0 if self.process is None else await self.process.ended()

    async def stop(self) -> None:
        """End it as a service does, with SIGTERM."""
        if self.process is not None:
            await self.process.end()


def complaints(log: str, about: str) -> list[str]:
    """Return the warnings and errors that speak of an integration, tracebacks included."""
    starts = [*(match.start() for match in RECORD.finditer(log)), len(log)]
    records = [log[start:end].strip() for start, end in pairwise(starts)]
    return [
        record
        for record in records
        if COMPLAINT.match(record) and about in record and SAID_OF_ALL not in record
    ]


def http_settings(port: int) -> dict[str, Any]:
    """Return the HTTP settings in the form Home Assistant 2026.11 keeps them."""
    stable = {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": True,
        "ssl_profile": "intermediate_v6",
        "use_x_frame_options": True,
        "created_at": "2026-11-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    return {"stable": stable, "pending": None, "yaml_migration_done": True}
