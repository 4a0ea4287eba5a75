"""Asking the gateway: what a client does that has its address."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec

from intarsia.errors import InputError, IntarsiaError, NotReady
from intarsia.gateway.client import URL
from intarsia.gateway.operation import A, G, Operation
from intarsia.gateway.statuses import exit_code_of

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


def ask(url: str, credentials: tuple[str, str], operation: Operation[G, A], given: G) -> A:
    """Raises Refused for a no, NotReady for no answer, and ConnectionRefusedError where nobody is."""
    try:
        body = msgspec.json.encode(given)
    except UnicodeEncodeError as error:
        raise InputError("The text holds bytes that are not UTF-8.") from error
    status, said = _post(url, credentials, f"/v1/{operation.path}", body, _patience(given))
    try:
        answer = msgspec.json.decode(said, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise NotReady(f"{url} gave no answer that can be read ({status}): is it a gateway?") from error
    if status != 200:
        raise Refused(answer, exit_code_of(status))
    return msgspec.convert(answer, operation.answer)


def _post(url: str, credentials: tuple[str, str], path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
    host, port = place_of(url)
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    name, secret = credentials
    headers = {"Authorization": f"Bearer {secret}", AS: name, "Content-Type": "application/json"}
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(
            f"The gateway at {url} broke off: {error!r}. Whether it did what it was asked is not known.",
            hint="Look how things stand, for instance with: intarsia lock list",
        ) from error
    finally:
        connection.close()


def place_of(url: str) -> tuple[str, int]:
    """Host and port; raises InputError."""
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
