"""The network between a client and an HTTP meter, on which requests and answers get lost."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
import json
from typing import Any, Self

from aiohttp import ClientSession, web

type Forward = Callable[[], Awaitable[web.Response]]
type Fault = Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]


async def lose_request(request: web.Request, _: Forward) -> web.StreamResponse:
    """Let the meter never hear of it."""
    return _cut(request)


async def lose_answer(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Let the meter do it, and nobody learn."""
    await forward()
    return _cut(request)


def late(seconds: float) -> Fault:
    """Hold the answer back so long."""

    async def strike(_: web.Request, forward: Forward) -> web.StreamResponse:
        answer = await forward()
        await asyncio.sleep(seconds)
        return answer

    return strike


def answer(body: str | bytes = b"", **response: Any) -> Fault:
    """Let something else answer."""

    async def strike(_: web.Request, __: Forward) -> web.StreamResponse:
        content = body.encode() if isinstance(body, str) else body
        return web.Response(body=content, **response)

    return strike


def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class HttpLine:
    """Passes requests on to ``target``, notes them, and lets planned faults strike."""

    def __init__(self, target: str, *, hung_up_on: str | None = None) -> None:
        """Lead to the meter at ``target``, which hangs up on paths that end so."""
        self._target = target
        self._hung_up_on = hung_up_on
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.asked: list[tuple[str, Any]] = []
        """What was asked, as ``POST gw`` and its body."""

        self._at_once = self.most_at_once = 0

    async def __aenter__(self) -> Self:
        """Listen on 127.0.0.1."""
        self._session = ClientSession()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        await self._runner.cleanup()
        await self._session.close()

    def strike(self, asked: str, fault: Fault, *, times: int = 1) -> None:
        """Let ``fault`` strike the next ``times`` that this is asked, after those planned."""
        self._faults[asked].extend([fault] * times)

    def heal(self) -> None:
        """Let nothing strike that was planned."""
        self._faults.clear()

    def bodies(self, asked: str) -> list[Any]:
        """Return what was sent with each of these requests."""
        return [body for what, body in self.asked if what == asked]

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        asked = f"{request.method} {request.path.rpartition('/')[2]}"
        sent = await request.read()
        self.asked.append((asked, json.loads(sent) if sent else None))
        if self._hung_up_on and request.path.endswith(self._hung_up_on):
            return _cut(request)

        async def forward() -> web.Response:
            async with self._session.request(
                request.method,
                self._target + request.path,
                data=sent,
                headers={"Content-Type": request.content_type},
            ) as response:
                return web.Response(body=await response.read(), status=response.status)

        faults = self._faults[asked]
        fault = faults.popleft() if faults else None
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await (fault(request, forward) if fault else forward())
        finally:
            self._at_once -= 1
