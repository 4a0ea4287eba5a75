"""The server, in a thread of its own. What it needs is imported when the first request comes: most runs get none."""

from __future__ import annotations

import ipaddress
import select
import socket
import threading
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from intarsia.errors import NotReady, UsageError
from intarsia.gateway import register
from intarsia.gateway.operation import Site
from intarsia.gateway.watcher import Watcher

NEEDED = ("starlette", "uvicorn", "mcp")
HOST = "127.0.0.1"
BACKLOG = 512
GRACE = 1
"""Seconds that requests get to end when the server does."""


def installed() -> bool:
    return all(find_spec(name) for name in NEEDED)


def require() -> None:
    """Raise NotReady unless the extra is there."""
    if not installed():
        raise NotReady("The gateway is not installed.", hint="pip install 'intarsia[gateway]'")


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server:
    """Listens from `start` (or `with`) to `stop`; on a free port, unless one is given."""

    def __init__(
        self, site: Site, watcher: Watcher | None = None, *, host: str = HOST, port: int = 0, exposed: bool = False
    ) -> None:
        if not is_loopback(host) and not exposed:
            raise UsageError(
                f"{host} can be reached from other machines.",
                hint="Whoever sees the traffic sees the secrets: there is no encryption. If that is meant: --expose",
            )
        self._site = site
        self._watcher = watcher
        self._host = host
        self._port = port
        self._wake, self._woken = socket.socketpair()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="gateway", daemon=True)

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> Self:
        """Raises NotReady when the port can't be had."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._socket = socket.create_server((self._host, self._port), family=family, backlog=BACKLOG)
            # Or the second half of each answer waits 40 ms for what the client says to the first: asyncio sees to that
            # only where the socket names its protocol.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise NotReady(
                f"{self._host}:{self._port} can't be listened on: {error.strerror}.",
                hint="Take another port, or 0 for any free one: gateway.port, or --port.",
            ) from error
        self._port = self._socket.getsockname()[1]
        self._entry = register.enter(self._site.repository.make_state(), self.url)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Break off what is not answered yet, and free the port."""
        self._stopping.set()
        self._wake.send(b"x")
        self._thread.join()
        self._entry.unlink(missing_ok=True)
        for one in (self._socket, self._wake, self._woken):
            one.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _serve(self) -> None:
        select.select([self._socket, self._woken], [], [])
        if self._stopping.is_set():
            return
        import anyio

        anyio.run(self._answer)

    async def _answer(self) -> None:
        import anyio
        import uvicorn

        from intarsia.gateway.app import Gateway

        gateway = Gateway(self._site, self._watcher, loopback=is_loopback(self._host))
        # It must neither set up the logging of the process that it is in, nor write what it was asked.
        settings = uvicorn.Config(
            gateway.app(),
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = uvicorn.Server(settings)

        async def end() -> None:
            await anyio.wait_readable(self._woken)
            gateway.stop()
            server.should_exit = True

        async with anyio.create_task_group() as group:
            group.start_soon(end)
            await server.serve([self._socket])
            group.cancel_scope.cancel()
