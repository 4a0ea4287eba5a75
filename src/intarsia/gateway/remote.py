"""Asking the gateway: what a client does that has its address."""

from __future__ import annotations

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
from intarsia.gateway.wire import Broken, Connection

AS = "Intarsia-As"
"""Whom the caller takes itself for. It adds nothing to a secret: one that is another's is refused."""
PATIENCE = 60.0
"""Seconds that an answer may take, beyond those that the operation was asked to wait."""
PROVING = 5.0
"""Seconds in which the gateway proves that it is one."""
JSON = {"Content-Type": "application/json"}
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
    try:
        with Connection(*place_of(url), PROVING) as connection:
            _, said = connection.ask("GET", "/v1/health", most=MOST)
        return str(msgspec.json.decode(said, type=dict[str, Any])["version"])
    except (OSError, ValueError, KeyError, Broken) as error:
        raise NotReady(f"{url} does not answer: {error!r}.") from error


def _post(url: str, credentials: tuple[str, str], path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
    name, secret = credentials
    headers = {"Authorization": f"Bearer {secret}", AS: name, **JSON}
    with _connected(url, credentials) as connection:
        connection.patience(seconds)
        try:
            return connection.ask("POST", path, headers, body)
        except (OSError, Broken) as error:
            raise NotReady(
                f"The gateway at {url} broke off: {error!r}. Whether it did what it was asked is not known.",
                hint="Look how things stand, for instance with: intarsia lock list",
            ) from error


def _connected(url: str, credentials: tuple[str, str]) -> Connection:
    """A connection to one that has proved to be the gateway. Raises ConnectionRefusedError, or Stranger."""
    host, port = place_of(url)
    try:
        connection = Connection(host, port, PROVING)
    except ConnectionRefusedError:
        raise
    except OSError as error:
        raise _stranger(url, credentials[0]) from error
    try:
        if _proves(connection, *credentials):
            return connection
        raise _stranger(url, credentials[0])
    except BaseException:
        connection.close()
        raise


def _stranger(url: str, name: str) -> Stranger:
    return Stranger(
        f"What is at {url} can't prove that it is the gateway and knows {name}, so it was told nothing.",
        hint=f"Take {URL} and the secret from the environment of a session, or unset {URL}.",
    )


def _proves(connection: Connection, name: str, secret: str) -> bool:
    nonce = os.urandom(32).hex()
    challenge = msgspec.json.encode(Challenge(name=name, nonce=nonce))
    try:
        status, said = connection.ask("POST", proof.PATH, JSON, challenge, MOST)
        answer = msgspec.json.decode(said, type=dict[str, Any])
        return status == 200 and proof.holds(answer.get("proof"), secret, nonce, connection.address)
    except (OSError, ValueError, Broken):
        return False


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
