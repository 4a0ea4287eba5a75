"""The endpoints: each reads JSON, finds out whose secret it carries, does one operation, and answers with JSON."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive

import intarsia
from intarsia.errors import InputError, IntarsiaError
from intarsia.gateway import openapi
from intarsia.gateway.bearers import Bearers
from intarsia.gateway.catalogue import OPERATIONS
from intarsia.gateway.limits import LIMIT, Limited, failure
from intarsia.gateway.operation import Caller, Nobody, Operation, Site, Watcher
from intarsia.gateway.statuses import status_of

QUICK, WAITING = 32, 512
"""Threads for what is done at once, and for what may wait for others: those can't keep the first from being done."""

T = TypeVar("T")


class Gateway:
    """What all requests share. `loopback`: whether only this machine can reach it."""

    def __init__(self, site: Site, watcher: Watcher | None = None, *, loopback: bool = True) -> None:
        self._site = site
        self._watcher = watcher or Nobody()
        self._loopback = loopback
        self._bearers = Bearers()
        self._stopping = threading.Event()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/health", _health, methods=["GET"]),
                Route("/v1/openapi.json", _document, methods=["GET"]),
                *(Route(f"/v1/{one.path}", self._endpoint(one), methods=["POST"]) for one in OPERATIONS),
            ],
            middleware=[Middleware(Limited, limit=LIMIT, loopback=self._loopback)],
            exception_handlers={HTTPException: _http_error, IntarsiaError: _error, Exception: self._defect},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._quick, self._waiting = anyio.CapacityLimiter(QUICK), anyio.CapacityLimiter(WAITING)
        yield
        self.stop()

    def stop(self) -> None:
        """Let all that waits end, with nothing."""
        self._stopping.set()

    def caller(self, header: str, gone: threading.Event) -> Caller:
        """Whose secret it is; raises Unauthorized."""
        with self._site.database.transaction() as tx:
            name = self._bearers.identify(tx, header)

        def withdrawn() -> bool:
            return self._stopping.is_set() or gone.is_set()

        return Caller(self._site, lambda tx: name, withdrawn, self._watcher)

    def _endpoint(self, operation: Operation[Any, Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            header, kind = (request.headers.get(name, "") for name in ("authorization", "content-type"))
            body, gone = await request.body(), threading.Event()

            def work() -> bytes:
                caller = self.caller(header, gone)
                return _encoded(operation.run(caller, _decoded(kind, body, operation.given)))

            return _json(await self.in_thread(work, gone, request.receive, waits=operation.waits))

        return endpoint

    async def in_thread(self, work: Callable[[], T], gone: threading.Event, receive: Receive, *, waits: bool) -> T:
        """Do it beside others; `gone` is set when the one who asked hangs up."""

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        watching = asyncio.create_task(watch())
        try:
            limiter = self._waiting if waits else self._quick
            return await anyio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)
        finally:
            watching.cancel()

    async def _defect(self, request: Request, error: Exception) -> Response:
        """Told here and to who asked; the details are in what the server logs."""
        self._watcher.notice(f"The gateway failed at {request.url.path}: {type(error).__name__}: {error}")
        return failure(500, "defect", "This is a defect of intarsia.", "Report it, with what was asked.")


def _decoded(kind: str, body: bytes, model: type[T]) -> T:
    """Raises HTTPException for what is no JSON, and InputError for what does not fit."""
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON, with the header Content-Type: application/json.")
    try:
        return msgspec.json.decode(body, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"The request can't be read: {error}", hint="See: /v1/openapi.json") from error


def _encoded(answer: msgspec.Struct) -> bytes:
    return msgspec.json.encode({"ok": True, **msgspec.to_builtins(answer)})


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


async def _health(request: Request) -> Response:
    return _json(msgspec.json.encode({"ok": True, "version": intarsia.__version__}))


async def _document(request: Request) -> Response:
    return _json(msgspec.json.encode(openapi.document(OPERATIONS)))


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, IntarsiaError)
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(msgspec.json.encode(error.as_json()), status, headers, "application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, hint = _HTTP_CODES.get(error.status_code, ("bad_request", ""))
    return failure(error.status_code, code, error.detail, hint, error.headers)


_HTTP_CODES: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "See: /v1/openapi.json"),
    405: ("method_not_allowed", "See: /v1/openapi.json"),
    415: ("unsupported_media_type", ""),
}
