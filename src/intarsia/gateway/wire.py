"""As much of HTTP as a command needs to ask the gateway: one connection, never another one in its place.

`http.client` would take a command a fifth of its time to import, and connects again by itself.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self

LONGEST_HEAD = 65_536
"""Bytes of a line, and of all headers."""


class Broken(Exception):
    """The other end hung up, or what it said is no answer that can be read."""


class Connection:
    """To `host` and `port`; raises OSError where there is none within so many seconds."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._socket = socket.create_connection((host, port), timeout=seconds)
        self._answers = self._socket.makefile("rb")

    @property
    def address(self) -> tuple[str, int]:
        """Of the other end."""
        host, port = self._socket.getpeername()[:2]
        return host, port

    def patience(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", most: int = -1
    ) -> tuple[int, bytes]:
        """Status and body, of which at most so many bytes are taken. Raises OSError or Broken."""
        lines = {"Host": self._host, "Content-Length": str(len(body)), **(headers or {})}
        if any(not value.isprintable() or not value.isascii() for value in lines.values()):
            raise Broken("A header holds what can't be in one.")
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body)
        return self._answer(most)

    def _answer(self, most: int) -> tuple[int, bytes]:
        version, _, rest = self._line().partition(b" ")
        status = rest[:3]
        if not version.startswith(b"HTTP/1.") or not status.isdigit():
            raise Broken("It does not speak HTTP.")
        length, left = None, LONGEST_HEAD
        while line := self._line():
            left -= len(line)
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value)
            if left < 0:
                raise Broken("Its headers have no end.")
        if length is None or (0 <= most < length):
            raise Broken("Its answer has no length, or is too long.")
        body = self._answers.read(length)
        if len(body) < length:
            raise Broken("It hung up.")
        return int(status), body

    def _line(self) -> bytes:
        line = self._answers.readline(LONGEST_HEAD)
        if not line.endswith(b"\n"):
            raise Broken("It hung up.")
        return line.rstrip(b"\r\n")

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
