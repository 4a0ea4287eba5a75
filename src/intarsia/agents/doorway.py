"""A way to us for programs that an agent starts: a socket in a directory that only we can enter."""

from __future__ import annotations

import io
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Doorway:
    """Open until it is closed; `serve` is given each that comes, in a thread of its own."""

    def __init__(self, serve: Callable[[io.BufferedRWPair], None]) -> None:
        self._serve = serve
        self.folder = Path(tempfile.mkdtemp(prefix="intarsia-"))
        self.path = self.folder / "socket"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._accept, name="doorway", daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._welcome, args=(connection,), name="doorway", daemon=True).start()

    def _welcome(self, connection: socket.socket) -> None:
        """One that is gone, or talks nonsense, gets no answer."""
        with suppress(OSError, ValueError, KeyError), connection, connection.makefile("rwb") as stream:
            self._serve(stream)
