"""The server, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as Received
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from intarsia.testing import place
from intarsia.testing.anthropic import Messages
from intarsia.testing.chat import Chat
from intarsia.testing.dialect import Dialect, sent, tool_names
from intarsia.testing.gemini import Gemini
from intarsia.testing.log import Log, Request
from intarsia.testing.openai import Responses
from intarsia.testing.place import Place
from intarsia.testing.script import PAST_THE_END, SIDE_CALL, Step, scripts

HOST = "127.0.0.1"
POLL = 0.05
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class ModelServer:
    """Answers with these scripts from `start` (or `with`) to `stop`; on a free port, unless one is given."""

    def __init__(
        self,
        given: Mapping[str, Sequence[Step | Mapping[str, Any]]] | None = None,
        *,
        port: int = 0,
        on_request: Callable[[Request], None] | None = None,
    ) -> None:
        self._model = _Model(Log(on_request))
        self._port = port
        self._socket: socket.socket | None = None
        self.add(given or {})

    def add(self, given: Mapping[str, Sequence[Step | Mapping[str, Any]]]) -> None:
        """More scripts, also while it runs; one of the same name is replaced. Raises InputError."""
        self._model.scripts |= scripts(given)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """All that came until now, oldest first."""
        return self._model.log.requests

    def wait_for(self, script: str, step: int = 0, seconds: float = 30) -> Request:
        """Wait until an agent asks for that step; raises TimeoutError."""
        return self._model.log.wait(lambda request: (request.script, request.step) == (script, step), seconds)

    def start(self) -> Self:
        self._socket = socket.create_server((HOST, self._port))
        self._port = self._socket.getsockname()[1]
        # It must neither set up the logging of the process that it is in, nor report the errors that scripts ask for.
        settings = uvicorn.Config(
            self._model.app(), log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=0
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="model-server")
        self._thread.start()
        return self

    def stop(self) -> None:
        """Break off what is not answered yet, and free the port."""
        if self._socket is not None:
            self._server.should_exit = True
            self._thread.join()
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class _Model:
    """What is behind the URLs."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.scripts: dict[str, list[Step]] = {}
        self._refused: Counter[tuple[Place, str]] = Counter()

    def app(self) -> Starlette:
        routes = [
            Route("/v1/messages", self._answering(Messages()), methods=["POST"]),
            Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
            Route("/v1/chat/completions", self._answering(Chat()), methods=["POST"]),
            Route("/v1beta/models/{call:path}", self._answering(Gemini()), methods=["POST"]),
            Route("/v1/responses", self._answering(Responses()), methods=["POST"]),
            Route("/{path:path}", self._other, methods=METHODS),
        ]
        return Starlette(routes=routes)

    def _answering(self, dialect: Dialect) -> Callable[[Received], Any]:
        async def answer(received: Received) -> Response:
            body = await received.json()
            conversation = dialect.conversation(body)
            at = None if dialect.is_side_call(body) else place.find(conversation)
            step = self._step(at)
            id = dialect.id(body, received.headers)
            status = step.http if self._refuses(step, at, id) else 200
            self._note(
                received,
                status,
                script=at.script if at else None,
                step=at.step if at else None,
                conversation=id,
                tools=tool_names(body),
                said=conversation[-1].content if conversation else None,
            )
            await asyncio.sleep(float("inf") if step.hang else step.delay)
            while not self.log.knows(step.awaits):
                await asyncio.sleep(POLL)
            if status != 200:
                return JSONResponse(dialect.error(status), status, headers=step.headers)
            if body.get("stream") or received.url.path.endswith(":streamGenerateContent"):
                return _streaming([sent(event) for event in dialect.stream(body, step)], step.cut, "text/event-stream")
            return _streaming([json.dumps(dialect.answer(body, step))], step.cut, "application/json")

        return answer

    def _step(self, at: Place | None) -> Step:
        if at is None:
            return SIDE_CALL
        script = self.scripts.get(at.script, [])
        return script[at.step] if at.step < len(script) else PAST_THE_END

    def _refuses(self, step: Step, at: Place | None, conversation: str) -> bool:
        if not step.http or at is None:
            return False
        self._refused[at, conversation] += 1
        return step.times == 0 or self._refused[at, conversation] <= step.times

    async def _count_tokens(self, received: Received) -> Response:
        self._note(received, 200)
        return JSONResponse({"input_tokens": 100})

    async def _other(self, received: Received) -> Response:
        status = 200 if received.method == "HEAD" else 404
        self._note(received, status)
        return JSONResponse({"error": {"message": f"The model server knows no {received.url.path}."}}, status)

    def _note(self, received: Received, status: int, **values: Any) -> None:
        self.log.add(method=received.method, path=received.url.path, status=status, **values)


class _Cut(Exception):
    """The script wants the connection broken."""


def _streaming(parts: list[str], cut: bool, media_type: str) -> Response:
    async def body() -> AsyncIterator[str]:
        for part in parts[: len(parts) // 2] if cut else parts:
            yield part
        if cut:
            raise _Cut

    return StreamingResponse(body(), media_type=media_type)
