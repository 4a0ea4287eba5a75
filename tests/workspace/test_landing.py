"""The landing queue: what reaches the branch, in which shape, and that nothing of the user's is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from intarsia.workspace.landing import InTheWay, Landing, MergeConflict, NothingToLand, Work, with_trailers
from intarsia.workspace.repository import Repository
from intarsia.workspace.worktree import Worktree
from tests.support.sandbox import Sandbox, Step, adds

IDENTITY = ("Agent", "agent@example.invalid")
WAIT_FOR = 'until git -C "$INTARSIA_ROOT" cat-file -e main:{} 2> /dev/null; do sleep 0.02; done'


class Bench:
    """Sessions' work made by hand, without a run."""

    def __init__(self, sandbox: Sandbox, strategy: str = "rebase") -> None:
        self.sandbox = sandbox
        self.repository = Repository.discover(sandbox.root)
        self.repository.make_state()
        self.landing = Landing(self.repository, "main", strategy)

    def work(self, number: int, change: Callable[[Path], object]) -> Work:
        """What session `number` made of main as it is now."""
        session, branch, base = f"s-{number}", f"intarsia/it-{number}/1", self.landing.tip()
        worktree = Worktree(self.repository, number)
        worktree.prepare(session, branch, base, IDENTITY)
        change(worktree.path)
        head = self.sandbox.git("rev-parse", "HEAD", cwd=worktree.path)
        worktree.save(branch, head)
        return Work(f"it-{number}", session, f"Title {number}", base, head)

    def adds(self, number: int, **files: str) -> Work:
        return self.work(number, lambda tree: self.commit(tree, f"Work {number}", **files))

    def commit(self, tree: Path, message: str, *options: str, **files: str) -> None:
        for name, text in files.items():
            (tree / name).write_text(text)
        self.sandbox.git("add", "--all", cwd=tree)
        self.sandbox.git("commit", "--quiet", f"--message={message}", *options, cwd=tree)

    def land(self, work: Work) -> str:
        candidate = self.landing.combine(work, self.landing.tip())
        assert self.landing.advance(candidate)
        return candidate.commit

    def log(self, since: str, pattern: str = "%s") -> list[str]:
        return self.sandbox.git("log", "--reverse", f"--format={pattern}", f"{since}..main").splitlines()


def several(bench: Bench, tree: Path) -> None:
    bench.commit(tree, "One", "--author=Ann <ann@x.y>", "--date=2001-02-03T04:05:06+0700", one="1\n")
    bench.commit(tree, "Two", "--author=Bo Ö <bo@x.y>", "--date=2002-02-03T04:05:06-0300", two="2\n")


@pytest.mark.parametrize("moved", [False, True])
def test_rebase_keeps_each_commit_with_its_author_and_date(sandbox: Sandbox, moved: bool) -> None:
    bench = Bench(sandbox)
    work = bench.work(1, lambda tree: several(bench, tree))
    if moved:
        sandbox.commit("user.txt", "1\n", "The user's")
    start = bench.landing.tip()
    bench.land(work)
    wanted = ["One|Ann|ann@x.y|2001-02-03 04:05:06 +0700", "Two|Bo Ö|bo@x.y|2002-02-03 04:05:06 -0300"]
    assert bench.log(start, "%s|%an|%ae|%ai") == wanted
    assert bench.log(start, "%(trailers:key=Issue,valueonly,separator=)") == ["it-1", "it-1"]
    assert sandbox.git("rev-list", "--merges", "main") == ""
    assert (sandbox.root / "two").read_text() == "2\n"
    assert sandbox.git("status", "--porcelain") == ""


@pytest.mark.parametrize("moved", [False, True])
def test_merge_keeps_the_commits_beside_a_merge_commit(sandbox: Sandbox, moved: bool) -> None:
    bench = Bench(sandbox, "merge")
    work = bench.work(1, lambda tree: several(bench, tree))
    if moved:
        sandbox.commit("user.txt", "1\n", "The user's")
    start = bench.landing.tip()
    commit = bench.land(work)
    assert sandbox.git("rev-parse", f"{commit}^1") == start
    assert sandbox.git("log", "--format=%s|%an", f"{start}..{commit}^2").splitlines() == ["Two|Bo Ö", "One|Ann"]
    assert sandbox.git("log", "-1", "--format=%s", commit) == "Merge it-1: Title 1"
    assert bench.log(start, "%(trailers:key=Intarsia-Session,valueonly,separator=)") == ["s-1"] * 3


