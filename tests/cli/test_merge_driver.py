"""`intarsia merge-driver` with git itself, and `intarsia code merge`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.sandbox import Sandbox

BASE = "import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n"
OURS = BASE.replace("import os\n", "import os\nimport re\n") + "\n\ndef c():\n    return 3\n"
THEIRS = BASE.replace("import os\n", "import os\nimport sys\n") + "\n\ndef d():\n    return 4\n"
BOTH = (
    BASE.replace("import os\n", "import os\nimport re\nimport sys\n")
    + "\n\ndef c():\n    return 3\n\n\ndef d():\n    return 4\n"
)


@pytest.fixture
def forked(sandbox: Sandbox) -> Sandbox:
    """On main, with a branch topic; lines alone can't merge them."""
    sandbox.commit("a.py", BASE, "Base")
    sandbox.git("branch", "topic")
    sandbox.commit("a.py", OURS, "Ours")
    sandbox.git("checkout", "--quiet", "topic")
    sandbox.commit("a.py", THEIRS, "Theirs")
    sandbox.git("checkout", "--quiet", "main")
    return sandbox


def git(sandbox: Sandbox, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *args], cwd=sandbox.root, capture_output=True, text=True, check=False)


def text(sandbox: Sandbox, name: str = "a.py") -> str:
    return (sandbox.root / name).read_bytes().decode()


def test_without_it_git_gives_up(forked: Sandbox) -> None:
    assert git(forked, "merge", "topic").returncode == 1


def test_git_merges_by_symbol(forked: Sandbox) -> None:
    forked.ok("merge-driver", "install")
    assert git(forked, "merge", "--no-edit", "topic").returncode == 0
    assert text(forked) == BOTH


def test_git_rebases_and_picks_by_symbol(forked: Sandbox) -> None:
    forked.ok("merge-driver", "install")
    forked.git("branch", "copy")
    assert git(forked, "cherry-pick", "topic").returncode == 0
    assert text(forked) == BOTH
    forked.git("checkout", "--quiet", "topic")
    assert git(forked, "rebase", "copy").returncode == 0
    assert text(forked) == BOTH


def test_from_a_subdirectory_and_a_worktree_whose_paths_are_odd(forked: Sandbox) -> None:
    forked.ok("merge-driver", "install")
    name = "it's a dir/$(x) b;c.py"
    forked.commit(name, BASE, "Odd")
    forked.git("branch", "other")
    forked.commit(name, OURS, "Ours")
    tree = forked.root.parent / "linked tree"
    forked.git("worktree", "add", "--quiet", str(tree), "other")
    (tree / name).write_text(THEIRS)
    forked.git("commit", "--quiet", "--all", "--message=Theirs", cwd=tree)
    forked.git("merge", "--no-edit", "main", cwd=tree / "it's a dir")
    merged = (tree / name).read_text()
    assert sorted(merged.splitlines()) == sorted(BOTH.splitlines())


def test_markers_stand_around_the_symbols_in_conflict_alone(forked: Sandbox) -> None:
    forked.commit("a.py", OURS.replace("return 1", "return 11"), "Ours")
    forked.git("checkout", "--quiet", "topic")
    forked.commit("a.py", THEIRS.replace("return 1", "return 12"), "Theirs")
    forked.git("checkout", "--quiet", "main")
    forked.ok("merge-driver", "install")
    done = git(forked, "merge", "topic")
    assert done.returncode == 1
    assert "a.py: a: both sides changed it" in done.stderr
    clash = "<<<<<<< ours\n    return 11\n=======\n    return 12\n>>>>>>> theirs\n"
    assert text(forked) == BOTH.replace("    return 1\n", clash)
    assert git(forked, "status", "--short").stdout.startswith("UU a.py")
    forked.git("merge", "--abort")
    forked.git("config", "merge.conflictStyle", "diff3")
    assert git(forked, "merge", "topic").returncode == 1
    assert "||||||| base\n    return 1\n=======\n" in text(forked)


