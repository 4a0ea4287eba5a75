"""The directories that sessions work in: prepared, private, used again, and empty of what was before."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest

from intarsia.workspace.repository import Repository
from intarsia.workspace.worktree import Worktree
from tests.support.sandbox import Sandbox, Step, adds

IDENTITY = ("Agent", "agent@example.invalid")


@pytest.fixture
def worktree(sandbox: Sandbox) -> Worktree:
    repository = Repository.discover(sandbox.root)
    repository.make_state()
    return Worktree(repository, 1)


def prepare(sandbox: Sandbox, worktree: Worktree, session: str = "s-1") -> str:
    base = sandbox.git("rev-parse", "main")
    worktree.prepare(session, f"intarsia/{session}/1", base, IDENTITY)
    return base


def shell(worktree: Worktree, command: str) -> str:
    done = subprocess.run(["sh", "-ec", command], cwd=worktree.path, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_workspace_is_a_repository_of_its_own_at_the_given_commit(sandbox: Sandbox, worktree: Worktree) -> None:
    base = prepare(sandbox, worktree)
    worktree.show_target("main", base)
    shown = shell(worktree, "git rev-parse HEAD origin/main; git branch --show-current; git config user.name")
    assert shown.split() == [base, base, "intarsia/s-1/1", "Agent"]
    assert shell(worktree, "git status --porcelain --ignored") == ""
    assert worktree.owner == "s-1"
    assert sandbox.git("worktree", "list").count("\n") == 0


def test_git_tidies_nothing_up_behind_a_commit(sandbox: Sandbox, worktree: Worktree) -> None:
    prepare(sandbox, worktree)
    traced = shell(worktree, "GIT_TRACE=1 git commit --allow-empty -qm Own 2>&1")
    assert "git commit" in traced
    assert "maintenance" not in traced


def test_an_inspection_tells_own_commits_from_those_of_others(sandbox: Sandbox, worktree: Worktree) -> None:
    base = prepare(sandbox, worktree)
    other = sandbox.commit("other.txt", "1\n", "Of another")
    shell(worktree, "echo 1 > a; git add a; git commit -qm 'My own'")
    shell(worktree, f"git fetch -q {sandbox.root} main; git merge -q FETCH_HEAD")
    found = worktree.inspect(base, [other])
    assert [sandbox_subject(worktree, c) for c in found.commits] == [
        "My own",
        "Merge branch 'main' of " + str(sandbox.root) + " into intarsia/s-1/1",
    ]
    assert set(found.onto) == {base, other}
    assert (found.dirty, found.tampered, found.lost) == ([], [], False)
    assert worktree.made_here(found.head)
    assert not worktree.made_here(other)
    shell(worktree, "git gc -q --prune=now")
    assert worktree.made_here(found.head)
    assert not worktree.made_here(other)


def sandbox_subject(worktree: Worktree, commit: str) -> str:
    return shell(worktree, f"git log -1 --format=%s {commit}")


def test_everything_unsaved_is_archived_before_another_session_gets_the_slot(
    sandbox: Sandbox, worktree: Worktree
) -> None:
    prepare(sandbox, worktree, "s-1")
    shell(worktree, "echo 1 > a; git add a; git commit -qm Own; echo 2 > b; echo 3 > c.ignored; git checkout -qb side")
    prepare(sandbox, worktree, "s-2")
    archived = set(sandbox.git("for-each-ref", "--format=%(refname)", "refs/intarsia/archive").splitlines())
    place = "refs/intarsia/archive/s-1/rescued"
    assert archived == {f"{place}/work", f"{place}/heads/intarsia/s-1/1", f"{place}/heads/side"}
    assert sandbox.files(f"{place}/work") == {"README.md", ".gitignore", "a", "b"}
    assert sorted(path.name for path in worktree.path.iterdir()) == [".git", ".gitignore", "README.md"]
    assert (worktree.owner, shell(worktree, "git branch --format='%(refname:short)'")) == ("s-2", "intarsia/s-2/1")


def test_a_stash_is_archived_too(sandbox: Sandbox, worktree: Worktree) -> None:
    base = prepare(sandbox, worktree)
    shell(worktree, "echo 2 >> README.md; git stash -q")
    assert worktree.archive("s-1", "end", base)
    assert sandbox.show("README.md", "refs/intarsia/archive/s-1/end/stash") == "A sandbox.\n2"


def test_nothing_to_archive_makes_no_refs(sandbox: Sandbox, worktree: Worktree) -> None:
    base = prepare(sandbox, worktree)
    assert not worktree.archive("s-1", "end", base)
    assert sandbox.git("for-each-ref", "refs/intarsia") == ""


@pytest.mark.parametrize("place", ["", "git", "git/refs", "git/refs/heads", "git/objects", "git/hooks", "tmp", "cache"])
def test_a_link_in_the_place_of_a_directory_is_never_followed(sandbox: Sandbox, worktree: Worktree, place: str) -> None:
    base = prepare(sandbox, worktree)
    git_dir = sandbox.root / ".git"
    sandbox.git("update-ref", "refs/remotes/origin/main", "HEAD")
    before = {str(p): p.read_bytes() for p in sandbox.root.rglob("*") if p.is_file() and ".intarsia" not in p.parts}
    target = {"": sandbox.root, "tmp": sandbox.root, "cache": sandbox.root}.get(
        place, git_dir / place.removeprefix("git").lstrip("/")
    )
    path = worktree.path if not place else worktree.slot / place
    subprocess.run(["rm", "-rf", str(path)], check=True)
    path.symlink_to(target)
    found = worktree.inspect(base, [])
    worktree.show_target("main", base)
    worktree.restore(base)
    prepare(sandbox, worktree, "s-2")
    after = {str(p): p.read_bytes() for p in sandbox.root.rglob("*") if p.is_file() and ".intarsia" not in p.parts}
    new = {name for name in after.keys() - before.keys() if "/objects/" not in name and "refs/intarsia" not in name}
    assert {name for name in before if after.get(name) != before[name]} | new == set()
    assert found.tampered
    assert found.lost == (place == "")


# With the whole run around it.


def test_ignored_files_named_by_worktreeinclude_are_copied(sandbox: Sandbox) -> None:
    sandbox.commit(".gitignore", "*.ignored\n.env\nbuild/\n", "Ignore more")
    sandbox.commit(".worktreeinclude", ".env\n*.ignored\n!not.ignored\n", "Include")
    for name in (".env", "deep/a.ignored", "not.ignored", "build/x", "untracked"):
        sandbox.write(name, f"{name}\n")
    (sandbox.root / ".env").chmod(0o600)
    sandbox.issue("it-1")
    look = 'touch list.txt; find . -type f ! -path "./.git*" | sort > list.txt; stat -c %a .env >> list.txt'
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [[{"shell": look}, {"commit": "List"}]]}))
    expected = ["./.env", "./.worktreeinclude", "./README.md", "./deep/a.ignored", "./list.txt", "600"]
    assert sandbox.show("list.txt").splitlines() == expected


def test_the_setup_command_prepares_each_workspace_and_kept_files_stay(sandbox: Sandbox) -> None:
    settings = "[workspace]\nsetup = 'date +%s%N >> kept.ignored; touch lost.ignored'\nkeep = ['kept.ignored']\n"
    sandbox.commit("intarsia.toml", settings, "Configure")
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    count: list[Step] = [
        {"shell": 'wc -l < kept.ignored > "$INTARSIA_ISSUE.txt"; echo 1 > other.ignored'},
        {"commit": "Count"},
    ]
    sandbox.ok("run", "-n", "1", "--agent", sandbox.scenario({"it-1": [count], "it-2": [count]}))
    assert sorted([sandbox.show("it-1.txt").strip(), sandbox.show("it-2.txt").strip()]) == ["1", "2"]
    left = {path.name for path in (sandbox.root / ".intarsia/worktrees/1/project").iterdir()}
    assert {"kept.ignored", "lost.ignored", "other.ignored"} <= left


@pytest.mark.parametrize(
    ("setup", "reason"),
    [("echo told; exit 7", "ended with exit code 7"), ("sleep 600 & sleep 600", "ended at its limit of 2 s")],
)
def test_a_setup_that_fails_is_said_and_no_agent_starts(sandbox: Sandbox, setup: str, reason: str) -> None:
    sandbox.commit("intarsia.toml", f"[workspace]\nsetup = '{setup}'\nsetup_timeout = 2\n", "Configure")
    sandbox.issue("it-1")
    started = sandbox.root.parent / "started"
    assert sandbox.call("run", "--agent", sandbox.scenario({"it-1": [[{"shell": f"touch {started}"}]]})).returncode == 1
    (session,) = sandbox.sessions()
    assert session["stage"] == "failed"
    assert reason in session["reason"]
    assert (sandbox.root / ".intarsia/sessions" / session["id"] / "setup.log").is_file()
    assert not started.exists()
    assert sandbox.status("it-1") == "blocked"


def test_parallel_sessions_share_no_ports_caches_or_temporary_files(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[workspace]\nport_base = 30000\nports = 5\n", "Configure")
    met = sandbox.root.parent / "met"
    met.mkdir()
    names = ("PORT", "INTARSIA_PORTS", "TMPDIR", "XDG_CACHE_HOME", "PWD")
    wait = f'touch "{met}/$INTARSIA_ISSUE"; until [ "$(ls {met} | wc -l)" = 2 ]; do sleep 0.02; done'
    shown = "".join(f'echo "${name}" >> $INTARSIA_ISSUE.txt; ' for name in names)
    use: list[Step] = [{"shell": f'{wait}; {shown} touch "$TMPDIR/x" "$XDG_CACHE_HOME/x"'}, {"commit": "Show"}]
    for issue in ("it-1", "it-2"):
        sandbox.issue(issue)
    sandbox.ok("run", "-n", "2", "--agent", sandbox.scenario({"it-1": [use], "it-2": [use]}))
    one, two = (sandbox.show(f"{issue}.txt").splitlines() for issue in ("it-1", "it-2"))
    assert len(one) == len(two) == len(names)
    assert not set(one) & set(two)
    assert {one[1], two[1]} == {"30000-30004", "30005-30009"}


def test_a_check_at_its_limit_is_ended_with_all_it_started(sandbox: Sandbox, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = (
        f"sh -c 'echo $$ >> {pids}; exec sleep 600' & setsid sh -c 'echo $$ >> {pids}; exec sleep 600' & sleep 600"
    )
    sandbox.commit("intarsia.toml", f'[checks.slow]\ncommand = "{command}"\ntimeout = 5\n', "Configure")
    sandbox.issue("it-1")
    assert sandbox.call("run", "--agent", sandbox.scenario({"it-1": adds("a.txt", "1\n")})).returncode == 1
    assert "slow was stopped after 5 s (its timeout)" in sandbox.sessions()[0]["reason"]
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    assert not [p for p in psutil.process_iter(["status"]) if p.pid in started and p.info["status"] != "zombie"]