def test_squash_makes_one_commit_of_them(sandbox: Sandbox) -> None:
    bench = Bench(sandbox, "squash")
    start = bench.landing.tip()
    bench.land(bench.work(1, lambda tree: several(bench, tree)))
    assert bench.log(start, "%s|%an") == ["Title 1|Bo Ö"]
    assert "- One\n- Two\n" in sandbox.git("log", "-1", "--format=%B", "main")
    assert {"one", "two"} <= sandbox.files()


@pytest.mark.parametrize("strategy", ["rebase", "merge", "squash"])
def test_an_agents_own_merges_land_with_the_tree_they_made(sandbox: Sandbox, strategy: str) -> None:
    bench = Bench(sandbox, strategy)

    def merges(tree: Path) -> None:
        sandbox.git("checkout", "--quiet", "-b", "part", cwd=tree)
        bench.commit(tree, "On part", part="1\n")
        sandbox.git("checkout", "--quiet", "intarsia/it-1/1", cwd=tree)
        bench.commit(tree, "Beside", beside="1\n")
        sandbox.git("merge", "--quiet", "--no-ff", "--message=Merged", "part", cwd=tree)

    work = bench.work(1, merges)
    sandbox.commit("user.txt", "1\n", "The user's")
    bench.land(work)
    assert sandbox.files() == {"README.md", ".gitignore", "user.txt", "part", "beside"}
    subjects = {
        "rebase": ["Beside", "Merged"],
        "merge": ["Beside", "Merged", "Merge it-1: Title 1"],
        "squash": ["Title 1"],
    }
    start = sandbox.git("log", "-1", "--format=%H", "--grep=The user's", "main")
    assert bench.log(start) == subjects[strategy]


def test_changes_that_git_can_merge_both_land(sandbox: Sandbox) -> None:
    lines = [f"{n}\n" for n in range(20)]
    sandbox.commit("shared.txt", "".join(lines), "Shared")
    bench = Bench(sandbox)
    first = bench.adds(1, **{"shared.txt": "".join(["first\n", *lines[1:]])})
    second = bench.adds(2, **{"shared.txt": "".join([*lines[:-1], "last\n"]), "new.txt": "1\n"})
    bench.land(first)
    bench.land(second)
    assert (sandbox.root / "shared.txt").read_text() == "".join(["first\n", *lines[1:-1], "last\n"])
    assert "new.txt" in sandbox.files()


@pytest.mark.parametrize("name", ["plain.txt", ":(top)*.txt", "two words.txt", "new\nline"])
def test_a_conflict_names_the_files_and_shows_the_other_side(sandbox: Sandbox, name: str) -> None:
    bench = Bench(sandbox)
    first, second = bench.adds(1, **{name: "first\n"}), bench.adds(2, **{name: "second\n", "free.txt": "1\n"})
    tip = bench.land(first)
    with pytest.raises(MergeConflict) as conflict:
        bench.landing.combine(second, tip)
    assert conflict.value.files == [name]
    assert "\n" not in conflict.value.message
    assert "+first" in conflict.value.other
    assert bench.landing.tip() == tip


def test_what_is_there_already_is_nothing_to_land(sandbox: Sandbox) -> None:
    bench = Bench(sandbox)
    first, second = bench.adds(1, same="1\n"), bench.adds(2, same="1\n")
    tip = bench.land(first)
    with pytest.raises(NothingToLand):
        bench.landing.combine(second, tip)
    assert bench.landing.landed(first, tip) == tip
    assert bench.landing.landed(second, tip) is None


def test_the_branch_moves_only_from_where_the_candidate_was_made(sandbox: Sandbox) -> None:
    bench = Bench(sandbox)
    for checked_out in (True, False):
        work = bench.adds(1, **{f"{checked_out}.txt": "1\n"})
        candidate = bench.landing.combine(work, bench.landing.tip())
        moved = sandbox.commit(f"user-{checked_out}.txt", "1\n", "The user's")
        if not checked_out:
            sandbox.git("checkout", "--quiet", "-b", "elsewhere")
        assert not bench.landing.advance(candidate)
        assert bench.landing.tip() == moved
    sandbox.git("checkout", "--quiet", "-b", "third")
    bench.land(work)
    assert "False.txt" in sandbox.files()
    assert not (sandbox.root / "False.txt").exists()


