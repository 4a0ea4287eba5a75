"""What commits change, as what has to be held for it."""

from __future__ import annotations

import pytest

from intarsia.kernel.resources import parse
from intarsia.workspace.appending import MOST_SYMBOLS, needs_between
from intarsia.workspace.changed import changed
from intarsia.workspace.repository import Repository
from tests.support.sandbox import Sandbox

CODE = "def a():\n    return 1\n\n\ndef b():\n    return 1\n"


def needs(sandbox: Sandbox, base: str, head: str, tip: str = "") -> dict[str, str]:
    found = changed(Repository.discover(sandbox.root), base, head, tip or base)
    return {uri: mode for one in found for uri, mode in needs_between(one.path, one.before, one.after).items()}


def test_symbols_are_named_in_files_that_are_code(sandbox: Sandbox) -> None:
    base = sandbox.commit("a.py", CODE, "Code")
    sandbox.write("a.py", CODE.replace("1", "2", 1) + "\n\ndef c():\n    pass\n")
    head = sandbox.commit("notes.txt", "x\n", "Notes, and later code")
    assert needs(sandbox, base, head) == {"code:notes.txt": "exclusive"}
    head = sandbox.commit("a.py", (sandbox.root / "a.py").read_text(), "Code")
    assert needs(sandbox, base, head) == {
        "code:a.py": "insert",
        "code:a.py#a/body": "exclusive",
        "code:a.py#c": "exclusive",
        "code:notes.txt": "exclusive",
    }


@pytest.mark.parametrize(
    "how", ["chmod +x", "rm", "ln -sf README.md", "git mv -f README.md", "printf '\\0\\377' >", "git rm -q"]
)
def test_all_of_a_file_is_changed_by_what_is_no_change_of_its_text(sandbox: Sandbox, how: str) -> None:
    base = sandbox.commit("a.py", CODE, "Code")
    sandbox.git("-c", f"alias.do=!{how} a.py", "do")
    sandbox.git("add", "--all")
    sandbox.git("commit", "--quiet", "-m", "Change")
    assert needs(sandbox, base, sandbox.git("rev-parse", "HEAD"))["code:a.py"] == "exclusive"


@pytest.mark.parametrize("how", ["merge --no-ff --no-edit", "merge --ff-only", "rebase", ""])
def test_what_was_taken_over_from_the_branch_is_not_counted(sandbox: Sandbox, how: str) -> None:
    base = sandbox.commit("a.py", CODE, "Code")
    sandbox.git("branch", "side")
    tip = sandbox.commit("a.py", CODE.replace("1", "2"), "Theirs")
    sandbox.git("switch", "--quiet", "side")
    if how != "merge --ff-only":
        sandbox.commit("b.py", "b = 1\n", "Mine")
    if how:
        sandbox.git(*how.split(), "--quiet", "main")
    if how == "merge --ff-only":
        sandbox.commit("b.py", "b = 1\n", "Mine")
    assert needs(sandbox, base, sandbox.git("rev-parse", "side"), tip) == {"code:b.py": "exclusive"}


def test_any_name_of_a_file_can_be_held(sandbox: Sandbox) -> None:
    base = sandbox.git("rev-parse", "HEAD")
    names = ["a b.txt", "a#b.txt", "a\nb.txt", "\udcff.txt", "ä.txt", "%23.txt", "-.txt", ":.txt", "\\.txt"]
    for name in names:
        sandbox.root.joinpath(name).touch()
    sandbox.git("add", "--all")
    sandbox.git("commit", "--quiet", "-m", "Names")
    found = needs(sandbox, base, sandbox.git("rev-parse", "HEAD"))
    assert len({parse(uri).key for uri in found}) == len(names)


def test_of_what_does_not_matter_nothing_is_read(sandbox: Sandbox) -> None:
    base = sandbox.commit("a.py", CODE, "Code")
    head = sandbox.commit("b.py", CODE, "More")
    repository = Repository.discover(sandbox.root)
    assert list(changed(repository, base, head, base, lambda path: path == "a.py")) == []


def test_many_changes_are_symbols_still_until_they_are_too_many() -> None:
    """Made in many steps, each of which held its symbol, they are no reformatting."""

    def both(count: int) -> dict[str, str]:
        before = "".join(f"def f{n}():\n    return 1\n\n\n" for n in range(count)).encode()
        return {**needs_between("a.py", before, before.replace(b"1\n", b"2\n"))}

    assert both(10) == {f"code:a.py#f{n}/body": "exclusive" for n in range(10)}
    assert both(MOST_SYMBOLS + 1) == {"code:a.py": "exclusive"}
