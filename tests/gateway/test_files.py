"""Files over real HTTP: two sessions in one tree, and a session in a tree of its own; by requests and by MCP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from intarsia.config import Config, Workspace
from intarsia.gateway import files
from intarsia.gateway.operation import A, G, Operation, Site
from intarsia.gateway.remote import Refused, ask
from intarsia.gateway.server import Server
from intarsia.kernel import issues, sessions
from intarsia.kernel.sessions import Session
from intarsia.workspace import pool
from tests.support.sandbox import Sandbox

CODE = "def a():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 1\n"


class Worker:
    """A session that asks the gateway."""

    def __init__(self, server: Server, site: Site, number: int) -> None:
        self.url, self.secret = server.url, str(number) * 64
        self.session = self._start(site)

    def _start(self, site: Site) -> Session:
        with site.database.transaction() as tx:
            issues.create(tx, issues.Draft(title="Do it"), "tester")
            started = sessions.start(
                tx, run="r-1", agent="a", driver="script", supervisor="h:1:1", secret=self.secret, ttl=600
            )
            assert started is not None
            slot = pool.acquire(tx, started[0].id, "h", 600)
            own = site.config.workspace.kind == "worktree"
            return sessions.update(tx, started[0], workspace=slot) if own else started[0]

    def do(self, operation: Operation[G, A], given: G) -> A:
        return ask(self.url, (self.session.id, self.secret), operation, given)

    def refused(self, operation: Operation[G, A], given: G) -> str:
        with pytest.raises(Refused) as refused:
            self.do(operation, given)
        return refused.value.code

    def tool(self, **given: Any) -> dict[str, Any]:
        """The answer of the MCP tool `edit`."""

        async def use() -> str:
            async with (
                create_mcp_http_client(headers={"Authorization": f"Bearer {self.secret}"}) as http,
                Client(streamable_http_client(f"{self.url}/mcp", http_client=http)) as client,
            ):
                done = await client.call_tool("edit", given)
                text: str = done.content[0].text  # type: ignore[union-attr]
                assert done.is_error is not text.startswith("{")
                return text if text.startswith("{") else json.dumps({"ok": False, "said": text})

        answer: dict[str, Any] = json.loads(anyio.run(use))
        return answer


@pytest.fixture
def shared(site: Site, sandbox: Sandbox) -> Iterator[tuple[Worker, Worker]]:
    sandbox.commit("src/a.py", CODE, "Code")
    tree = Site(site.repository, site.database, Config(workspace=Workspace(kind="shared", wait=0)))
    with Server(tree) as server:
        yield Worker(server, tree, 1), Worker(server, tree, 2)


def test_two_edit_one_file_and_each_commits_its_own(shared: tuple[Worker, Worker], sandbox: Sandbox) -> None:
    one, two = shared
    assert one.do(files.read, files.Read(path="src/a.py")).text == CODE
    changed = one.do(
        files.edit, files.Edit(path="src/a.py", old="def a():\n    return 1", new="def a():\n    return 2")
    )
    assert [(change.kind, change.key) for change in changed.changes] == [("body", "a")]
    again = files.Edit(path="src/a.py", old="def a():\n    return 2", new="def a():\n    return 3")
    assert two.refused(files.edit, again) == "held"
    two.do(files.insert, files.Insert(path="a.py", where="into", symbol="C", here=str(sandbox.root / "src"),
                                      text="    def n(self):\n        pass\n"))  # fmt: skip
    two.do(files.import_, files.Import(path="src/a.py", statement="import os"))
    two.do(files.write, files.Write(path="src/b.bin", text="/w0K", encoding="base64"))
    first = one.do(files.commit, files.Commit(message="Change a")).commit
    second = two.do(files.commit, files.Commit(message="Add n")).commit
    assert sandbox.show("src/a.py", first) + "\n" == CODE.replace("return 1", "return 2", 1)
    added = sandbox.show("src/a.py", second)
    assert "import os" in added and "def n" in added and "return 2" not in added
    assert (sandbox.root / "src/b.bin").read_bytes() == b"\xff\r\n"
    assert two.refused(files.read, files.Read(path="src/b.bin")) == "bad_input"
    assert two.do(files.read, files.Read(path="src/b.bin", encoding="base64")).text == "/w0K"
    assert two.refused(files.write, files.Write(path="x", text="?", encoding="base64")) == "bad_input"
    for path in ("../x", "/etc/x", ".git/config", ".intarsia/x"):
        assert two.refused(files.write, files.Write(path=path, text="x")) == "bad_input"


def test_by_the_tool_of_mcp(shared: tuple[Worker, Worker], sandbox: Sandbox) -> None:
    one, two = shared
    assert one.tool(action="read", path="src/a.py")["text"] == CODE
    done = one.tool(action="edit", path="src/a.py", old="def a():\n    return 1", new="def a():\n    return 2")
    assert done["changes"] == [{"kind": "body", "key": "a"}]
    held = two.tool(action="edit", path="src/a.py", old="def a():\n    return 2", new="def a():\n    return 3")
    assert held["ok"] is False and one.session.id in held["said"]
    written = two.tool(action="write", path="src/new.py", text="x = 1\n", old=None)
    assert (written["ok"], written["path"]) == (True, "src/new.py")
    commit = one.tool(action="commit", message="Change a")["commit"]
    assert "return 2" in sandbox.show("src/a.py", commit) and "src/new.py" not in sandbox.files(commit)


def test_in_a_tree_of_its_own_the_projects_hooks_get_nothing_of_ours(
    site: Site, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.commit("src/a.py", CODE, "Code")
    hook = sandbox.write(".git/hooks/pre-commit", "#!/bin/sh\nenv > ../env\n! grep -q bad src/a.py\n")
    hook.chmod(0o755)
    monkeypatch.setenv("OF_THE_SUPERVISOR", "a key")
    with Server(site) as server:
        worker = Worker(server, site, 1)
        session = worker.session
        tree = pool.worktree(site.repository, session.workspace or "")
        head = sandbox.git("rev-parse", "HEAD")
        tree.prepare(session.id, session.branch or "", head, site.repository.require_identity())
        worker.do(
            files.edit, files.Edit(path="src/a.py", old="def a():\n    return 1", new="def a():\n    return 'bad'")
        )
        assert worker.refused(files.commit, files.Commit(message="Change a")) == "git"
        worker.do(files.edit, files.Edit(path="src/a.py", old="'bad'", new="2"))
        made = worker.do(files.commit, files.Commit(message="Change a")).commit
    assert tree.git.line("rev-parse", "HEAD") == made
    environment = (tree.path.parent / "env").read_text()
    assert "a key" not in environment and f"INTARSIA_SESSION={session.id}" in environment
    assert (sandbox.root / "src/a.py").read_text() == CODE
