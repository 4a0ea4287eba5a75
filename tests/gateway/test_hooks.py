"""Hooks of Claude Code and Codex: what is not clearly allowed is denied, whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from intarsia.config import Config, Run, Workspace
from intarsia.gateway.limits import LIMIT
from intarsia.gateway.operation import Site
from intarsia.kernel import issues, leases, sessions
from intarsia.run import resolution
from intarsia.workspace import pool
from tests.gateway.conftest import SECRETS, Http, served
from tests.support.sandbox import Sandbox

SECRET = "5" * 64


class Working:
    """A session at work, that asks by its hooks."""

    def __init__(self, site: Site, http: Http) -> None:
        self.site, self.http = site, http
        with site.database.transaction() as tx:
            issues.create(tx, issues.Draft(title="Do it"), "tester")
            started = sessions.start(
                tx, run="r-1", agent="a", driver="command", supervisor="h:1:1", secret=SECRET, ttl=600
            )
            assert started is not None
            self.session = started[0]
            slot = pool.acquire(tx, self.session.id, "h", 600)
            if site.config.workspace.kind == "worktree":
                self.session = sessions.update(tx, self.session, workspace=slot)
        worktree = pool.worktree(site.repository, slot)
        for folder in (worktree.path, worktree.tmp, worktree.cache):
            folder.mkdir(parents=True, exist_ok=True)
        self.tmp = worktree.tmp
        self.root = worktree.path if site.config.workspace.kind == "worktree" else site.root

    def ask(self, program: str, tool: str, secret: str = SECRET, **given: Any) -> tuple[int, dict[str, Any]]:
        use = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": given, "cwd": str(self.root)}
        headers = {"Authorization": f"Bearer {secret}"}
        response = self.http.client.post(f"/v1/hooks/{program}/pre-tool-use", json=use, headers=headers)
        answer: dict[str, Any] = response.json()
        return response.status_code, answer

    def stop(self, program: str, secret: str = SECRET, **given: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {secret}"}
        response = self.http.client.post(f"/v1/hooks/{program}/stop", json=given, headers=headers)
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer

    def claude(self, tool: str, **given: Any) -> str:
        status, answer = self.ask("claude", tool, **given)
        assert status == 200 and answer["hookSpecificOutput"]["hookEventName"] == "PreToolUse"
        return str(answer["hookSpecificOutput"]["permissionDecision"])

    def codex(self, tool: str, command: str) -> str:
        status, answer = self.ask("codex", tool, command=command)
        assert status == 200
        return str(answer["hookSpecificOutput"]["permissionDecision"]) if answer else "allow"


@pytest.fixture
def working(site: Site) -> Iterator[Working]:
    with served(site) as http:
        yield Working(site, http)


@pytest.fixture
def sharing(site: Site) -> Iterator[Working]:
    shared = Site(site.repository, site.database, Config(workspace=Workspace(kind="shared")))
    with served(shared) as http:
        yield Working(shared, http)


def test_claude_is_answered_as_by_its_driver(working: Working) -> None:
    inside, outside = str(working.root / "a.py"), str(working.site.root / "README.md")
    assert working.claude("Write", file_path=inside, content="1\n") == "allow"
    assert working.claude("Write", file_path=outside, content="1\n") == "deny"
    assert working.claude("Edit", file_path="/etc/passwd", old_string="a", new_string="b") == "deny"
    assert working.claude("Bash", command="git status") == "allow"
    assert working.claude("Bash", command="git push --force") == "deny"
    assert working.claude("Bash", command="rm -rf /") == "deny"
    assert working.claude("Read", file_path=outside) == "allow"
    assert working.claude("mcp__intarsia__lock", action="list") == "allow"
    assert working.claude("mcp__other__tool") == "deny"
    assert working.claude("NewTool") == "deny"
    assert working.claude("Bash") == "deny"


def test_codex_is_answered_too(working: Working) -> None:
    def patch(*lines: str) -> str:
        return "\n".join(("*** Begin Patch", *lines, "*** End Patch"))

    assert working.codex("apply_patch", patch("*** Add File: a.py", "+1")) == "allow"
    assert (
        working.codex("apply_patch", patch("*** Update File: a.py", "*** Move to: ../b.py", "@@", "-1", "+2")) == "deny"
    )
    assert working.codex("apply_patch", patch("*** Add File: a.py", "+1", "*** Delete File: /etc/hosts")) == "deny"
    assert working.codex("apply_patch", "nothing that can be read") == "deny"
    assert working.codex("Bash", "ls") == "allow"
    assert working.codex("Bash", "git push -f") == "deny"
    assert working.codex("new_tool", "x") == "deny"
    assert working.codex("mcp__intarsia__status", "x") == "allow"


def test_what_an_edit_touches_is_leased(site: Site) -> None:
    refusing = Site(site.repository, site.database, Config(run=Run(on_overlap="refuse")))
    with served(refusing) as http:
        working = Working(refusing, http)
        one, other = str(working.root / "a.py"), str(working.root / "b.py")
        with site.database.transaction() as tx:
            leases.acquire(tx, "bob", "code:b.py", 600)
        assert working.claude("Write", file_path=one, content="1\n") == "allow"
        assert working.claude("Write", file_path=other, content="1\n") == "deny"
        with site.database.read() as tx:
            assert "code:a.py" in [lease.resource for lease in leases.of(tx, working.session.id)]


def test_in_a_shared_tree_files_are_changed_by_our_tools_only(sharing: Working) -> None:
    assert sharing.claude("Write", file_path=str(sharing.root / "a.py"), content="1\n") == "deny"
    assert sharing.claude("Write", file_path=str(sharing.tmp / "a.py"), content="1\n") == "allow"
    assert sharing.claude("Bash", command="git checkout -- .") == "deny"
    assert sharing.claude("Bash", command="echo 1 > a.py") == "deny"
    assert sharing.claude("Bash", command=f"echo 1 > {sharing.tmp}/a.py") == "allow"
    assert sharing.codex("Bash", "git log") == "allow"


def test_whatever_fails_is_a_no_that_hooks_understand(working: Working) -> None:
    """Both programs go on when a hook answers anything else than 200."""
    use = json.dumps({"tool_name": "Read", "tool_input": {}, "cwd": "/"}).encode()
    good = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    cases: list[tuple[str, str, bytes, dict[str, str]]] = [
        ("POST", "claude/pre-tool-use", use, {**good, "Authorization": "Bearer " + "a" * 63}),
        ("POST", "claude/pre-tool-use", b"{", good),
        ("POST", "claude/pre-tool-use", b"[]", good),
        ("POST", "claude/pre-tool-use", b'{"tool_name": 1}', good),
        ("POST", "claude/pre-tool-use", use.replace(b'"/"', b'"relative"'), good),
        ("POST", "claude/pre-tool-use", use, {**good, "Content-Type": "text/plain"}),
        ("POST", "claude/pre-tool-use", b" " * (LIMIT + 1), good),
        ("POST", "claude/pre-tool-use", use, {**good, "Origin": "http://evil.example"}),
        ("POST", "claude/pre-tool", use, good),
        ("GET", "codex/pre-tool-use", b"", good),
        ("POST", "claude/stop/now", use, good),
    ]
    for method, path, content, headers in cases:
        response = working.http.client.request(method, f"/v1/hooks/{path}", content=content, headers=headers)
        said = response.json()["hookSpecificOutput"]
        assert (response.status_code, said["permissionDecision"]) == (200, "deny"), (path, content[:40])
        assert said["permissionDecisionReason"]
    assert working.claude("Read", file_path="/etc/hosts") == "allow"
    with working.site.database.transaction() as tx:
        sessions.advance(tx, working.session, "checking")
    assert working.claude("Read", file_path="/etc/hosts") == "deny"
    with working.site.database.transaction() as tx:
        sessions.end(tx, working.session, "cancelled")
    assert working.claude("Read", file_path="/etc/hosts") == "deny"


def test_who_wants_to_stop_is_told_once_what_is_missing(working: Working) -> None:
    repository, session = working.site.repository, working.session
    worktree = pool.worktree(repository, session.workspace or "")
    head = repository.git.line("rev-parse", "HEAD")
    worktree.prepare(session.id, session.branch or "", head, repository.require_identity())
    (worktree.path / "a.py").write_text("1\n")
    for program in ("claude", "codex"):
        told = working.stop(program)
        assert (told["decision"], "not committed" in told["reason"]) == ("block", True)
        assert working.stop(program, stop_hook_active=True) == {}
    with working.site.database.transaction() as tx:
        resolution.declare(tx, working.session, resolution.make("no_change", "So."))
    assert working.stop("claude") == {}


def test_who_can_not_be_answered_may_stop(working: Working) -> None:
    assert working.stop("claude", "f" * 64) == {}
    working.site.database.close()
    assert working.stop("codex") == {}


CODE = "def held():\n    return 1\n\n\ndef free():\n    return 1\n"


@pytest.fixture
def guest(working: Working) -> Working:
    """Alice's own program, in the project's tree; bob holds a symbol."""
    working.root = working.site.root
    (working.root / "a.py").write_text(CODE)
    working.http.ok("leases/acquire", "bob", resources=["code:a.py#held"])
    return working


def decided(guest: Working, tool: str, mode: str = "acceptEdits", **given: Any) -> str:
    use = {"tool_name": tool, "tool_input": given, "cwd": str(guest.root), "permission_mode": mode}
    headers = {"Authorization": f"Bearer {SECRETS['alice']}"}
    answer = guest.http.client.post("/v1/hooks/claude/pre-tool-use", json=use, headers=headers).json()
    return str(answer["hookSpecificOutput"]["permissionDecision"]) if answer else "left to its person"


def edit(guest: Working, name: str, mode: str = "acceptEdits") -> str:
    old = f"def {name}():\n    return 1"
    return decided(
        guest, "Edit", mode, file_path=str(guest.root / "a.py"), old_string=old, new_string=old.replace("1", "2")
    )


def holders(guest: Working) -> dict[str, str]:
    return {one["resource"]: one["session"] for one in guest.http.ok("leases/list", "bob")["leases"]}


def test_a_persons_own_program_is_kept_from_what_others_hold(guest: Working) -> None:
    assert edit(guest, "held") == "deny"
    assert edit(guest, "free") == "left to its person"
    assert decided(guest, "Write", file_path=str(guest.root / "a.py"), content="x = 1\n") == "deny"
    assert decided(guest, "Write", file_path="/elsewhere/a.py", content="") == "left to its person"
    assert decided(guest, "Bash", command="git push --force") == "left to its person"
    assert decided(guest, "NewTool") == "left to its person"


def test_what_it_edits_is_held_until_its_turn_is_over(guest: Working) -> None:
    guest.http.ok("leases/acquire", "alice", resources=["code:b.py"], note="by hand")
    edit(guest, "free")
    assert holders(guest)["code:a.py#free/body"] == "alice"
    assert guest.http.post("leases/acquire", "bob", resources=["code:a.py#free"])[1]["code"] == "held"
    decided(guest, "Write", file_path=str(guest.root / "b.py"), content="x = 1\n")
    assert guest.stop("claude", SECRETS["alice"]) == {}
    assert {name for name, who in holders(guest).items() if who == "alice"} == {"code:b.py"}


def test_where_only_hooks_allow_they_do(guest: Working) -> None:
    mode = "dontAsk"
    assert (edit(guest, "held", mode), edit(guest, "free", mode)) == ("deny", "allow")
    assert decided(guest, "Bash", mode, command="git status") == "allow"
    assert decided(guest, "Bash", mode, command="git push --force") == "deny"
    assert decided(guest, "Write", mode, file_path="/elsewhere/a.py", content="") == "deny"
    assert decided(guest, "mcp__intarsia__lock", mode) == "allow"
    assert decided(guest, "NewTool", mode) == "deny"


def test_a_defect_is_a_no_too(working: Working) -> None:
    working.site.database.close()
    assert working.claude("Read", file_path="/etc/hosts") == "deny"


def test_as_a_command(sandbox: Sandbox) -> None:
    """In the environment of a session, with the gateway and without."""
    program = sandbox.root.parent / "agent.sh"
    use = {"tool_name": "Write", "tool_input": {"file_path": "a.py", "content": "1"}}
    foreign = {"tool_name": "Write", "tool_input": {"file_path": "/etc/x", "content": "1"}}
    lines = []
    for n, (given, unset) in enumerate(
        [(use, ""), (use, "-u INTARSIA_URL"), (foreign, ""), (foreign, "-u INTARSIA_URL")]
    ):
        lines.append(f"echo '{json.dumps(given)}' | env {unset} intarsia hook claude > answer-{n}; echo $? >> codes")
    lines.append("echo nonsense | intarsia hook claude > none; echo $? >> codes")
    lines.append(f"echo '{json.dumps(use)}' | env INTARSIA_SECRET=wrong intarsia hook claude > none; echo $? >> codes")
    lines.append(f"echo '{json.dumps(use)}' | env -u INTARSIA_SESSION intarsia hook codex > none; echo $? >> codes")
    program.write_text("\n".join([*lines, "git add --all && git commit -qm Done"]))
    sandbox.issue("it-1")
    sandbox.ok("run", "--agent", f"command: sh {program}")
    assert sandbox.show("codes").split() == ["0"] * 4 + ["2"] * 3
    said = [json.loads(sandbox.show(f"answer-{n}"))["hookSpecificOutput"]["permissionDecision"] for n in range(4)]
    assert said == ["allow", "allow", "deny", "deny"]
    assert sandbox.show("none") == ""
