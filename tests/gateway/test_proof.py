"""Somebody else at a gateway's address, such as another user of the machine after the run ended, learns no secret."""

from __future__ import annotations

import http.client
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from intarsia.errors import NotReady
from intarsia.gateway import leases, proof
from intarsia.gateway.client import Client
from intarsia.gateway.operation import Caller, Site
from intarsia.gateway.remote import Stranger, ask
from intarsia.gateway.server import Server
from intarsia.kernel import sessions
from tests.gateway.conftest import SECRETS
from tests.support.sandbox import Sandbox

SECRET = SECRETS["alice"]
ALICE = ("alice", SECRET)


class Impostor(socketserver.ThreadingTCPServer):
    """Keeps all that it is sent; `answer` makes of a request's bytes what is sent back, empty to hang up.

    Then it listens for what else comes, unless it `ends` the connection.
    """

    daemon_threads = True
    block_on_close = True

    def __init__(self, answer: Callable[[bytes], bytes], *, ends: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), None)  # type: ignore[arg-type]
        self.got = bytearray()
        self.connections = 0
        self._answer, self._ends = answer, ends

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self.connections += 1
        request.settimeout(60)
        said = received(request)
        self.got += said
        answer = self._answer(said)
        request.sendall(answer)
        if answer and not self._ends:
            self.got += received(request)


def received(connection: socket.socket) -> bytes:
    """One request with its body, or what there is of one."""
    said = b""
    while b"\r\n\r\n" not in said and (more := connection.recv(65_536)):
        said += more
    head, _, body = said.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]) and (more := connection.recv(65_536)):
        body, said = body + more, said + more
    return said


@contextmanager
def impostor(answer: Callable[[bytes], bytes], *, ends: bool = False) -> Iterator[Impostor]:
    with Impostor(answer, ends=ends) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def response(status: str, body: bytes, *more: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *more])
    return head.encode() + b"\r\n\r\n" + body


def claimed(value: object) -> bytes:
    return response("200 OK", json.dumps({"ok": True, "proof": value}).encode())


ANSWERS = {
    "says what it likes": response("200 OK", b'{"ok": true}'),
    "claims a proof": claimed("0" * 64),
    "claims a strange one": claimed(["0" * 64]),
    "wants a login": response("401 Unauthorized", b'{"ok": false, "code": "unauthorized"}'),
    "sends elsewhere": response("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/v1/prove"),
    "speaks no JSON": response("200 OK", b"\xff"),
    "says no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "is too long": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}",
    "has headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyy\r\n" * 9000,
    "speaks no HTTP": b"220 smtp.example.org ESMTP\r\n",
    "hangs up": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
def test_an_impostor_gets_no_secret(site: Site, answer: bytes) -> None:
    with impostor(lambda said: answer) as stranger:
        with pytest.raises(Stranger, match="told nothing"):
            ask(stranger.url, ALICE, leases.look, leases.Look())
        instead = Client(stranger.url, lambda: ALICE, lambda: Caller(site, lambda tx: "alice"))
        assert instead.call(leases.acquire, leases.Acquire(resources=["x:1"])).holder == "alice"
    assert stranger.got.count(b"/v1/prove") == 2
    assert SECRET.encode() not in stranger.got and b"Authorization" not in stranger.got


def test_one_that_asks_the_real_gateway_gets_none_either(site: Site) -> None:
    with Server(site) as server:
        host, port = server.url.removeprefix("http://").split(":")

        def relayed(said: bytes) -> bytes:
            with socket.create_connection((host, int(port))) as real:
                real.sendall(said.replace(stranger.url.encode()[7:], f"{host}:{port}".encode()))
                return received(real)

        with impostor(relayed) as stranger, pytest.raises(Stranger):
            ask(stranger.url, ALICE, leases.look, leases.Look())
        assert ask(server.url, ALICE, leases.look, leases.Look()).leases == []
    assert b"/v1/prove" in stranger.got and SECRET.encode() not in stranger.got


def test_one_that_comes_after_the_proof_gets_none() -> None:
    """The gateway ends between its proof and the request: no other connection is made."""

    def truthful(said: bytes) -> bytes:
        nonce = json.loads(said.partition(b"\r\n\r\n")[2])["nonce"]
        made = proof.made(sessions.digest(SECRET), nonce, ("127.0.0.1", stranger.server_address[1]))
        return claimed(made)

    with impostor(truthful, ends=True) as stranger, pytest.raises(NotReady, match="broke off"):
        ask(stranger.url, ALICE, leases.look, leases.Look())
    assert stranger.connections == 1 and SECRET.encode() not in stranger.got


def test_without_a_database_it_is_said_what_is_wrong() -> None:
    def nowhere() -> Caller:
        raise NotReady("This is not in a git repository.")

    with impostor(lambda said: b"") as stranger, pytest.raises(Stranger, match="can't prove"):
        Client(stranger.url, lambda: ALICE, nowhere).call(leases.look, leases.Look())


def test_nobody_learns_from_it_who_there_is(site: Site) -> None:
    with Server(site) as server:
        port = int(server.url.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        answers = []
        for name in ("alice", "nobody"):
            body = json.dumps({"name": name, "nonce": "ab" * 32})
            connection.request("POST", proof.PATH, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answers.append((answer.status, {key: len(str(value)) for key, value in json.loads(answer.read()).items()}))
        connection.close()
    assert answers[0] == answers[1] == (200, {"ok": 4, "proof": 64})


def test_a_command_told_to_ask_an_impostor_asks_the_database(sandbox: Sandbox) -> None:
    sandbox.ok("agent", "join", "alice")
    secret = (sandbox.root / ".intarsia/agents/alice").read_bytes()
    with impostor(lambda said: ANSWERS["claims a proof"]) as stranger:
        assert sandbox.json("lock", "acquire", "x:1", env={"INTARSIA_URL": stranger.url})["holder"] == "alice"
        refused = sandbox.json("lock", "list", env={"INTARSIA_URL": stranger.url, "INTARSIA_AGENT": "bob"})
    assert refused["code"] == "not_ready"
    assert stranger.got and secret not in stranger.got
