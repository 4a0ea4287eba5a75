"""The server as it is started, and those who call it: commands, agents of a run, clients of MCP."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from intarsia.errors import NotReady, UsageError
from intarsia.gateway import files, leases, messages, remote
from intarsia.gateway.client import Client as Asking
from intarsia.gateway.operation import Caller, Site
from intarsia.gateway.remote import AS, Refused, Stranger, ask
from intarsia.gateway.server import Server
from tests.gateway.conftest import SECRETS
from tests.support.sandbox import Sandbox
from tests.support.until import until

CODE = "code:src/a.py"
TOOLS = {"lock", "edit", "status", "note", "message", "resolve", "done", "ask"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the gateway of these tests takes to prove that it is one, nobody else is there."""
    monkeypatch.setattr(remote, "PROVING", 60.0)


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    with Server(site) as running:
        yield running


def nobody() -> Caller:
    raise AssertionError("The database was asked.")


def asking(server: Server, me: str, secret: str = "") -> Asking:
    return Asking(server.url, lambda: (me, secret or SECRETS[me]), nobody)


def test_a_client_gets_what_the_database_would_say(server: Server) -> None:
    alice, bob = asking(server, "alice"), asking(server, "bob")
    held = alice.call(leases.acquire, leases.Acquire(resources=[CODE]))
    assert (held.holder, held.resources) == ("alice", [CODE])
    with pytest.raises(Refused) as refused:
        bob.call(leases.acquire, leases.Acquire(resources=[CODE]))
    assert (refused.value.code, refused.value.exit_code, refused.value.data["holder"]) == ("held", 1, "alice")
    with pytest.raises(Refused) as wrong:
        bob.call(leases.acquire, leases.Acquire(resources=["no uri"]))
    assert (wrong.value.code, wrong.value.exit_code) == ("bad_input", 4)
    with pytest.raises(Refused) as unready:
        bob.call(files.read, files.Read(path="README.md"))
    assert (unready.value.code, unready.value.exit_code) == ("not_ready", 2)


def test_the_secret_of_another_is_refused(server: Server) -> None:
    """To the one whose secret it is not the gateway can't even prove that it is one."""
    for name, secret in (("alice", SECRETS["bob"]), ("alice", "f" * 64)):
        with pytest.raises(Stranger):
            ask(server.url, (name, secret), leases.look, leases.Look())
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=30)
    for headers in (
        {"Authorization": f"Bearer {'f' * 64}"},
        {"Authorization": f"Bearer {SECRETS['bob']}", AS: "alice"},
    ):
        connection.request("POST", "/v1/leases/list", "{}", {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["code"]) == (401, "unauthorized")
    connection.close()


def test_one_who_waits_is_served_when_it_is_free_and_leaves_the_line_when_it_hangs_up(
    server: Server, site: Site
) -> None:
    alice, bob = asking(server, "alice"), asking(server, "bob")
    alice.call(leases.acquire, leases.Acquire(resources=[CODE]))
    waits = json.dumps({"resources": [CODE], "wait": 600}).encode()
    head = "POST /v1/leases/acquire HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {SECRETS['bob']}\r\nContent-Length: {len(waits)}\r\n\r\n"
    port = int(server.url.rpartition(":")[2])

    def line() -> list[str]:
        return [entry.session for entry in alice.call(leases.look, leases.Look()).waiting]

    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + waits)
        until(lambda: line() == ["bob"])
    until(lambda: line() == [])
    got: list[Any] = []
    waiting = threading.Thread(
        target=lambda: got.append(bob.call(leases.acquire, leases.Acquire(resources=[CODE], wait=60)))
    )
    waiting.start()
    until(lambda: line() == ["bob"])
    alice.call(leases.release, leases.Release(all=True))
    waiting.join(60)
    assert [one.holder for one in got] == ["bob"]


