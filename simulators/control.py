"""The control interface: car, meters and lines are steered here, apart from the devices' own ports.

GET / shows everything. POST /car, POST /meters/{name}/{action} and POST /lines/{name}/{action}
take a JSON object of settings and answer with the state that results; what is wrong with a
request is said in a 400.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from inspect import isawaitable
from typing import Any, ClassVar, Protocol, Self

from aiohttp import web

from .car import Car
from .settings import checked

type Node = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Steerable(Protocol):
    """Something with actions that are methods, and a state."""

    ACTIONS: ClassVar[tuple[str, ...]]

    def describe(self) -> dict[str, Any]:
        """Return the state."""


class Control:
    """The interface on a port of 127.0.0.1.

    A meter may consist of several parts, say the device and its network; the first part that
    knows an action takes it, and the first part describes the whole.
    """

    def __init__(
        self,
        *,
        car: Car,
        meters: Mapping[str, Sequence[Steerable]],
        lines: Mapping[str, Steerable],
        port: int = 0,
    ) -> None:
        """Steer these; port 0 takes a free one."""
        self.port = port
        self._car = car
        self._parts = {
            "meters": meters,
            "lines": {name: (line,) for name, line in lines.items()},
        }

    @property
    def url(self) -> str:
        """Where the interface answers."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        application = web.Application(middlewares=[refuse])
        application.router.add_get("/", self._show)
        application.router.add_post("/car", self._steer_car)
        application.router.add_post("/{kind:meters|lines}/{name}/{action}", self._act)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _show(self, _: web.Request) -> web.StreamResponse:
        state = {
            kind: {name: parts[0].describe() for name, parts in named.items()}
            for kind, named in self._parts.items()
        }
        return web.json_response({"car": self._car.describe(), **state})

    async def _steer_car(self, request: web.Request) -> web.StreamResponse:
        self._car.steer(**checked(self._car.steer, await settings_of(request)))
        return web.json_response(self._car.describe())

    async def _act(self, request: web.Request) -> web.StreamResponse:
        named = self._parts[request.match_info["kind"]]
        name, action = request.match_info["name"], request.match_info["action"]
        if name not in named:
            raise LookupError(f"{name} is not known; known: {', '.join(named)}")
        parts = named[name]
        part = next((part for part in parts if action in part.ACTIONS), None)
        if part is None:
            known = sorted({known for part in parts for known in part.ACTIONS})
            raise LookupError(
                f"{name} has no action {action}; it has: {', '.join(known)}"
            )
        method = getattr(part, action)
        result = method(**checked(method, await settings_of(request)))
        if isawaitable(result):
            await result
        return web.json_response(parts[0].describe())


async def settings_of(request: web.Request) -> dict[str, Any]:
    """Return the request's JSON object; an empty body is an empty one. Raises ``ValueError``."""
    if not await request.read():
        return {}
    try:
        settings = await request.json()
    except ValueError as err:
        raise ValueError(f"the body is not JSON: {err}") from err
    if isinstance(settings, dict):
        return settings
    raise ValueError("the body is not a JSON object")


@web.middleware
async def refuse(request: web.Request, handler: Node) -> web.StreamResponse:
    """Answer what is wrong with a request."""
    try:
        return await handler(request)
    except LookupError as err:
        status, reason = HTTPStatus.NOT_FOUND, err.args[0]
    except ValueError as err:
        status, reason = HTTPStatus.BAD_REQUEST, str(err)
    return web.json_response({"error": reason}, status=status)
