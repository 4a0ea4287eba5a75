"""The tools over the Model Context Protocol: as an endpoint of the gateway, and over standard input and output."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request

import intarsia
from intarsia.agents import Tool
from intarsia.agents.mcp import called
from intarsia.gateway import tools

INSTRUCTIONS = (
    "You work on a codebase together with other agents. Lock what you are about to change, say what you are doing, and "
    "ask a person only what neither the code nor the issue answers."
)

Call = Callable[[Request | None, str, Mapping[str, Any]], Awaitable[tuple[bool, str]]]
"""Calls a tool, as who sent this request (over standard input there is none); whether it went well, and the answer."""


def server(call: Call) -> Server[Any]:
    async def list_tools(ctx: ServerRequestContext[Any], params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=_described())

    async def call_tool(ctx: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        ok, text = await call(ctx.request, params.name, params.arguments or {})
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


def manager(call: Call, limit: int) -> StreamableHTTPSessionManager:
    """For an endpoint where every request stands for itself, and proves who asks."""
    return StreamableHTTPSessionManager(server(call), json_response=True, stateless=True, max_request_body_size=limit)


def over_stdio(given: tuple[Tool, ...]) -> None:
    """Serve one client until it hangs up."""

    async def call(request: Request | None, name: str, arguments: Mapping[str, Any]) -> tuple[bool, str]:
        return await anyio.to_thread.run_sync(lambda: called(given, name, arguments), abandon_on_cancel=True)

    async def serve() -> None:
        one = server(call)
        async with stdio_server() as (incoming, outgoing):
            await one.run(incoming, outgoing, one.create_initialization_options())

    anyio.run(serve)
