"""What no request may be: too large, or sent by a web page that a person looks at."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIMIT = 8 * 1024 * 1024
"""Bytes of a request's body."""
NAMES = ("127.0.0.1", "localhost", "[::1]")


class Limited:
    """Reads the body of each request before anything looks at it."""

    def __init__(self, app: ASGIApp, limit: int, loopback: bool) -> None:
        self._app = app
        self._limit = limit
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        if self._loopback and not _is_meant(headers):
            return await failure(403, "forbidden", _FOREIGN)(scope, receive, send)
        body = await self._body(headers, receive)
        if body is None:
            refused = failure(413, "too_large", f"A request has at most {self._limit} bytes.", "Send it in parts.")
            return await refused(scope, receive, send)
        return await self._app(scope, _again(body, receive), send)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """None when it is too large, or broken off."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            return None
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._limit or message["type"] != "http.request":
                return None
            if not message.get("more_body", False):
                return bytes(body)


_FOREIGN = "A web page, or another name of this machine, is not answered."


def _is_meant(headers: Headers) -> bool:
    """By its own name, and from no web page: a page of somebody else may make a browser here ask for anything."""
    host = headers.get("host", "")
    origin = headers.get("origin")
    return host.rpartition(":")[0] in NAMES or host in NAMES if origin in (None, f"http://{host}") else False


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def failure(status: int, code: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """A no in the one shape."""
    said = {"ok": False, "code": code, "message": message, "hint": hint}
    return Response(msgspec.json.encode(said), status, headers, "application/json")
