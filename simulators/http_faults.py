"""What can be wrong with an answer over HTTP."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
import json
import random
from typing import Any, Literal

from aiohttp import web

type HttpFault = Literal[
    "301", "302", "307", "400", "401", "403", "404", "415", "428", "429", "500", "502", "503", "504",
    "reset", "hang", "drip", "endless", "truncated", "empty", "html", "mislabelled", "deep", "nan",
    "encoding", "gzip", "missing", "doubled", "as_text", "shuffled", "forged",
    "dies_before", "dies_after",
]  # fmt: skip

PATIENCE_S = 5
"""How long an answer that never ends is kept up."""

DRIP_S = 0.1
CHUNK = b" " * 65536
CHUNKS = 256


def abort(request: web.Request) -> web.Response:
    """Drop the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def spoil(
    fault: HttpFault, request: web.Request, right: web.Response
) -> web.StreamResponse:
    """Return what is sent in place of the right answer."""
    if fault.isdigit():
        # Who follows is answered rightly, and gives itself away.
        location = {"Location": str(request.url)} if fault.startswith("3") else {}
        return web.Response(status=int(fault), headers=location)
    match fault:
        case "reset":
            return abort(request)
        case "hang":
            await asyncio.sleep(PATIENCE_S)
            return abort(request)
        case "drip":
            return await stream(request, [b" "] * int(PATIENCE_S / DRIP_S), DRIP_S)
        case "endless":
            return await stream(request, [CHUNK] * CHUNKS, 0)
        case "truncated":
            return await break_off(request, right.text or "{}")
        case "empty":
            return web.Response()
        case "html":
            return web.Response(
                text="<html><body>Log in</body></html>", content_type="text/html"
            )
        case "mislabelled":
            return web.Response(text=right.text, content_type="image/png")
        case "deep":
            return web.Response(body=b"[" * 100_000)
        case "encoding":
            return web.Response(body=(right.text or "{}").encode("utf-16"))
        case "gzip":
            response = web.Response(body=(right.text or "{}").encode())
            response.headers["Content-Encoding"] = "gzip"
            return response
    return web.Response(text=CHANGES[fault](right.text or ""), status=right.status)


async def stream(
    request: web.Request, chunks: list[bytes], pause_s: float
) -> web.StreamResponse:
    """Send so much, unless the client has enough."""
    response = web.StreamResponse()
    with suppress(ConnectionError):
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(pause_s)
    return response


async def break_off(request: web.Request, text: str) -> web.StreamResponse:
    """Promise all and send half."""
    content = text.encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    return abort(request)


def of_object(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """Return what changes a JSON object; anything else loses its middle character."""

    def changed(text: str) -> str:
        try:
            content = json.loads(text)
        except ValueError:
            return text[: len(text) // 2] + text[len(text) // 2 + 1 :]
        if isinstance(content, dict) and content:
            change(content)
        return json.dumps(content)

    return changed


def nan(content: dict[str, Any]) -> None:
    """Let every number be none."""
    for name, value in content.items():
        if type(value) in (int, float):
            content[name] = float("nan")


def missing(content: dict[str, Any]) -> None:
    """Leave one field out."""
    del content[random.choice(list(content))]


def as_text(content: dict[str, Any]) -> None:
    """Write every number as a text."""
    for name, value in content.items():
        if type(value) in (int, float):
            content[name] = str(value)


def shuffled(content: dict[str, Any]) -> None:
    """Put the readings into another order."""
    if isinstance(content.get("RD"), list):
        content["RD"].reverse()


def doubled(text: str) -> str:
    """Write the first field of an object twice, the first time with another value."""
    name = text[1:].partition(":")[0]
    return f"{{{name}:null,{text[1:]}" if text.startswith("{") else text * 2


def forged(text: str) -> str:
    """Let a receipt say another energy than was signed."""
    before, mark, after = text.rpartition('"RV":"')
    return before + mark + ("9" if after[:1] != "9" else "8") + after[1:]


CHANGES: dict[str, Callable[[str], str]] = {
    "nan": of_object(nan),
    "missing": of_object(missing),
    "as_text": of_object(as_text),
    "shuffled": of_object(shuffled),
    "doubled": doubled,
    "forged": forged,
}