def test_a_branch_that_was_set_back_in_a_shallow_clone_is_still_landed_on(sandbox: Sandbox) -> None:
    for name in ("one", "two", "three"):
        sandbox.commit(name, "1\n", name)
    bench = Bench(sandbox)
    work = bench.adds(1, **{"a.txt": "1\n"})
    older = sandbox.git("rev-parse", "main~1")
    (sandbox.root / ".git/shallow").write_text(f"{older}\n")
    sandbox.git("reset", "--quiet", "--hard", older)
    gone = sandbox.git("cat-file", "commit", older).splitlines()[1].split()[1]
    (sandbox.root / ".git/objects" / gone[:2] / gone[2:]).unlink()
    bench.land(work)
    assert "a.txt" in sandbox.files()


def test_a_broken_worktree_beside_it_hides_no_checkout(sandbox: Sandbox) -> None:
    bench = Bench(sandbox)
    sandbox.git("switch", "--quiet", "-c", "elsewhere")
    linked, broken = sandbox.root.parent / "linked", sandbox.root.parent / "broken"
    sandbox.git("worktree", "add", "--quiet", "--detach", str(broken))
    sandbox.git("worktree", "add", "--quiet", str(linked), "main")
    (sandbox.root / ".git/worktrees/broken/HEAD").unlink()
    bench.land(bench.adds(1, **{"a.txt": "1\n"}))
    assert (linked / "a.txt").read_text() == "1\n"
    assert sandbox.git("status", "--porcelain", cwd=linked) == ""


def test_a_linked_worktree_that_has_the_branch_moves_with_it_unless_it_was_deleted(sandbox: Sandbox) -> None:
    bench = Bench(sandbox)
    sandbox.git("checkout", "--quiet", "-b", "elsewhere")
    linked = sandbox.root.parent / "lin ked"
    sandbox.git("worktree", "add", "--quiet", str(linked), "main")
    bench.land(bench.adds(1, one="1\n"))
    assert (linked / "one").read_text() == "1\n"
    assert sandbox.git("status", "--porcelain", cwd=linked) == ""
    (linked / "two").write_text("mine\n")
    work = bench.adds(2, two="2\n")
    with pytest.raises(InTheWay, match="two"):
        bench.land(work)
    linked.rename(linked.with_name("moved away"))
    bench.land(work)
    assert sandbox.files() >= {"one", "two"}


def state(sandbox: Sandbox) -> dict[str, str]:
    """Every file of the user's tree and the index, byte for byte, and what git says of them."""
    asked = (("diff",), ("diff", "--cached"), ("stash", "list", "-p"), ("status", "--porcelain"), ("rev-parse", "HEAD"))
    said = {" ".join(args): sandbox.git(*args) for args in asked}
    files = [p for p in sandbox.root.rglob("*") if p.is_file() and not {".git", ".intarsia"} & set(p.parts)]
    files.append(sandbox.root / ".git/index")
    found = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {**found, **said}


def _index_lock(sandbox: Sandbox) -> None:
    (sandbox.root / ".git/index.lock").touch()


def _merge(sandbox: Sandbox) -> None:
    _conflict(sandbox, "merge")


def _rebase(sandbox: Sandbox) -> None:
    _conflict(sandbox, "rebase")


def _conflict(sandbox: Sandbox, how: str) -> None:
    sandbox.git("checkout", "--quiet", "-b", "theirs", "HEAD~1")
    sandbox.commit("README.md", "Theirs.\n", "Theirs")
    sandbox.git("checkout", "--quiet", "main")
    with pytest.raises(Exception, match="exit status 1"):
        sandbox.git(how, "theirs")


def _untracked(sandbox: Sandbox) -> None:
    sandbox.write("landed.txt", "Mine.\n")


def _ignored(sandbox: Sandbox) -> None:
    sandbox.write(".git/info/exclude", "landed.txt\n")
    sandbox.write("landed.txt", "Mine.\n")


def _unstaged(sandbox: Sandbox) -> None:
    sandbox.write("README.md", "Mine.\n")


