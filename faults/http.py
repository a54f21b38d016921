"""What goes wrong with the answers of an IEM-DCR."""

from dataclasses import replace
from functools import partial
from random import Random

from simulators.http_faults import HttpFault
from simulators.iem_dcr import IemDcrServer

from .fault import FOREVER, LASTING_S, SHORT_S, Deed, Fault, Loss, Moment
from .site import Post

LOSING: tuple[HttpFault, ...] = (
    "301", "302", "307", "400", "401", "403", "404", "415", "428", "429", "500", "502", "503", "504",
    "reset", "hang", "drip", "endless", "truncated", "empty", "html", "deep", "nan", "encoding", "gzip",
)  # fmt: skip
"""Answers that say nothing."""

ASKED_AGAIN = {"500", "502", "503", "504", "reset", "hang", "drip", "truncated"}
"""What the live values are asked for again at once, when it comes once."""

DOUBTFUL: tuple[HttpFault, ...] = ("missing", "doubled", "as_text")
HARMLESS: tuple[HttpFault, ...] = ("shuffled", "mislabelled")

COMMANDS = {
    "GET gw": (Moment.START,),
    "POST user": (Moment.START,),
    "POST receipt": (Moment.START, Moment.STOP),
    "GET receipt": (Moment.STOP,),
    "GET transaction": (Moment.START, Moment.STOP),
    "GET publickey": (Moment.IDLE,),
    "POST datetime": (Moment.IDLE,),
    "POST tariff": (Moment.IDLE,),
}
SLOW_S = 0.6
"""Slower than the live values may be."""

CLOCK_JUMPS_S = (-86_400.0, -7.0, 30.0, 3_600.0)


def of_server(post: Post, dice: Random) -> list[Fault]:
    """Return what can go wrong between Home Assistant and a meter."""
    server = post.server
    assert server is not None
    node, moments = dice.choice(list(COMMANDS.items()))
    jump_s = dice.choice(CLOCK_JUMPS_S)
    return [
        *(
            fault(server, f"{name}, lasting", wrong(server, name), Loss.MUST)
            for name in LOSING
        ),
        *(
            fault(
                server,
                f"{name}, once",
                wrong(server, name, 1, "GET metervalue"),
                Loss.MUST_NOT if name in ASKED_AGAIN else Loss.MAY,
                SHORT_S,
            )
            for name in LOSING
        ),
        *(
            fault(
                server,
                f"{name} at {node}",
                wrong(server, name, dice.randint(1, 5), node),
                Loss.MUST_NOT,
                SHORT_S,
                moments,
            )
            for name in (*LOSING, *DOUBTFUL, *HARMLESS)
        ),
        *(
            fault(server, f"{name}, lasting", wrong(server, name), Loss.MAY)
            for name in DOUBTFUL
        ),
        *(
            fault(server, f"{name}, lasting", wrong(server, name), Loss.MUST_NOT)
            for name in HARMLESS
        ),
        replace(
            fault(
                server,
                "receipt forged on the way",
                wrong(server, "forged", dice.randint(1, 3), "GET receipt"),
                Loss.MUST_NOT,
                SHORT_S,
                (Moment.STOP,),
            ),
            weight=4,
        ),
        fault(server, "refused", server.refuse, Loss.MUST),
        fault(server, "too slow", partial(server.delay, seconds=SLOW_S), Loss.MUST),
        fault(
            server,
            f"clock jumps by {jump_s:g} s",
            partial(server.meter.clock_jump, seconds=jump_s),
            Loss.MUST_NOT,
            SHORT_S,
            (Moment.IDLE, Moment.RUNNING),
        ),
        Fault(
            kind="http: another meter at this address",
            begin=partial(
                server.meter.exchange, serial_number="1ISA02ANOTHER", new_key=False
            ),
            end=partial(
                server.meter.exchange, serial_number=server.meter.serial_number
            ),
            loss=Loss.MUST,
            moments=(Moment.IDLE,),
            weight=3,
        ),
    ]


def wrong(
    server: IemDcrServer, name: HttpFault, count: int = FOREVER, node: str = ""
) -> Deed:
    """Return what plans wrong answers."""
    return partial(server.misanswer, fault=name, count=count, node=node)


def fault(  # noqa: PLR0917  # one line of the tables above
    server: IemDcrServer,
    kind: str,
    begin: Deed,
    loss: Loss,
    lasts_s: tuple[float, float] = LASTING_S,
    moments: tuple[Moment, ...] = tuple(Moment),
) -> Fault:
    """Return a fault that is healed afterwards."""

    async def heal() -> None:
        server.heal()
        await server.accept()

    return Fault(
        kind=f"http: {kind}",
        begin=begin,
        end=heal,
        loss=loss,
        lasts_s=lasts_s,
        moments=moments,
    )