def test_many_who_wait_keep_nobody_from_giving_back(server: Server) -> None:
    alice, bob = asking(server, "alice"), asking(server, "bob")
    alice.call(leases.acquire, leases.Acquire(resources=[f"x:{n}" for n in range(60)]))
    got: list[str] = []

    def wait(n: int) -> None:
        got.extend(bob.call(leases.acquire, leases.Acquire(resources=[f"x:{n}"], wait=300)).resources)

    threads = [threading.Thread(target=wait, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    until(lambda: len(alice.call(leases.look, leases.Look()).waiting) == 60)
    alice.call(leases.release, leases.Release(all=True))
    for thread in threads:
        thread.join(300)
    assert sorted(got) == sorted(f"x:{n}" for n in range(60))


def test_it_stops_while_somebody_waits(site: Site) -> None:
    server = Server(site).start()
    asking(server, "alice").call(leases.acquire, leases.Acquire(resources=[CODE]))
    ended: list[str] = []

    def wait() -> None:
        try:
            asking(server, "bob").call(leases.acquire, leases.Acquire(resources=[CODE], wait=600))
        except (NotReady, Refused) as error:
            ended.append(error.code)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: bool(asking(server, "alice").call(leases.look, leases.Look()).waiting))
    server.stop()
    waiting.join(60)
    assert len(ended) == 1


def test_it_is_reached_from_this_machine_only_unless_that_is_said(site: Site) -> None:
    with pytest.raises(UsageError, match="other machines"):
        Server(site, host="0.0.0.0")
    with Server(site, host="0.0.0.0", exposed=True) as server:
        assert server.url.startswith("http://0.0.0.0:")
    with Server(site) as server, pytest.raises(NotReady, match="can't be listened on"):
        Server(site, port=int(server.url.rpartition(":")[2])).start()


def test_where_the_gateway_is_gone_the_database_is_asked(site: Site) -> None:
    with Server(site) as server:
        url = server.url
    client = Asking(url, lambda: ("alice", SECRETS["alice"]), lambda: Caller(site, lambda tx: "alice"))
    assert client.call(leases.acquire, leases.Acquire(resources=[CODE])).holder == "alice"


def test_a_person_is_asked_and_answers(server: Server, site: Site) -> None:
    alice = asking(server, "alice")
    early = alice.call(messages.ask, messages.Ask(question="May I drop the table?", wait=0))
    assert (early.answered, str(early.id) in early.meanwhile) == (False, True)
    person = Caller(site, lambda tx: "person:ann")
    assert messages.inbox.run(person, messages.Inbox()).messages[0].kind == "question"
    messages.send.run(person, messages.Send(body="yes", reply_to=early.id))
    late = alice.call(messages.ask, messages.Ask(id=early.id))
    assert (late.answered, late.answer, late.by) == (True, "yes", "person:ann")


async def _over_http(url: str, secret: str, use: Any) -> None:
    async with (
        create_mcp_http_client(headers={"Authorization": f"Bearer {secret}"}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        await use(client)


def test_tools_over_http(server: Server) -> None:
    async def use(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        held = await client.call_tool("lock", {"action": "acquire", "resources": [CODE]})
        assert not held.is_error and json.loads(held.content[0].text)["holder"] == "alice"  # type: ignore[union-attr]
        wrong = await client.call_tool("lock", {"action": "steal"})
        assert wrong.is_error and "acquire" in wrong.content[0].text  # type: ignore[union-attr]

    anyio.run(_over_http, server.url, SECRETS["alice"], use)
    assert [one.session for one in asking(server, "bob").call(leases.look, leases.Look()).leases] == ["alice"]


def test_nobody_gets_tools_without_a_secret(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=30)
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    connection.request("POST", "/mcp", asked, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (401, "unauthorized")
    connection.close()


def test_tools_over_standard_input(sandbox: Sandbox) -> None:
    sandbox.ok("agent", "join", "carol")

    async def use() -> None:
        program = StdioServerParameters(
            command=sys.executable, args=["-m", "intarsia", "mcp"], env=sandbox.env, cwd=sandbox.root
        )
        async with Client(stdio_client(program)) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
            noted = await client.call_tool("note", {"about": "parser", "text": "it is recursive"})
            assert not noted.is_error
            refused = await client.call_tool("resolve", {"kind": "no_change", "rationale": "so"})
            assert refused.is_error

    anyio.run(use)
    (event,) = sandbox.events("note")
    assert (event["actor"], event["data"]) == ("carol", {"about": "parser", "text": "it is recursive"})
    nobody = sandbox.call("mcp", env={"INTARSIA_AGENT": "dora"})
    assert nobody.returncode == 2 and "dora has not joined" in nobody.stderr


def test_agents_of_a_run_talk_to_it(sandbox: Sandbox) -> None:
    program = sandbox.root.parent / "agent.sh"
    program.write_text(
        'intarsia status "on it" && intarsia lock acquire x:one --json > one.json && echo "$INTARSIA_URL" > url\n'
        "env INTARSIA_URL=http://127.0.0.1:1 intarsia lock acquire x:two --json > two.json\n"
        "env INTARSIA_URL=gopher://x intarsia lock list 2> three || true\n"
        "git add --all && git commit -qm Done\n"
    )
    sandbox.issue("it-1")
    said = sandbox.ok("run", "--agent", f"command: sh {program}")
    assert "1 landed" in said
    (session,) = sandbox.sessions()
    for name in ("one.json", "two.json"):
        assert json.loads(sandbox.show(name))["holder"] == session["id"]
    assert sandbox.show("url").startswith("http://127.0.0.1:")
    assert "INTARSIA_URL is no address" in sandbox.show("three")
    assert [event["data"]["text"] for event in sandbox.events("said")] == ["on it"]
    secret = (sandbox.root / ".intarsia/sessions" / session["id"] / "secret").read_text()
    kept = subprocess.run(
        ["grep", "-rlF", secret, "."], cwd=sandbox.root, capture_output=True, text=True, check=False
    ).stdout.split()
    assert [Path(name).name for name in kept] == ["secret"]


def test_it_can_be_off_or_required(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[gateway]\nstart = 'off'\n", "Configure")
    sandbox.issue("it-1")
    sandbox.ok("run", "--agent", "command: sh -c 'echo \"<$INTARSIA_URL>\" > url && git add url && git commit -qm Url'")
    assert sandbox.show("url") == "<>"
    hidden = sandbox.root.parent / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['uvicorn'] = None\n")
    refused = sandbox.call(
        "run", "--agent", "command: true", env={"PYTHONPATH": str(hidden), "INTARSIA_GATEWAY_START": "required"}
    )
    assert (refused.returncode, "intarsia[gateway]" in refused.stderr) == (2, True)


def test_the_command_serves_until_it_is_ended(sandbox: Sandbox) -> None:
    sandbox.ok("agent", "join", "carol")
    running = sandbox.start("gateway", "--json")
    assert running.stdout is not None
    url = json.loads(running.stdout.readline())["url"]
    try:
        assert sandbox.json("lock", "acquire", CODE, env={"INTARSIA_URL": url})["holder"] == "carol"
        assert sandbox.json("message", "inbox", env={"INTARSIA_URL": url})["unread"] == 0
    finally:
        running.terminate()
        assert running.wait(60) == 0
    assert sandbox.call("gateway", "--host", "0.0.0.0").returncode == 2