def _staged(sandbox: Sandbox) -> None:
    sandbox.write("README.md", "Mine.\n")
    sandbox.git("add", "README.md")


@pytest.mark.parametrize("obstacle", [_index_lock, _merge, _rebase, _untracked, _unstaged, _staged, _ignored])
def test_what_is_in_the_way_is_left_alone_to_the_byte(sandbox: Sandbox, obstacle: Callable[[Sandbox], None]) -> None:
    sandbox.commit("README.md", "Ours.\n", "Ours")
    bench = Bench(sandbox)
    work = bench.adds(1, **{"landed.txt": "1\n", "README.md": "New.\n"})
    obstacle(sandbox)
    if obstacle is _merge or obstacle is _rebase:
        (sandbox.root / "README.md").touch()
    before = state(sandbox)
    with pytest.raises(InTheWay, match="Ready to land"):
        bench.land(work)
    assert state(sandbox) == before
    assert bench.landing.tip() == work.base


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Subject", "Subject\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("", "(no message)\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("S\n\nBody\n", "S\n\nBody\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("S\n\nA: b\n", "S\n\nA: b\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("S\n\nIssue: it-9\n", "S\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("Issue: it-9", "Issue: it-9\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
    ],
)
def test_trailers_are_exactly_ours(message: str, expected: str) -> None:
    assert with_trailers(message, "it-1", "s-1") == expected


# With the whole run around it.


def test_a_conflict_goes_back_to_its_session_which_merges_the_target(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    mine: list[Step] = [{"shell": WAIT_FOR.format("shared.txt")}, *adds("shared.txt", "second\n")[0]]
    solve = "git merge -q origin/main; printf 'first\\nsecond\\n' > shared.txt; git commit -qam Merged"
    agent = sandbox.scenario({"it-1": adds("shared.txt", "first\n"), "it-2": [mine, [{"shell": solve}]]})
    sandbox.ok("run", "--agent", agent)
    assert sandbox.show("shared.txt") == "first\nsecond"
    (session,) = sandbox.sessions("it-2")
    told = (sandbox.root / ".intarsia/sessions" / session["id"] / "prompt-2.md").read_text()
    assert "In conflict with what landed meanwhile: shared.txt." in told
    assert "+first" in told
    assert "origin/main" in told
    assert sandbox.events("target_put_back") == []
    assert sandbox.git("rev-list", "--merges", "main") == ""


def test_a_red_combination_of_two_green_sessions_never_reaches_the_target(sandbox: Sandbox) -> None:
    check = "! { [ -e a.txt ] && [ -e b.txt ]; }"
    sandbox.commit("intarsia.toml", f"[checks]\nnot-both = '''{check}'''\n", "Configure")
    for issue in ("it-1", "it-2", "it-3"):
        sandbox.issue(issue)
    late: list[Step] = [{"shell": WAIT_FOR.format("a.txt")}]
    repair: list[Step] = [{"shell": "git merge -q origin/main && git mv b.txt d.txt && git commit -qm 'Another name'"}]
    b = adds("b.txt", "1\n")[0]
    again = adds("b.txt", "2\n")[0]
    agent = sandbox.scenario({"it-1": adds("a.txt", "1\n"), "it-2": [[*late, *b], repair], "it-3": [[*late, *again]]})
    assert sandbox.call("run", "--agent", agent).returncode == 1
    assert sandbox.status("it-2") == "closed"
    (session,) = sandbox.sessions("it-3")
    assert session["stage"] == "blocked"
    assert session["reason"].startswith("Together with what landed meanwhile, the check not-both failed")
    for commit in sandbox.git("reflog", "--format=%H", "main").splitlines():
        assert not {"a.txt", "b.txt"} <= sandbox.files(commit)
    told = (sandbox.root / ".intarsia/sessions" / session["id"] / "prompt-2.md").read_text()
    assert "+++ b/a.txt" in told


def test_no_tree_is_checked_twice(sandbox: Sandbox, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    sandbox.commit("intarsia.toml", f"[checks]\ncount = 'ls >> {ran}; echo == >> {ran}'\n", "Configure")
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    waits: list[Step] = [{"shell": WAIT_FOR.format("a.txt")}, *adds("b.txt", "1\n")[0]]
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": adds("a.txt", "1\n"), "it-2": [waits]}))
    trees = [set(block.split()) - {"README.md", "intarsia.toml"} for block in ran.read_text().split("==\n")[:-1]]
    assert trees == [{"a.txt"}, {"b.txt"}, {"a.txt", "b.txt"}]
    sandbox.git("revert", "--no-edit", "HEAD")
    sandbox.issue("it-3")
    sandbox.ok("run", "--agent", sandbox.scenario({"it-3": adds("b.txt", "1\n")}))
    assert ran.read_text().count("==") == 3


def test_a_dirty_user_tree_stays_as_it_is_while_work_lands_beside_it(sandbox: Sandbox) -> None:
    sandbox.commit("tracked.txt", "1\n", "Tracked")
    sandbox.write("README.md", "Stashed.\n")
    sandbox.git("stash", "--quiet")
    sandbox.write("staged.txt", "Staged.\n")
    sandbox.git("add", "staged.txt")
    sandbox.write("staged.txt", "Staged and changed.\n")
    sandbox.write("tracked.txt", "Unstaged.\r\n")
    sandbox.write("untracked.txt", "Untracked.\n")
    (sandbox.root / "tracked.txt").chmod(0o755)
    before = state(sandbox)
    sandbox.issue("it-1")
    move = 'git -C "$INTARSIA_ROOT" commit -q --allow-empty --only -m "By the user"'
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [[*adds("new.txt", "1\n")[0], {"shell": move}]]}))
    after = state(sandbox)
    changed = {Path(name).name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"new.txt", "index", "rev-parse HEAD"}
    assert sandbox.git("log", "--format=%s", "main").splitlines()[:2] == [
        "Add new.txt",
        "By the user",
    ]


