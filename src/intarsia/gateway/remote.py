"""Asking the gateway: what a client does that has its address."""

from __future__ import annotations

import http.client
import os
from typing import Any
from urllib.parse import urlsplit

import msgspec

from intarsia.errors import InputError, IntarsiaError, NotReady
from intarsia.gateway import proof
from intarsia.gateway.client import URL
from intarsia.gateway.leases import check_wait
from intarsia.gateway.operation import A, G, Operation
from intarsia.gateway.proof import Challenge
from intarsia.gateway.statuses import exit_code_of

AS = "Intarsia-As"
"""Whom the caller takes itself for. It adds nothing to a secret: one that is another's is refused."""
PATIENCE = 60.0
"""Seconds that an answer may take, beyond those that the operation was asked to wait."""
PROVING = 5.0
"""Seconds in which the gateway proves that it is one."""
MOST = 65_536
"""Bytes that are read of who is not known yet."""


class Stranger(NotReady):
    """Somebody else is where the gateway should be. Nothing was done, and nothing told."""


class Refused(IntarsiaError):
    """What the gateway said no to, with the code and the exit code that the same command without it has."""

    def __init__(self, answer: dict[str, Any], exit_code: int) -> None:
        rest = {name: value for name, value in answer.items() if name not in ("ok", "code", "message", "hint")}
        super().__init__(str(answer.get("message", "")), hint=str(answer.get("hint", "")), **rest)
        self.code = str(answer.get("code", "error"))
        self.exit_code = exit_code


def ask(url: str, credentials: tuple[str, str], operation: Operation[G, A], given: G) -> A:
    """Raises Refused for a no, NotReady for no answer; where nobody is, ConnectionRefusedError, and Stranger where
    another one is.
    """
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


def check(url: str, credentials: tuple[str, str]) -> None:
    """See that the gateway is there, and knows who this is. Raises NotReady."""
    try:
        _connected(url, credentials).close()
    except ConnectionRefusedError as error:
        raise NotReady(f"Nothing listens at {url}.", hint=f"Its run has ended: unset {URL}.") from error


def health(url: str) -> str:
    """The version of what says that it is a gateway there; raises NotReady."""
    host, port = place_of(url)
    connection = http.client.HTTPConnection(host, port, timeout=PROVING)
    try:
        connection.request("GET", "/v1/health")
        answer = msgspec.json.decode(connection.getresponse().read(MOST), type=dict[str, Any])
        return str(answer["version"])
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        raise NotReady(f"{url} does not answer: {error!r}.") from error
    finally:
        connection.close()


def _post(url: str, credentials: tuple[str, str], path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
    connection, (name, secret) = _connected(url, credentials), credentials
    headers = {"Authorization": f"Bearer {secret}", AS: name, "Content-Type": "application/json"}
    try:
        connection.sock.settimeout(seconds)
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(
            f"The gateway at {url} broke off: {error!r}. Whether it did what it was asked is not known.",
            hint="Look how things stand, for instance with: intarsia lock list",
        ) from error
    finally:
        connection.close()


def _connected(url: str, credentials: tuple[str, str]) -> http.client.HTTPConnection:
    """A connection to one that has proved to be the gateway. Raises ConnectionRefusedError, or Stranger."""
    host, port = place_of(url)
    connection = http.client.HTTPConnection(host, port, timeout=PROVING)
    try:
        connection.connect()
        connection.auto_open = 0  # another connection may lead to another one
        proved = _proves(connection, *credentials)
    except ConnectionRefusedError:
        raise
    except (OSError, ValueError, http.client.HTTPException):
        proved = False
    if not proved or connection.sock is None:
        connection.close()
        raise Stranger(
            f"What is at {url} can't prove that it is the gateway and knows {credentials[0]}, so it was told nothing.",
            hint=f"Take {URL} and the secret from the environment of a session, or unset {URL}.",
        )
    return connection


def _proves(connection: http.client.HTTPConnection, name: str, secret: str) -> bool:
    nonce, (host, port) = os.urandom(32).hex(), connection.sock.getpeername()[:2]
    challenge = msgspec.json.encode(Challenge(name=name, nonce=nonce))
    connection.request("POST", proof.PATH, challenge, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = msgspec.json.decode(response.read(MOST), type=dict[str, Any])
    return response.status == 200 and proof.holds(answer.get("proof"), secret, nonce, (host, port))


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
    asked = [float(getattr(given, name, 0.0)) for name in ("wait", "timeout")]
    for seconds in asked:
        check_wait(seconds)
    return PATIENCE + max(asked)