def test_other_files_are_merged_as_git_does_it(forked: Sandbox, tmp_path: Path) -> None:
    """Also those that an attribute of the user's own gives to the driver."""
    forked.ok("merge-driver", "install")
    attributes = forked.root / ".git/info/attributes"
    attributes.write_text("*.txt merge=intarsia\n*.bin merge=intarsia\n" + attributes.read_text())
    forked.git("merge", "--quiet", "--no-edit", "topic")
    for name, versions in {"n.txt": ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n"), "c.txt": ("a\n", "b\n", "c\n")}.items():
        (forked.root / name).write_text(versions[0])
        forked.git("add", name)
        forked.git("commit", "--quiet", "--message=Base")
        forked.git("branch", "--force", "side")
        forked.commit(name, versions[1], "Ours")
        forked.git("checkout", "--quiet", "side")
        forked.commit(name, versions[2], "Theirs")
        forked.git("checkout", "--quiet", "main")
        done = git(forked, "merge", "--no-edit", "side")
        assert done.returncode == (name == "c.txt")
        expected = "A\nb\nC\n" if name == "n.txt" else "<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n"
        assert text(forked, name) == expected
        git(forked, "merge", "--abort")


def test_renamed_and_deleted_files(forked: Sandbox) -> None:
    forked.ok("merge-driver", "install")
    forked.git("mv", "a.py", "b.py")
    forked.git("commit", "--quiet", "--message=Rename")
    assert git(forked, "merge", "--no-edit", "topic").returncode == 0
    assert text(forked, "b.py") == BOTH
    assert not (forked.root / "a.py").exists()


def test_line_ends_of_a_checkout(forked: Sandbox) -> None:
    forked.ok("merge-driver", "install")
    forked.git("config", "core.autocrlf", "true")
    forked.git("rm", "--quiet", "--cached", "a.py")
    forked.git("reset", "--quiet", "--hard")
    assert git(forked, "merge", "--no-edit", "topic").returncode == 0
    assert forked.git("show", "HEAD:a.py") == BOTH.strip()
    assert text(forked) == BOTH.replace("\n", "\r\n")


def test_installing_twice_and_taking_it_back_leaves_what_was_there(forked: Sandbox) -> None:
    attributes, config = forked.root / ".git/info/attributes", forked.root / ".git/config"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_bytes(b"*.md text\xff")
    before = config.read_text()
    assert forked.call("merge-driver", "status").returncode == 1
    for _ in range(2):
        forked.ok("merge-driver", "install")
    assert attributes.read_bytes().startswith(b"*.md text\xff\n# intarsia")
    assert attributes.read_bytes().count(b"*.py merge=intarsia\n") == 1
    assert forked.json("merge-driver", "status")["installed"] == ["here"]
    assert forked.json("merge-driver", "uninstall")["was_installed"]
    assert (attributes.read_bytes(), config.read_text()) == (b"*.md text\xff\n", before)
    assert not forked.json("merge-driver", "uninstall")["was_installed"]


def test_for_all_repositories_of_a_user(forked: Sandbox, tmp_path: Path) -> None:
    forked.ok("merge-driver", "install", "--global")
    assert ".config/git/attributes" in forked.json("merge-driver", "install", "--global")["attributes"]
    assert not (forked.root / ".git/info/attributes").exists()
    assert git(forked, "merge", "--no-edit", "topic").returncode == 0
    assert forked.json("merge-driver", "status")["installed"] == ["for this user"]
    forked.ok("merge-driver", "uninstall", "--global")
    assert forked.call("merge-driver", "status").returncode == 1


def test_status_notices_that_the_command_is_gone(forked: Sandbox) -> None:
    forked.ok("merge-driver", "install")
    forked.git("config", "merge.intarsia.driver", "/gone/python -m intarsia merge-driver run %O %A %B %L %P")
    done = forked.call("merge-driver", "status")
    assert done.returncode == 1
    assert "/gone/python is gone" in done.stdout
    # Then git merges nothing by itself: it says so, and leaves a conflict.
    assert git(forked, "merge", "topic").returncode != 0


@pytest.fixture
def three(tmp_path: Path) -> list[str]:
    names = []
    for name, content in (("base.py", BASE), ("ours.py", OURS), ("theirs.py", THEIRS)):
        (tmp_path / name).write_text(content)
        names.append(str(tmp_path / name))
    return names


def test_three_files(sandbox: Sandbox, three: list[str], tmp_path: Path) -> None:
    assert sandbox.ok("code", "merge", *three) == BOTH
    answer = sandbox.json("code", "merge", *three)
    assert (answer["ok"], answer["merged"], answer["how"]) == (True, BOTH, "symbols")
    sandbox.ok("code", "merge", *three, "--output", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == BOTH


def test_three_files_in_conflict(sandbox: Sandbox, three: list[str], tmp_path: Path) -> None:
    Path(three[1]).write_text(OURS.replace("return 1", "return 11"))
    Path(three[2]).write_text(THEIRS.replace("return 1", "return 12"))
    done = sandbox.call("code", "merge", *three)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"a: both sides changed it ({three[1]}:5, {three[2]}:5)" in done.stderr
    answer = json.loads(sandbox.call("code", "merge", *three, "--json").stdout)
    assert (answer["ok"], answer["code"]) == (False, "merge_conflict")
    assert [overlap["symbol"] for overlap in answer["overlaps"]] == ["a"]
    out = tmp_path / "out"
    assert sandbox.call("code", "merge", *three, "--markers", "--output", str(out)).returncode == 1
    assert out.read_text().count("<<<<<<<") == 1


def test_a_file_that_is_not_there(sandbox: Sandbox, three: list[str]) -> None:
    assert sandbox.call("code", "merge", three[0], three[1], "gone.py").returncode == 4
