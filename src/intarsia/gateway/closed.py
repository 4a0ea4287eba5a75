"""Hooks are answered whatever happens: both programs take any failure of a hook for a yes."""

from __future__ import annotations

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intarsia.gateway.hooks import denied

PREFIX = "/v1/hooks/"
DECIDE = "/v1/hooks/decide"


class FailsClosed:
    """Makes of every answer below /v1/hooks/ that is no 200 a 200 that denies; who wants to stop may then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(PREFIX) or path == DECIDE:
            return await self._app(scope, receive, send)
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await self._app(scope, receive, hold)
        finally:
            for message in _closed(held, stops=path.endswith("/stop")):
                await send(message)


def _closed(held: list[Message], *, stops: bool) -> list[Message]:
    if held and held[0].get("status") == 200:
        return held
    reason = _reason(b"".join(message.get("body", b"") for message in held))
    body = msgspec.json.encode({} if stops else denied(reason))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return [
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": body},
    ]


def _reason(body: bytes) -> str:
    try:
        said = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        said = {}
    return f"intarsia could not decide whether this is allowed, so it is not. {said.get('message', '')}".strip()