def test_work_that_would_overwrite_a_file_of_the_user_waits_until_it_is_out_of_the_way(sandbox: Sandbox) -> None:
    mine = sandbox.write("new.txt", "Mine.\n")
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    agent = sandbox.scenario({"it-1": adds("new.txt", "1\n"), "it-2": adds("free.txt", "1\n")})
    done = sandbox.call("run", "--agent", agent)
    assert done.returncode == 1
    assert "new.txt" in sandbox.sessions("it-1")[0]["reason"]
    assert "Ready to land" in done.stdout
    assert (sandbox.sessions("it-1")[0]["stage"], sandbox.status("it-2")) == ("parked", "closed")
    assert mine.read_text() == "Mine.\n"
    mine.unlink()
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [[{"fail": "It must not be asked again."}]]}))
    assert mine.read_text() == "1\n"
    assert len(sandbox.sessions("it-1")) == 1


def test_a_target_that_is_deleted_meanwhile_parks_the_work_until_it_is_back(sandbox: Sandbox) -> None:
    sandbox.git("checkout", "--quiet", "-b", "mine")
    sandbox.issue("it-1")
    delete: Step = {"shell": 'git -C "$INTARSIA_ROOT" branch -q -D main'}
    agent = sandbox.scenario({"it-1": [[*adds("a.txt", "1\n")[0], delete]]})
    done = sandbox.call("run", "--agent", agent, "--target", "main")
    assert done.returncode == 1
    assert sandbox.sessions()[0]["stage"] == "parked"
    assert "The branch main is gone." in sandbox.sessions()[0]["reason"]
    gone = sandbox.call("run", "--agent", agent, "--target", "main")
    assert (gone.returncode, "'main' is no branch" in gone.stderr) == (2, True)
    sandbox.git("branch", "main", "mine")
    sandbox.ok("run", "--agent", agent, "--target", "main")
    assert "a.txt" in sandbox.files()


def test_a_detached_head_needs_a_target(sandbox: Sandbox) -> None:
    sandbox.git("checkout", "--quiet", "--detach")
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": adds("a.txt", "1\n")})
    refused = sandbox.call("run", "--agent", agent)
    assert refused.returncode == 2
    assert "detached HEAD" in refused.stderr
    assert "--target BRANCH" in refused.stderr
    assert sandbox.status("it-1") == "open"
    sandbox.ok("run", "--agent", agent, "--target", "main")
    assert "a.txt" in sandbox.files()
    assert not (sandbox.root / "a.txt").exists()
