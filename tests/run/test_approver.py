"""What an agent is allowed by default: to change its workspace, wherever links lead, but what others hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from intarsia.agents import Answer, Ask, Edit
from intarsia.kernel import Database, leases, line
from intarsia.kernel.overlap import Arbiter, Policy
from intarsia.run.approver import WorkspaceApprover
from intarsia.workspace.repository import Repository
from intarsia.workspace.worktree import Worktree
from tests.support.sandbox import Sandbox
from tests.support.until import until

Allows = Callable[..., bool]
CODE = "class C:\n    def m(self):\n        return 1\n\n\ndef f():\n    return 1\n"


@pytest.fixture
def worktree(sandbox: Sandbox) -> Worktree:
    worktree = Worktree(Repository.discover(sandbox.root), 1)
    for place in (worktree.path, worktree.tmp):
        place.mkdir(parents=True)
    return worktree


def answer(worktree: Worktree, database: Database, ask: Ask, policy: Policy = "refuse", *, wait: float = 0) -> Answer:
    arbiter = Arbiter(database, "s-1", policy, wait=wait)
    return WorkspaceApprover(worktree, arbiter).answer(ask, lambda: False)


@pytest.fixture
def allows(worktree: Worktree, database: Database) -> Allows:
    def allows(*paths: Path) -> bool:
        return answer(worktree, database, Ask("edit", edits=tuple(Edit(path, "text") for path in paths))).allow

    return allows


def test_files_of_the_workspace_may_be_changed(worktree: Worktree, allows: Allows) -> None:
    assert allows(worktree.path / "a.txt")
    assert allows(worktree.path / "new" / "deep" / "a.txt", worktree.path / ".github" / "x.yml")
    assert allows(worktree.tmp / "note.txt")


def test_nothing_else_may(worktree: Worktree, allows: Allows, sandbox: Sandbox) -> None:
    (worktree.path / "link").symlink_to(sandbox.root)
    (worktree.path / "file").symlink_to(sandbox.root / "README.md")
    for path in (
        sandbox.root / "README.md",
        Path("/etc/passwd"),
        Path("relative.txt"),
        worktree.path,
        worktree.path / ".." / "git" / "config",
        worktree.path / ".git",
        worktree.path / ".git" / "config",
        worktree.path / "link" / "README.md",
        worktree.path / "file",
    ):
        assert not allows(path), path
        assert not allows(worktree.path / "a.txt", path), path
    assert not allows()


def test_what_is_no_edit_is_left_to_others(worktree: Worktree, database: Database) -> None:
    for ask in (Ask("read", edits=(Edit(Path("/etc/hosts"), None),)), Ask("shell", command="ls")):
        assert answer(worktree, database, ask).allow


def edit(worktree: Worktree, old: str, new: str) -> Ask:
    path = worktree.path / "a.py"
    path.write_text(CODE, encoding="utf-8")
    return Ask("edit", edits=(Edit(path, CODE.replace(old, new)),))


def change(worktree: Worktree) -> Ask:
    """The body of f."""
    return edit(worktree, "def f():\n    return 1", "def f():\n    return 2")


def hold(database: Database, resource: str) -> None:
    with database.transaction() as tx:
        leases.acquire(tx, "s-2", resource, 600)


def held(database: Database) -> dict[str, str]:
    with database.read() as tx:
        return {lease.resource: lease.mode for lease in leases.of(tx, "s-1")}


@pytest.mark.parametrize(
    ("old", "new", "resources"),
    [
        ("def f():\n    return 1", "def f():\n    return 2", {"code:a.py#f/body": "exclusive"}),
        ("def f()", "def f(x)", {"code:a.py#f": "exclusive"}),
        ("def f()", "import os\n\n\ndef f()", {"code:a.py": "imports"}),
        ("        return 1\n", "        return 1\n\n    def n(self):\n        pass\n",
         {"code:a.py#C": "insert", "code:a.py#C.n": "exclusive"}),
        (CODE, CODE, {}),
    ],
)  # fmt: skip
def test_what_an_edit_touches_is_leased(
    worktree: Worktree, database: Database, old: str, new: str, resources: dict[str, str]
) -> None:
    assert answer(worktree, database, edit(worktree, old, new)) == Answer(True)
    assert held(database) == resources


def test_an_edit_that_can_not_be_told_touches_the_file(worktree: Worktree, database: Database) -> None:
    hold(database, "code:a.py#f")
    path = edit(worktree, "", "").edits[0].path
    for unclear in (Edit(path, None), Edit(path, None, deletes=True)):
        assert not answer(worktree, database, Ask("edit", edits=(unclear,))).allow
    new = Edit(worktree.path / "new.py", None)
    assert answer(worktree, database, Ask("edit", edits=(new,))).allow
    assert held(database) == {"code:new.py": "exclusive"}


def test_all_edits_of_an_ask_are_leased_or_none(worktree: Worktree, database: Database) -> None:
    hold(database, "code:b.py")
    first = change(worktree).edits[0]
    both = Ask("edit", edits=(first, Edit(worktree.path / "b.py", "x = 1\n")))
    assert not answer(worktree, database, both).allow
    assert held(database) == {}


def test_what_lies_beside_the_workspace_needs_no_lease(worktree: Worktree, database: Database) -> None:
    assert answer(worktree, database, Ask("edit", edits=(Edit(worktree.tmp / "a.py", "x"),))).allow
    assert held(database) == {}


def test_what_another_holds_is_refused_with_its_name(worktree: Worktree, database: Database) -> None:
    hold(database, "code:a.py#f")
    refused = answer(worktree, database, change(worktree))
    assert not refused.allow
    for part in ("s-2 holds code:a.py#f (exclusive) since", "Do another part of your task meanwhile"):
        assert part in refused.reason
    assert answer(worktree, database, edit(worktree, "        return 1", "        return 2")).allow


def test_it_is_waited_for_inside_the_ask(worktree: Worktree, database: Database) -> None:
    hold(database, "code:a.py#f")
    found: list[Answer] = []
    ask = change(worktree)
    asking = threading.Thread(target=lambda: found.append(answer(worktree, database, ask, "wait", wait=60)))
    asking.start()

    def waits() -> bool:
        with database.read() as tx:
            return bool(line.standing(tx))

    until(waits)
    line.release(database, "s-2", ["code:a.py#f"])
    asking.join(30)
    assert found == [Answer(True)]
    assert held(database) == {"code:a.py#f/body": "exclusive"}


def test_to_advise_is_to_say_it_once(worktree: Worktree, database: Database) -> None:
    hold(database, "code:a.py#f")
    first, second = (answer(worktree, database, change(worktree), "advise") for _ in range(2))
    assert first.allow and "s-2 holds code:a.py#f (exclusive) since" in first.reason
    assert second == Answer(True)
