"""The few words of the Model Context Protocol that offer our tools (modelcontextprotocol.io, lifecycle and tools)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import intarsia
from intarsia.agents import Tool
from intarsia.errors import IntarsiaError

Json = dict[str, Any]
NO_METHOD = -32601


def answer(tools: Sequence[Tool], request: Mapping[str, Any]) -> Json | Callable[[], Json] | None:
    """The reply to one message; a call of a tool, to be made in a thread; nothing to what needs none."""
    id, params = request.get("id"), request.get("params") or {}
    if id is None:
        return None
    match request.get("method"):
        case "initialize":
            return _result(id, _capabilities(params.get("protocolVersion")))
        case "ping":
            return _result(id, {})
        case "tools/list":
            return _result(id, {"tools": [_described(tool) for tool in tools]})
        case "tools/call":
            return lambda: _result(id, _content(*called(tools, params.get("name"), params.get("arguments") or {})))
    return {"jsonrpc": "2.0", "id": id, "error": {"code": NO_METHOD, "message": "There is no such method."}}


def called(tools: Sequence[Tool], name: Any, arguments: Mapping[str, Any]) -> tuple[bool, str]:
    """Call a tool; whether that went well, and what its caller reads."""
    for tool in tools:
        if tool.name == name:
            try:
                return True, tool.call(arguments)
            except IntarsiaError as error:
                return False, f"{error.message} {error.hint}".strip()
    return False, f"There is no tool {name!r}."


def _capabilities(version: Any) -> Json:
    server = {"name": "intarsia", "version": intarsia.__version__}
    return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}


def _described(tool: Tool) -> Json:
    return {"name": tool.name, "description": tool.description, "inputSchema": dict(tool.schema)}


def _content(ok: bool, text: str) -> Json:
    return {"content": [{"type": "text", "text": text}], "isError": not ok}


def _result(id: Any, result: Json) -> Json:
    return {"jsonrpc": "2.0", "id": id, "result": result}
