"""`intarsia call`: agents that call agents, in a run."""

from __future__ import annotations

import json

from tests.support.here import Here
from tests.support.sandbox import Sandbox, Step


def test_an_agent_calls_another_and_gets_what_it_gives_back(sandbox: Sandbox) -> None:
    call = "intarsia call start 'Count them' --body 'All of them.' --json > call.json"
    wait = 'id=$(sed \'s/.*"call": "\\([^"]*\\)".*/\\1/\' call.json); intarsia call wait $id --timeout 100 > result.txt'
    caller: list[list[Step]] = [[{"shell": f"{call}; {wait}"}, {"commit": "Count"}]]
    callee: list[list[Step]] = [
        [{"shell": "intarsia call return '42, in src/'"}, {"shell": "intarsia resolve no_change Counted"}]
    ]
    sandbox.issue("it-1")
    done = sandbox.call("run", "--agents", "2", "--agent", sandbox.scenario({"it-1": caller, "*": callee}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sandbox.show("result.txt") == "42, in src/"
    id = json.loads(sandbox.show("call.json"))["call"]
    (below,), (above,) = sandbox.sessions(id), sandbox.sessions("it-1")
    assert (below["parent"], below["depth"]) == (above["id"], 1)
    shown = sandbox.json("issue", "show", id)
    assert "All of them." in shown["issue"]["body"] and above["id"] in shown["issue"]["body"]


def test_sessions_call_only_so_deep(sandbox: Sandbox) -> None:
    """Two that call each other for ever come to an end."""
    caller: list[list[Step]] = [
        [
            {"shell": "intarsia call start Again >> $INTARSIA_ROOT/../calls 2>&1 || true"},
            {"shell": "intarsia resolve no_change So"},
        ]
    ]
    sandbox.issue("it-1")
    sandbox.ok("run", "--agent", sandbox.scenario({"*": caller}), env={"INTARSIA_LIMITS_DEPTH": "2"})
    assert sorted(session["depth"] for session in sandbox.sessions()) == [0, 1, 2]
    assert "limits.depth is 2" in (sandbox.root.parent / "calls").read_text()


def test_by_members(here: Here) -> None:
    here.sandbox.commit("intarsia.toml", "[queues.reading]\nhandler = 'reader'\nprefix = 'R'\n", "Configure")
    here.ok("agent", "join", "alice")
    id = here.json("call", "start", "Look", "--to", "reader", me="alice")["call"]
    assert id.startswith("R-") and here.json("issue", "show", id)["issue"]["queue"] == "reading"
    waiting = here.call("call", "wait", id, "--timeout", "0", "--json", me="alice")
    assert (waiting.code, waiting.json["status"], id in waiting.json["meanwhile"]) == (1, "waiting", True)
    here.ok("agent", "join", "bob")
    here.ok("issue", "claim", id, me="bob")
    here.ok("issue", "complete", id, "It is fine.", me="bob")
    assert here.ok("call", "wait", id, me="alice") == "It is fine.\n"
    assert here.refused("call", "wait", id, me="bob") == (4, "not_found")
    assert here.refused("call", "start", "Look", "--to", "nobody", me="alice") == (4, "bad_input")
    assert here.refused("call", "return", "x", me="alice") == (2, "not_ready")
