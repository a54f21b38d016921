"""A child process that is ended again, and nothing else with it."""

import asyncio
from dataclasses import dataclass
import os
from pathlib import Path
import signal

ROOT = Path(__file__).parent.parent

END_TIMEOUT_S = 30

WITHHELD = {
    # Home Assistant starts several times as fast with its bytecode kept.
    "PYTHONDONTWRITEBYTECODE",
    # What is imported is to come from the folder a process runs in.
    "PYTHONPATH",
}


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process in a session of its own: a Ctrl-C in the terminal does not reach it."""

    child: asyncio.subprocess.Process
    log: Path
    """Everything it writes to stderr."""

    @classmethod
    async def start(
        cls, *command: str, folder: Path, log: Path, **environment: str
    ) -> Process:
        """Start a command; the log of an earlier run is continued."""
        inherited = {
            name: value for name, value in os.environ.items() if name not in WITHHELD
        }
        with log.open("ab") as stderr:
            child = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=inherited | environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        return cls(child=child, log=log)

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self.child.returncode

    async def line(self) -> str:
        """Return the next line it prints."""
        assert self.child.stdout is not None
        return (await self.child.stdout.readline()).decode()

    async def ended(self) -> int:
        """Wait for it to end by itself; returns its exit code."""
        return await self.child.wait()

    async def end(self) -> None:
        """Ask it to end; insist after a while."""
        if self.exit_code is not None:
            return
        self.child.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self.ended()
        except TimeoutError:
            self.child.kill()
            await self.ended()
