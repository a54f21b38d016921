"""What an IEM-DCR answers wrongly when it is told to."""

from collections.abc import Awaitable, Callable
import json
import time
from typing import Any, get_args

import aiohttp
import pytest

from simulators.http_faults import HttpFault, forged
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr

HASTE = aiohttp.ClientTimeout(total=0.2)
RECEIPT = "/counter/v1/ocmf/receipt"
METER_VALUE = "/counter/v1/ocmf/metervalue"

BROKEN = {"reset", "truncated", "gzip", "dies_before", "dies_after"}
"""What leaves no answer."""

CHANGED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "nan": lambda value: value["P"] != value["P"],
    "missing": lambda value: len(value) == 13,
    "as_text": lambda value: isinstance(value["P"], str),
    "shuffled": lambda value: value["RD"][-1]["RI"] == "1-b:1.8.e",
    "mislabelled": lambda value: len(value) == 14,
}


async def answers(
    fault: Any, ask: Callable[[aiohttp.ClientSession, str], Awaitable[Any]]
) -> Any:
    """Return what is seen of a wrong answer; other nodes answer as they should."""
    async with (
        IemDcrServer(SimulatedIemDcr()) as server,
        aiohttp.ClientSession(
            server.url,
            timeout=aiohttp.ClientTimeout(total=0.4),
        ) as session,
    ):
        # The client itself asks again on another connection when one is dropped.
        server.misanswer(fault=fault, node="GET metervalue", count=2)
        async with session.get("/counter/v1/ocmf/gw") as other:
            assert other.status == 200
        return await ask(session, METER_VALUE)


async def status(session: aiohttp.ClientSession, path: str) -> int:
    """Return the status, and follow nobody."""
    async with session.get(path, allow_redirects=False) as answer:
        return answer.status


async def text(session: aiohttp.ClientSession, path: str) -> str:
    """Return what is said."""
    async with session.get(path) as answer:
        return (await answer.read()).decode("utf-8", "replace")


@pytest.mark.parametrize(
    "fault", [fault for fault in get_args(HttpFault.__value__) if fault.isdigit()]
)
async def test_a_status_is_answered(fault: str) -> None:
    assert await answers(fault, status) == int(fault)


@pytest.mark.parametrize("fault", sorted(BROKEN))
async def test_an_answer_does_not_come(fault: str) -> None:
    with pytest.raises(aiohttp.ClientError):
        await answers(fault, text)


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_an_answer_does_not_end(fault: str) -> None:
    with pytest.raises(TimeoutError):
        await answers(fault, text)


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_who_loses_its_supply_does_not_finish_what_it_says(fault: Any) -> None:
    async with IemDcrServer(SimulatedIemDcr()) as server, aiohttp.ClientSession() as s:
        server.misanswer(fault=fault)
        with pytest.raises(TimeoutError):
            async with s.get(server.url + METER_VALUE, timeout=HASTE) as answer:
                await answer.read()
        began = time.monotonic()
        await server.power_cycle(off_s=0)
        assert time.monotonic() - began < 1
        async with s.get(server.url + METER_VALUE) as answer:
            assert answer.status == 200


async def test_an_answer_is_longer_than_anybody_needs() -> None:
    async def much(session: aiohttp.ClientSession, path: str) -> int:
        async with session.get(path) as answer:
            return len(await answer.content.readexactly(1_000_000))

    assert await answers("endless", much) == 1_000_000


@pytest.mark.parametrize("fault", ["empty", "html", "deep", "encoding"])
async def test_an_answer_is_no_object(fault: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        json.loads(await answers(fault, text))


@pytest.mark.parametrize("fault", sorted(CHANGED))
async def test_an_answer_is_changed(fault: str) -> None:
    value = json.loads(await answers(fault, text))
    assert CHANGED[fault](value), value


async def test_a_field_comes_twice() -> None:
    assert (await answers("doubled", text)).count('"MS"') == 2


async def test_what_is_no_receipt_is_not_forged() -> None:
    """The fault waits for one."""
    simulated = SimulatedIemDcr()
    async with IemDcrServer(simulated) as server, aiohttp.ClientSession() as session:
        server.misanswer(fault="forged", node="GET receipt")
        for _ in range(2):
            assert await status(session, f"{server.url}{RECEIPT}") == 404
        assert server.describe()["faults"] == {"misanswer": 1}


def test_a_forged_receipt_says_another_energy() -> None:
    receipt = 'OCMF|{"RD":[{"RV":"00001.000"},{"RV":"00002.000"}]}|{}'
    assert forged(receipt) == 'OCMF|{"RD":[{"RV":"00001.000"},{"RV":"90002.000"}]}|{}'
