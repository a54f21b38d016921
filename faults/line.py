"""What goes wrong on an RS485 line, at its adapter or at its gateway."""

from collections.abc import Callable
from functools import partial

from simulators.line import Line, SerialLine, TcpGateway

from .fault import FOREVER, LASTING_S, SHORT_S, Deed, Fault, Loss
from .site import ADAPTER, PROBE, Post, Site

OTHER_BAUD_RATE = 38400
NEIGHBOUR_SLOW_S = 0.35
LATE_S = 0.6
"""Later than a request for the live values waits."""

MOVED_BACK_S = 10
"""Home Assistant looks for ports five seconds after one came; then the entry is set up anew."""

ANSWERS = {
    "wrong CRC": "corrupt",
    "cut frame": "truncate",
    "bytes of another slave": "stranger",
    "silence": "drop",
}


def of_line(site: Site, post: Post) -> list[Fault]:
    """Return what can go wrong on a meter's own line."""
    line = post.line
    assert line is not None
    # A gateway that heard nothing keeps its client waiting longer than this has patience.
    once = {
        name: Loss.MAY if isinstance(line, TcpGateway) else Loss.MUST_NOT
        for name in ANSWERS
    }
    faults = [
        *(
            fault(line, f"{name}, once", getattr(line, action), once[name], SHORT_S)
            for name, action in ANSWERS.items()
        ),
        *(
            fault(
                line,
                f"{name}, lasting",
                partial(getattr(line, action), count=FOREVER),
                Loss.MUST,
            )
            for name, action in ANSWERS.items()
        ),
        fault(line, "echo, once", line.echo, Loss.MAY, SHORT_S),
        fault(line, "echo, lasting", partial(line.echo, count=FOREVER), Loss.MAY),
        fault(line, "noise, once", line.garbage, Loss.MAY, SHORT_S),
        fault(line, "noise, lasting", partial(line.garbage, count=FOREVER), Loss.MAY),
        fault(line, "late answer, once", partial(line.late, seconds=LATE_S), Loss.MAY),
        fault(
            line,
            "late answers, lasting",
            partial(line.late, seconds=LATE_S, count=FOREVER),
            Loss.MAY,
        ),
        *(
            fault(
                line,
                f"exception {code}, {how}",
                partial(line.exception, code=code, count=count),
                loss,
                lasts_s,
            )
            for code in range(1, 12)
            for how, count, loss, lasts_s in (
                ("once", 1, Loss.MUST_NOT, SHORT_S),
                ("lasting", FOREVER, Loss.MUST, LASTING_S),
            )
        ),
        fault(line, "line cut", line.cut, Loss.MUST),
    ]
    if isinstance(line, TcpGateway):
        return [*faults, *of_gateway(site, line)]
    assert isinstance(line, SerialLine)
    return [*faults, *of_adapter(site, line)]


def fault(
    line: Line,
    kind: str,
    begin: Deed,
    loss: Loss,
    lasts_s: tuple[float, float] = LASTING_S,
) -> Fault:
    """Return a fault of a line, which is mended afterwards."""
    return Fault(
        kind=f"line: {kind}", begin=begin, end=line.mend, loss=loss, lasts_s=lasts_s
    )


def of_gateway(site: Site, gateway: TcpGateway) -> list[Fault]:
    """Return what can go wrong at a gateway, and with who else is behind it."""
    neighbour = site.neighbour

    def quick() -> None:
        neighbour.delay(live_s=0)
        neighbour.power_on()

    return [
        fault(
            gateway,
            "gateway accepts and never answers",
            partial(gateway.cut, mode="mute"),
            Loss.MUST,
        ),
        fault(
            gateway,
            "gateway refuses",
            partial(gateway.cut, mode="unplugged"),
            Loss.MUST,
        ),
        Fault(
            kind="line: another integration's device is slow",
            begin=partial(neighbour.delay, live_s=NEIGHBOUR_SLOW_S),
            end=quick,
            loss=Loss.MAY,
            weight=4,
        ),
        Fault(
            kind="line: another integration's device is gone",
            begin=neighbour.power_off,
            end=quick,
            loss=Loss.MAY,
            weight=4,
        ),
    ]


def of_adapter(site: Site, line: SerialLine) -> list[Fault]:
    """Return what can go wrong at a serial port."""
    baud_rate = line.baud_rate

    def set_baud_rate(value: int) -> None:
        line.baud_rate = value

    faults = [
        fault(
            line,
            "adapter unplugged, back under its name",
            partial(line.cut, mode="unplugged"),
            Loss.MUST,
        ),
        Fault(
            kind="line: settings wrong",
            begin=partial(set_baud_rate, OTHER_BAUD_RATE),
            end=partial(set_baud_rate, baud_rate),
            loss=Loss.MUST,
        ),
    ]
    if ADAPTER in site.home.plugged.values() and line.path in site.home.plugged:
        faults.append(
            Fault(
                kind="line: adapter unplugged, back under another name",
                begin=partial(line.cut, mode="unplugged"),
                end=move(site, line),
                loss=Loss.MUST,
                back_s=MOVED_BACK_S,
                reloads=True,
                weight=4,
            )
        )
    return faults


def move(site: Site, line: SerialLine) -> Callable[[], object]:
    """Return what plugs a line's adapter in under another name."""

    async def moved() -> None:
        folder, name = line.link.parent, line.link.name
        line.link = folder / (
            name.removesuffix("_b") if name.endswith("_b") else f"{name}_b"
        )
        await line.mend()
        site.home.adapters({line.path: ADAPTER})
        await site.client.action(PROBE, "ports_changed")

    return moved
