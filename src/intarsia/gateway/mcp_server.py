"""The tools over the Model Context Protocol: as an endpoint of the gateway, and over standard input and output."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.to_thread
from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

import intarsia
from intarsia.agents import Tool
from intarsia.agents.mcp import called
from intarsia.gateway import tools

INSTRUCTIONS = (
    "You work on a codebase together with other agents. Lock what you are about to change, say what you are doing, and "
    "ask a person only what neither the code nor the issue answers."
)

Tools = Callable[[Request | None], tuple[Tool, ...]]
"""The tools of who sent this request; over standard input there is none."""
Aside = Callable[[Callable[[], Any], Request | None], Awaitable[Any]]


def server(tools_of: Tools, aside: Aside) -> Server[Any]:
    async def list_tools(ctx: ServerRequestContext[Any], params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=_described())

    async def call_tool(ctx: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        ok, text = await aside(lambda: called(tools_of(ctx.request), params.name, arguments), ctx.request)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=not ok)

    return Server(
        "intarsia",
        version=intarsia.__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


@functools.cache
def _described() -> list[types.Tool]:
    return [types.Tool(name=kind.name, description=kind.about, input_schema=tools.schema(kind)) for kind in tools.KINDS]


class Endpoint:
    """Every request stands for itself: who asks is proven by each."""

    def __init__(self, tools_of: Tools, aside: Aside, limit: int) -> None:
        self._manager = StreamableHTTPSessionManager(
            server(tools_of, aside), json_response=True, stateless=True, max_request_body_size=limit
        )
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        await self._stack.enter_async_context(self._manager.run())

    async def stop(self) -> None:
        await self._stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)


def over_stdio(given: tuple[Tool, ...]) -> None:
    """Serve one client until it hangs up."""

    async def aside(call: Callable[[], Any], request: Request | None) -> Any:
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)

    async def serve() -> None:
        one = server(lambda request: given, aside)
        async with stdio_server() as (incoming, outgoing):
            await one.run(incoming, outgoing, one.create_initialization_options())

    anyio.run(serve)
