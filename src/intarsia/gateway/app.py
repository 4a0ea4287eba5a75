"""The endpoints: each reads JSON, finds out whose secret it carries, does one operation, and answers with JSON."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import intarsia
from intarsia.agents import mcp
from intarsia.errors import InputError, IntarsiaError
from intarsia.gateway import hooks, openapi, proof, tools
from intarsia.gateway.bearers import Bearers
from intarsia.gateway.catalogue import OPERATIONS
from intarsia.gateway.closed import FailsClosed
from intarsia.gateway.limits import LIMIT, Limited, failure
from intarsia.gateway.operation import Caller, Nobody, Operation, Site
from intarsia.gateway.remote import AS
from intarsia.gateway.statuses import status_of
from intarsia.gateway.watcher import Watcher
from intarsia.kernel import callers, sessions

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

QUICK, WAITING = 32, 512
"""Threads for what is done at once, and for what may wait for others: those can't keep the first from being done."""

PROGRAMS = get_args(hooks.Program)
HOOKS = {"pre-tool-use": "PreToolUse", "stop": hooks.STOP}

T = TypeVar("T")


class Gateway:
    """What all requests share. `loopback`: whether only this machine can reach it."""

    def __init__(self, site: Site, watcher: Watcher | None = None, *, loopback: bool = True) -> None:
        self._site = site
        self._watcher = watcher or Nobody()
        self._loopback = loopback
        self._bearers = Bearers()
        self._of_nobody = sessions.digest(sessions.new_secret())
        self._stopping = threading.Event()
        self._quick, self._waiting = anyio.CapacityLimiter(QUICK), anyio.CapacityLimiter(WAITING)
        self._mcp = Mcp(self)

    def app(self) -> ASGIApp:
        served = Starlette(
            routes=[
                Route("/v1/health", _health, methods=["GET"]),
                Route("/v1/openapi.json", _document, methods=["GET"]),
                Route(proof.PATH, self._prove, methods=["POST"]),
                *(Route(f"/v1/{one.path}", self._endpoint(one), methods=["POST"]) for one in OPERATIONS),
                *(
                    Route(f"/v1/hooks/{program}/{path}", self._hook(program, event), methods=["POST"])
                    for program in PROGRAMS
                    for path, event in HOOKS.items()
                ),
                Route("/mcp", self._mcp),
            ],
            middleware=[Middleware(Limited, limit=LIMIT, loopback=self._loopback)],
            exception_handlers={HTTPException: _http_error, IntarsiaError: _error, Exception: self._defect},
            lifespan=self._lifespan,
        )
        return FailsClosed(served)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(self._mcp.run)
            yield
            self.stop()
            group.cancel_scope.cancel()

    def stop(self) -> None:
        """Let all that waits end, with nothing."""
        self._stopping.set()

    def caller(self, headers: Headers, gone: threading.Event) -> Caller:
        """Whose secret it is; raises Unauthorized."""
        with self._site.database.transaction() as tx:
            name = self._bearers.identify(tx, headers.get("authorization", ""), headers.get(AS, ""))

        def withdrawn() -> bool:
            return self._stopping.is_set() or gone.is_set()

        return Caller(self._site, lambda tx: name, withdrawn, self._watcher)

    async def _prove(self, request: Request) -> Response:
        """Of who is not known it says as much, so that nobody learns who there is."""
        challenge = _decoded(request.headers.get("content-type", ""), await request.body(), proof.Challenge)
        address = request.scope.get("server") or ("", 0)

        def work() -> bytes:
            with self._site.database.read() as tx:
                digest = callers.digest_of(tx, challenge.name) or self._of_nobody
            return _encoded(proof.Proof(proof=proof.made(digest, challenge.nonce, address)))

        return _json(await self.aside(work, threading.Event(), waits=False))

    def _endpoint(self, operation: Operation[Any, Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            kind = request.headers.get("content-type", "")
            body, gone = await request.body(), threading.Event()

            def work() -> bytes:
                caller = self.caller(request.headers, gone)
                return _encoded(operation.run(caller, _decoded(kind, body, operation.given)))

            return _json(await self.in_thread(work, gone, request.receive, waits=operation.waits))

        return endpoint

    def _hook(self, program: hooks.Program, event: str) -> Callable[[Request], Awaitable[Response]]:
        async def hook(request: Request) -> Response:
            kind = request.headers.get("content-type", "")
            body, gone = await request.body(), threading.Event()

            def work() -> bytes:
                caller = self.caller(request.headers, gone)
                given = _decoded(kind, body, dict[str, Any])
                use = hooks.Use(program=program, input={**given, "hook_event_name": event})
                return msgspec.json.encode(hooks.decide.run(caller, use).output)

            return _json(await self.in_thread(work, gone, request.receive, waits=True))

        return hook

    async def in_thread(self, work: Callable[[], T], gone: threading.Event, receive: Receive, *, waits: bool) -> T:
        """Do it beside others; `gone` is set when the one who asked hangs up."""

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        watching = asyncio.create_task(watch())
        try:
            return await self.aside(work, gone, waits=waits)
        finally:
            watching.cancel()

    async def aside(self, work: Callable[[], T], gone: threading.Event, *, waits: bool = True) -> T:
        """Do it in a thread; `gone` is set when nobody waits for it any more."""
        try:
            limiter = self._waiting if waits else self._quick
            return await anyio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)
        finally:
            gone.set()

    async def _defect(self, request: Request, error: Exception) -> Response:
        """Told here and to who asked; the details are in what the server logs."""
        self._watcher.notice(f"The gateway failed at {request.url.path}: {type(error).__name__}: {error}")
        return failure(500, "defect", "This is a defect of intarsia.", "Report it, with what was asked.")


class Mcp:
    """The endpoint of the Model Context Protocol; what it needs is imported when the first client comes."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._wanted, self._ready = anyio.Event(), anyio.Event()

    async def run(self) -> None:
        """A task for as long as the gateway runs."""
        await self._wanted.wait()
        self._manager = await anyio.to_thread.run_sync(self._made)
        async with self._manager.run():
            self._ready.set()
            await anyio.sleep_forever()

    def _made(self) -> StreamableHTTPSessionManager:
        from intarsia.gateway import mcp_server

        return mcp_server.manager(self._call, LIMIT)

    async def _call(self, request: Request | None, name: str, arguments: Mapping[str, Any]) -> tuple[bool, str]:
        assert request is not None
        gone = threading.Event()

        def work() -> tuple[bool, str]:
            caller = self._gateway.caller(request.headers, gone)
            return mcp.called(tools.made(lambda operation, given: operation.run(caller, given)), name, arguments)

        return await self._gateway.aside(work, gone)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = threading.Event()
        try:
            await self._gateway.aside(lambda: self._gateway.caller(Headers(scope=scope), gone), gone, waits=False)
        except IntarsiaError as error:
            return await (await _error(Request(scope), error))(scope, receive, send)
        self._wanted.set()
        await self._ready.wait()
        return await self._manager.handle_request(scope, receive, send)


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
