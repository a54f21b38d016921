"""The supply of a meter, off and on at every step of a session."""

import asyncio
from functools import partial
from random import Random

from simulators.http_faults import HttpFault
from simulators.iem_dcr import IemDcrServer

from .fault import FOREVER, LASTING_S, Deed, Fault, Loss, Moment
from .site import Post

STEPS = {
    "GET gw": (Moment.START,),
    "POST user": (Moment.START,),
    "POST receipt": (Moment.START, Moment.STOP),
    "GET receipt": (Moment.STOP,),
    "GET metervalue": tuple(Moment),
}
DEATHS: dict[HttpFault, str] = {
    "dies_before": "dies before answering",
    "dies_after": "dies after answering",
}
SHORTEST_S = 0.2
SLOW_S = (2.0, 0.25)
"""At most, on a line of its own and on a shared one, which is taken for as long."""

ENERGIES_S = 40.0
"""Who was slow to give its energies is asked for them less often for a while."""

OFF_S = 2.0
"""For how long the simulated meter is off when it dies over a question."""


def of_meter(post: Post, dice: Random) -> list[Fault]:
    """Return how the supply of a meter can fail."""
    if post.server is not None:
        return of_iem_dcr(post.server, dice)
    meter = post.dct1
    serial_number = meter.serial_number

    async def exchange() -> None:
        meter.power_off()
        await asyncio.sleep(OFF_S)
        meter.exchange(serial_number="BY0000000099L")
        meter.power_on()

    return [
        fault("off for long", meter.power_off, meter.power_on, Loss.MUST, LASTING_S),
        fault(
            "off for a moment",
            meter.power_off,
            meter.power_on,
            Loss.MAY,
            (SHORTEST_S, LASTING_S[0]),
        ),
        Fault(
            kind="power: slow to give its signed block",
            begin=partial(
                meter.delay, block_s=dice.uniform(0.1, SLOW_S[0 if post.alone else 1])
            ),
            end=partial(meter.delay, block_s=0),
            # Until it is known how slow it is, it is asked again before it has answered.
            loss=Loss.MAY,
            back_s=ENERGIES_S,
            weight=3,
        ),
        Fault(
            kind="power: another meter at this address, after a power cut",
            begin=exchange,
            end=partial(meter.exchange, serial_number=serial_number),
            loss=Loss.MUST,
            moments=(Moment.IDLE,),
        ),
    ]


def of_iem_dcr(server: IemDcrServer, dice: Random) -> list[Fault]:
    """Return how it can fail at each question."""

    async def off() -> None:
        await server.power_cycle(off_s=FOREVER)

    async def on() -> None:
        await server.refuse()
        server.meter.power_up()
        await server.accept()

    def heal() -> None:
        server.heal()

    node, moments = dice.choice(list(STEPS.items()))
    return [
        fault("off for long", off, on, Loss.MUST, LASTING_S),
        fault("off for a moment", off, on, Loss.MAY, (SHORTEST_S, LASTING_S[0])),
        *(
            Fault(
                kind=f"power: {told} {node}",
                begin=partial(server.misanswer, fault=how, node=node),
                end=heal,
                loss=Loss.MAY,
                # It is not off before it is asked.
                lasts_s=(OFF_S + 1, OFF_S + 2),
                moments=moments,
                weight=8,
            )
            for how, told in DEATHS.items()
        ),
    ]


def fault(
    kind: str, begin: Deed, end: Deed, loss: Loss, lasts_s: tuple[float, float]
) -> Fault:
    """Return a fault of the supply."""
    return Fault(
        kind=f"power: {kind}",
        begin=begin,
        end=end,
        loss=loss,
        lasts_s=lasts_s,
        weight=6,
    )
