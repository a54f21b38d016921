"""A client of Home Assistant's REST and WebSocket interfaces."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from math import inf
import time
from typing import Any

import aiohttp

USER = "demo"
PASSWORD = "demo"
RUNNING_TIMEOUT_S = 60

type Json = dict[str, Any]


class RefusedError(Exception):
    """Home Assistant said no."""


@dataclass(kw_only=True)
class Client:
    """Speaks for the demo's user."""

    http: aiohttp.ClientSession
    url: str
    token: str = field(default="", repr=False)
    _refresh_token: str = field(default="", init=False, repr=False)
    _renew_at_s: float = field(default=inf, init=False)
    """By the monotonic clock; a token lasts for half an hour."""

    async def get(self, path: str) -> Any:
        """GET a path; returns the JSON. Raises ``RefusedError``."""
        return await self._request("GET", path)

    async def post(self, path: str, **body: Any) -> Any:
        """POST a JSON object to a path; returns the JSON. Raises ``RefusedError``."""
        return await self._request("POST", path, json=body)

    async def delete(self, path: str) -> Any:
        """DELETE a path; returns the JSON. Raises ``RefusedError``."""
        return await self._request("DELETE", path)

    async def _request(self, method: str, path: str, **arguments: Any) -> Any:
        await self._keep_token()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.request(
            method, f"{self.url}{path}", headers=headers, **arguments
        ) as answer:
            if not answer.ok:
                raise RefusedError(
                    f"{method} {path}: {answer.status} {await answer.text()}"
                )
            return await answer.json()

    async def log_in(self, user: str = USER, password: str = PASSWORD) -> None:
        """Log a user in; the first time makes the demo's. Raises ``RefusedError``."""
        self.token, self._renew_at_s = "", inf
        client = {"client_id": self._id}
        try:
            steps = await self.get("/api/onboarding")
        except RefusedError:
            steps = []  # The path is gone once onboarding is done.
        if any(step["step"] == "user" and not step["done"] for step in steps):
            made = await self.post(
                "/api/onboarding/users",
                **client,
                name=USER.capitalize(),
                username=USER,
                password=PASSWORD,
                language="en",
            )
            code = made["auth_code"]
        else:
            flow = await self.post(
                "/auth/login_flow",
                **client,
                handler=["homeassistant", None],
                redirect_uri=f"{self.url}/",
            )
            logged_in = await self.post(
                f"/auth/login_flow/{flow['flow_id']}",
                **client,
                username=user,
                password=password,
            )
            code = logged_in["result"]
        await self._take_token(grant_type="authorization_code", code=code)

    @property
    def _id(self) -> str:
        return f"{self.url}/"

    async def _keep_token(self) -> None:
        if time.monotonic() >= self._renew_at_s:
            await self._take_token(
                grant_type="refresh_token", refresh_token=self._refresh_token
            )

    async def _take_token(self, **grant: str) -> None:
        self._renew_at_s = inf
        tokens = await self._request(
            "POST", "/auth/token", data={"client_id": self._id, **grant}
        )
        self.token = tokens["access_token"]
        self._refresh_token = tokens.get("refresh_token", self._refresh_token)
        self._renew_at_s = time.monotonic() + tokens["expires_in"] / 2

    async def until_running(self) -> str:
        """Wait until all is loaded; returns the version. Raises ``TimeoutError``."""
        async with asyncio.timeout(RUNNING_TIMEOUT_S):
            while (config := await self.get("/api/config"))["state"] != "RUNNING":
                await asyncio.sleep(0.1)
        version: str = config["version"]
        return version

    async def action(self, domain: str, name: str, **data: Any) -> Json:
        """Call an action; returns its response. Raises ``RefusedError``."""
        answer = await self.post(
            f"/api/services/{domain}/{name}?return_response", **data
        )
        response: Json = answer["service_response"]
        return response

    async def config_flow(self, handler: str, *steps: str, **form: Any) -> Json:
        """Walk the menus of a config flow and fill in its form; returns the outcome."""
        path = "/api/config/config_entries/flow"
        flow: Json = await self.post(path, handler=handler)
        for step in steps:
            flow = await self.post(f"{path}/{flow['flow_id']}", next_step_id=step)
        flow = await self.post(f"{path}/{flow['flow_id']}", **form)
        if flow["type"] != "create_entry":
            raise RefusedError(f"the form of {handler} came back: {flow}")
        return flow

    @asynccontextmanager
    async def socket(self) -> AsyncGenerator[Socket]:
        """Open the WebSocket."""
        await self._keep_token()
        async with self.http.ws_connect(f"{self.url}/api/websocket") as connection:
            await connection.receive_json()
            await connection.send_json({"type": "auth", "access_token": self.token})
            answer = await connection.receive_json()
            if answer["type"] != "auth_ok":
                raise RefusedError(f"WebSocket: {answer}")
            socket = Socket(connection=connection)
            listening = asyncio.create_task(socket.listen())
            try:
                yield socket
            finally:
                listening.cancel()


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event of the bus and when it came, by this machine's monotonic clock."""

    at: float
    type: str
    data: Json


@dataclass(kw_only=True)
class Socket:
    """Commands with their answers, and the events of the bus as they come."""

    connection: aiohttp.ClientWebSocketResponse
    events: list[Event] = field(default_factory=list)
    heard: Callable[[Event], None] | None = None
    """Who takes events as they come; else they are kept."""

    _ids: count[int] = field(default_factory=lambda: count(1))
    _waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        """Take what comes until the connection closes."""
        async for message in self.connection:
            parcel = message.json()
            # Home Assistant sends several at once in a list when they come in quick succession.
            for item in parcel if isinstance(parcel, list) else [parcel]:
                await self._take(item)

    async def _take(self, item: Json) -> None:
        if item["type"] == "event":
            event = Event(
                at=time.monotonic(),
                type=item["event"]["event_type"],
                data=item["event"]["data"],
            )
            (self.heard or self.events.append)(event)
            async with self._came:
                self._came.notify_all()
        elif item["type"] == "result":
            answer = self._waiting.pop(item["id"])
            if item["success"]:
                answer.set_result(item["result"])
            else:
                answer.set_exception(RefusedError(str(item["error"])))

    async def command(self, kind: str, **fields: Any) -> Any:
        """Send a command; returns its result. Raises ``RefusedError``."""
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self.connection.send_json({"id": number, "type": kind, **fields})
        return await answer

    async def subscribe(self, event_type: str) -> None:
        """Let the events of a type come."""
        await self.command("subscribe_events", event_type=event_type)

    async def wait_for(
        self, fits: Callable[[Event], bool], timeout_s: float = 10
    ) -> Event:
        """Return the first event that fits, past or to come. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout_s), self._came:
            while not (found := [event for event in self.events if fits(event)]):
                await self._came.wait()
        return found[0]
