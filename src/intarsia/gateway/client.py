"""Asking for an operation: of the gateway at INTARSIA_URL, else of the database itself. The answer is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from intarsia.errors import InputError, IntarsiaError, NotReady
from intarsia.gateway.operation import A, Caller, G, Operation

URL = "INTARSIA_URL"
AS = "Intarsia-As"
"""Whom the caller takes itself for. It adds nothing to a secret: one that is another's is refused."""
PATIENCE = 60.0
"""Seconds that an answer may take, beyond those that the operation was asked to wait."""


class Refused(IntarsiaError):
    """What the gateway said no to, with the code and the exit code that the same command without it has."""

    def __init__(self, answer: dict[str, Any], exit_code: int) -> None:
        rest = {name: value for name, value in answer.items() if name not in ("ok", "code", "message", "hint")}
        super().__init__(str(answer.get("message", "")), hint=str(answer.get("hint", "")), **rest)
        self.code = str(answer.get("code", "error"))
        self.exit_code = exit_code


@dataclass(frozen=True)
class Client:
    """`url` is empty where there is no gateway. `credentials`: name and secret of who asks there; `caller` is who asks
    of the database.
    """

    url: str
    credentials: Callable[[], tuple[str, str]]
    caller: Callable[[], Caller]

    def call(self, operation: Operation[G, A], given: G) -> A:
        """Do it; raises what it raises.

        Where the gateway is gone, as its run ended before the agent that it started, the database is asked.
        """
        if self.url:
            try:
                return self._ask(operation, given)
            except ConnectionRefusedError:
                pass  # so nothing was done
        return operation.run(self.caller(), given)

    def prove(self) -> None:
        """Raise where nobody could be asked, or not as who this is."""
        if self.url:
            place_of(self.url)
            self.credentials()
            return
        caller = self.caller()
        with caller.database.transaction() as tx:
            caller.identify(tx)

    def _ask(self, operation: Operation[G, A], given: G) -> A:
        from intarsia.gateway.statuses import exit_code_of

        status, body = self._post(f"/v1/{operation.path}", msgspec.json.encode(given), _patience(given))
        try:
            answer = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise NotReady(f"{self.url} gave no answer that can be read ({status}): is it a gateway?") from error
        if status != 200:
            raise Refused(answer, exit_code_of(status))
        return msgspec.convert(answer, operation.answer)

    def _post(self, path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        import http.client  # 10 ms, which those who have the database need not pay

        host, port = place_of(self.url)
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
        name, secret = self.credentials()
        headers = {"Authorization": f"Bearer {secret}", AS: name, "Content-Type": "application/json"}
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except ConnectionRefusedError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise NotReady(
                f"The gateway at {self.url} broke off: {error!r}. Whether it did what it was asked is not known.",
                hint="Look how things stand, for instance with: intarsia lock list",
            ) from error
        finally:
            connection.close()


def place_of(url: str) -> tuple[str, int]:
    """Host and port; raises InputError."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname and not parts.path.strip("/") and not parts.username:
            return parts.hostname, parts.port or 80
    except ValueError:
        pass
    raise InputError(f"{URL} is no address of a gateway.", hint=f"Write {URL}=http://127.0.0.1:PORT, or unset it.")


def _patience(given: Any) -> float:
    asked = [getattr(given, name, 0.0) for name in ("wait", "timeout")]
    return PATIENCE + max(float(seconds) for seconds in asked)
