"""Run simulated meters until a signal comes; ``python -m simulators --help`` explains."""

import argparse
import asyncio
from collections.abc import Callable, Sequence
import inspect
import json
from pathlib import Path
import signal
import sys

from .car import Car
from .control import Steerable
from .dct1 import SimulatedDct1
from .iem_dcr import IemDcrServer, SimulatedIemDcr
from .line import Line, SerialLine, TcpGateway
from .settings import explain
from .site import Settings, Site


def main() -> int:
    """Parse the command line and serve."""
    parser = arguments()
    options = vars(parser.parse_args())
    if not any(options[kind] for kind in ("lines", "gateways", "dct1s", "iem_dcrs")):
        options |= {"dct1s": [{}], "iem_dcrs": [{}]}
    try:
        asyncio.run(serve(Site(**options)))
    except (ValueError, OSError, OverflowError) as err:
        parser.exit(2, f"{parser.prog}: {err}\n")
    return 0


def arguments() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators",
        description="Simulated meters for EV chargers, on 127.0.0.1 and pseudo terminals only."
        " Without --line, --gateway, --dct1 and --iem-dcr: one DCT1 on one serial line and one IEM-DCR.",
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        help="where keys, registers and receipts are kept across restarts",
    )
    parser.add_argument(
        "--control-port",
        type=int,
        default=0,
        help="port of the control interface (0: a free one)",
    )
    for option, name, what in (
        ("--line", "lines", "a serial line on a pseudo terminal"),
        ("--gateway", "gateways", "a line behind a network gateway"),
        (
            "--dct1",
            "dct1s",
            "a DCT1 on a line or gateway (line=NAME; the first when left out)",
        ),
        ("--iem-dcr", "iem_dcrs", "an IEM-DCR on a port"),
    ):
        parser.add_argument(
            option, dest=name, type=settings, action="append", nargs="?", const={}, default=[],
            metavar="KEY=VALUE,…", help=what,
        )  # fmt: skip
    parser.add_argument(
        "--car",
        type=settings,
        default={},
        metavar="KEY=VALUE,…",
        help="the car all meters measure",
    )
    return parser


def epilog() -> str:
    """Explain settings, the ready line and the control interface."""
    kinds: Sequence[tuple[str, Sequence[Callable[..., object]]]] = (
        ("--line", (SerialLine,)),
        ("--gateway", (TcpGateway,)),
        ("--dct1", (SimulatedDct1,)),
        ("--iem-dcr", (SimulatedIemDcr, IemDcrServer)),
        ("--car", (Car,)),
    )
    lines = [
        "settings (with defaults; name=… for each but the car, line=… for a DCT1):"
    ]
    lines += [
        f"  {option}  {', '.join(explain(target) for target in targets)}"
        for option, targets in kinds
    ]
    lines += [
        "",
        "When all is up, one line of JSON on stdout says where: control, lines, gateways, dct1, iem_dcr.",
        "SIGINT and SIGTERM end it; nothing stays behind but the state dir.",
        "",
        "control interface (GET / shows all; settings are a JSON object in the POST's body):",
        f"  POST /car  {explain(Car.steer)}",
    ]
    steered: Sequence[tuple[str, Sequence[type[Steerable]]]] = (
        ("/lines/NAME", (Line,)),
        ("/meters/NAME (DCT1)", (SimulatedDct1,)),
        ("/meters/NAME (IEM-DCR)", (IemDcrServer, SimulatedIemDcr)),
    )
    for path, targets in steered:
        lines.append(f"  POST {path}/…")
        actions = {
            action: getattr(target, action)
            for target in reversed(targets)
            for action in target.ACTIONS
        }
        for action, method in actions.items():
            summary = (inspect.getdoc(method) or "").splitlines()[0]
            lines.append(
                f"    {action}  {explain(method)}".rstrip() + f"\n      {summary}"
            )
    return "\n".join(lines)


def settings(text: str) -> Settings:
    """Split ``key=value,key=value``."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    for key, equals, _ in pairs:
        if not equals:
            raise argparse.ArgumentTypeError(f"{key} has no value: write {key}=…")
    return {key.strip(): value.strip() for key, _, value in pairs}


async def serve(site: Site) -> None:
    """Bring the site up, say where it is, and take it down after a signal."""
    stopped = asyncio.Event()
    for end in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(end, stopped.set)
    async with site:
        print(json.dumps(site.where()), flush=True)
        await stopped.wait()


if __name__ == "__main__":
    sys.exit(main())
