"""Which gateways run, for people who look: `intarsia doctor`."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

from intarsia.gateway import register
from intarsia.gateway.operation import Site
from intarsia.gateway.server import Server
from tests.gateway.conftest import SECRETS
from tests.support.sandbox import Sandbox


def findings(sandbox: Sandbox, what: str, **env: str) -> list[dict[str, Any]]:
    return [one for one in sandbox.json("doctor", env=env)["findings"] if one["what"] == what]


def test_one_that_runs_is_found_with_its_address(sandbox: Sandbox) -> None:
    (none,) = findings(sandbox, "gateway")
    assert none["ok"] and "none runs; intarsia run starts one at 127.0.0.1, on a free port" in none["detail"]
    running = sandbox.start("gateway", "--json")
    assert running.stdout is not None
    url = running.stdout.readline().split('"')[-2]
    (found,) = findings(sandbox, "gateway")
    assert found["ok"] and f"{url}, process {running.pid}, since 2" in found["detail"] and "answers" in found["detail"]
    running.send_signal(signal.SIGSTOP)  # still there, and says nothing
    (silent,) = findings(sandbox, "gateway")
    assert (silent["ok"], "does not answer" in silent["detail"]) == (False, True)
    running.kill()
    running.communicate()
    (gone,) = findings(sandbox, "gateway")
    assert gone["ok"] and "none runs" in gone["detail"]


def test_a_port_that_another_has_is_said(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        (found,) = findings(sandbox, "gateway", INTARSIA_GATEWAY_PORT=port)
        assert (found["ok"], f"port {port}" in found["detail"]) == (False, True)
        (off,) = findings(sandbox, "gateway", INTARSIA_GATEWAY_PORT=port, INTARSIA_GATEWAY_START="off")
        assert off["ok"] and off["detail"].startswith("off")


def test_the_one_that_the_environment_names_is_tried(sandbox: Sandbox, site: Site) -> None:
    env = {"INTARSIA_AGENT": "alice", "INTARSIA_SECRET": SECRETS["alice"]}
    with Server(site) as server:
        (good,) = findings(sandbox, "INTARSIA_URL", INTARSIA_URL=server.url, **env)
        assert good["ok"] and "knows alice" in good["detail"]
        (other,) = findings(sandbox, "INTARSIA_URL", INTARSIA_URL=server.url, **{**env, "INTARSIA_SECRET": "f" * 64})
        assert not other["ok"] and "can't prove" in other["detail"]
    (gone,) = findings(sandbox, "INTARSIA_URL", INTARSIA_URL=server.url, **env)
    assert not gone["ok"] and "Nothing listens" in gone["detail"]


def test_what_was_killed_or_is_unreadable_is_no_gateway(site: Site) -> None:
    state = site.repository.make_state()
    with Server(site) as server:
        (entry,) = register.running(state)
        assert (entry.url, entry.pid) == (server.url, str(os.getpid()))
        for name, content in (("1-1.json", b'{"url":"x","process":"h:1:1","since":1}'), ("2-2.json", b"{")):
            (state / register.FOLDER / name).write_bytes(content)
        assert len(register.running(state)) == 1
        with Server(site):
            assert len(register.running(state)) == 2
    assert register.running(state) == []


def test_doctor_says_how_old_the_prices_are(sandbox: Sandbox) -> None:
    (found,) = findings(sandbox, "prices")
    assert found["ok"] and "collected on 20" in found["detail"]
