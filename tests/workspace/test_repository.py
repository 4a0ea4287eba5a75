"""Finding the user's repository, and landing in repositories of every shape."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from intarsia.errors import ConfigError, NotReady
from intarsia.workspace.repository import Repository, _plain_root
from tests.support.sandbox import Sandbox, Step, adds


def test_it_is_found_from_subdirectories_and_linked_worktrees(sandbox: Sandbox) -> None:
    (sandbox.root / "deep/er").mkdir(parents=True)
    linked = sandbox.root.parent / "linked"
    sandbox.git("worktree", "add", "--quiet", str(linked), "-b", "side")
    for place in (sandbox.root, sandbox.root / "deep/er", linked, sandbox.root / ".git"):
        found = Repository.discover(place)
        assert (found.root, found.git_dir) == (sandbox.root, sandbox.root / ".git")


def test_it_is_found_where_git_would_find_it(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain repositories are found without git; whatever else lies on the way is left to it."""
    assert _plain_root(sandbox.root) == sandbox.root
    (sandbox.root / "deep/bare").mkdir(parents=True)
    sandbox.git("init", "--quiet", str(sandbox.root / "deep/inner"))
    sandbox.git("init", "--quiet", "--bare", str(sandbox.root / "deep/bare"))
    link = sandbox.root.parent / "link"
    link.symlink_to(sandbox.root / "deep")
    places = [sandbox.root / "deep", sandbox.root / "deep/inner", sandbox.root / ".git/refs", link]
    found = [Repository.discover(place).root for place in places]
    monkeypatch.setattr("intarsia.workspace.repository._plain_root", lambda start: None)
    assert found == [Repository.discover(place).root for place in places]
    assert found == [sandbox.root, sandbox.root / "deep/inner", sandbox.root, sandbox.root]


@pytest.mark.parametrize("unusual", ["[core]\n\tworktree = ..\n", "[include]\n\tpath = x\n", "[core]\n\tbare = yes\n"])
def test_unusual_repositories_are_left_to_git(sandbox: Sandbox, unusual: str) -> None:
    config = sandbox.root / ".git/config"
    config.write_text(config.read_text() + unusual)
    if "bare" in unusual:
        with pytest.raises(NotReady, match="bare"):
            Repository.discover(sandbox.root)
    else:
        assert Repository.discover(sandbox.root).root == sandbox.root


def test_where_there_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="not in a git repository"):
        Repository.discover(tmp_path)
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "bare")], check=True)
    with pytest.raises(NotReady, match="bare repository"):
        Repository.discover(tmp_path / "bare")
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "empty")], check=True)
    with pytest.raises(NotReady, match="no commit yet"):
        Repository.discover(tmp_path / "empty").require_commit()


def test_a_target_must_be_a_branch(sandbox: Sandbox) -> None:
    repository = Repository.discover(sandbox.root)
    assert repository.target("") == "main"
    with pytest.raises(ConfigError, match="no branch"):
        repository.target("nonsense")
    sandbox.git("tag", "v1")
    with pytest.raises(ConfigError, match="no branch"):
        repository.target("v1")


def test_a_fingerprint_shows_config_hooks_and_foreign_refs_only(sandbox: Sandbox) -> None:
    repository = Repository.discover(sandbox.root)
    before = repository.fingerprint(repository.refs())
    sandbox.git("branch", "intarsia/it-1/1")
    sandbox.git("update-ref", "refs/intarsia/archive/s-1/1/work", "HEAD")
    assert repository.fingerprint(repository.refs()) == before
    sandbox.git("tag", "v1")
    sandbox.git("config", "a.b", "c")
    sandbox.write(".git/hooks/pre-push", "#!/bin/sh\n")
    after = repository.fingerprint(repository.refs())
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"config", "hooks/pre-push", "refs/tags/v1"}


def lands(sandbox: Sandbox, *more: Step, name: str = "a.txt") -> None:
    sandbox.issue("it-1")
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [[*more, *adds(name, "1\n")[0]]]}))
    assert sandbox.show(name) == "1"
    assert (sandbox.root / name).read_text() == "1\n"
    assert sandbox.git("status", "--porcelain") == ""
    sandbox.git("fsck", "--connectivity-only")


def at(sandbox: Sandbox, root: Path) -> Sandbox:
    """The same sandbox, seen at another place."""
    sandbox.root = root
    return sandbox


def test_a_path_with_spaces_quotes_and_other_letters(tmp_path: Path) -> None:
    lands(Sandbox(tmp_path / "my pröject 'x' \"y\" $z #1; %s"), {"shell": "git log -1 > /dev/null"})


def test_a_sha256_repository(sandbox: Sandbox) -> None:
    root = sandbox.root.parent / "sha256"
    sandbox.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main", str(root))
    at(sandbox, root).commit("README.md", "1\n", "First")
    lands(sandbox)
    assert len(sandbox.git("rev-parse", "main")) == 64


def test_a_shallow_clone(sandbox: Sandbox) -> None:
    for number in range(3):
        sandbox.commit("n.txt", f"{number}\n", f"Commit {number}")
    root = sandbox.root.parent / "shallow"
    sandbox.git("clone", "--quiet", "--depth=2", f"file://{sandbox.root}", str(root))
    lands(at(sandbox, root), {"shell": "git log > /dev/null && git fsck --connectivity-only"})


def test_a_submodule_whether_filled_or_not_breaks_no_session(sandbox: Sandbox) -> None:
    library = sandbox.root.parent / "library"
    sandbox.git("init", "--quiet", "--initial-branch=main", str(library))
    sandbox.git("commit", "--quiet", "--allow-empty", "--message=Library", cwd=library)
    allow = ("-c", "protocol.file.allow=always", "submodule")
    sandbox.git(*allow, "add", "--quiet", str(library), "lib")
    sandbox.git("commit", "--quiet", "--message=Add the library")
    fill = f"git {' '.join(allow)} --quiet update --init && [ -e lib/.git ] && echo x > lib/junk && rm lib/junk"
    lands(sandbox, {"shell": fill})
    sandbox.issue("it-2")
    again: Step = {"shell": '[ -d lib ] && [ -z "$(ls -A lib)" ]'}
    sandbox.ok("run", "--agent", sandbox.scenario({"it-2": [[again, *adds("b.txt", "1\n")[0]]]}))
    assert sandbox.git("ls-tree", "main", "lib").startswith("160000 commit")


def test_the_users_own_settings_are_honoured(sandbox: Sandbox) -> None:
    sandbox.git("config", "core.autocrlf", "true")
    (sandbox.root / ".git/config").open("a").write(
        '[alias]\n\thi = !echo hi\n[my "sub.se\\"ct"]\n\tflag\n\tkey = " a;b\\\\ "\n'
    )
    sandbox.issue("it-1")
    look = (
        "grep -q \"$(printf '\\r')\" README.md && "
        '[ "$(git config --type=bool \'my.sub.se"ct.flag\')" = true ] && '
        '[ "$(git config \'my.sub.se"ct.key\')" = \' a;b\\ \' ] && [ "$(git hi)" = hi ]'
    )
    steps: list[Step] = [{"shell": look}, {"shell": "printf 'a\\r\\nb\\r\\n' > new.txt"}, {"commit": "Add new.txt"}]
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [steps]}))
    blob = subprocess.run(
        ["git", "cat-file", "blob", "main:new.txt"], cwd=sandbox.root, capture_output=True, check=True
    )
    assert blob.stdout == b"a\nb\n"
    assert (sandbox.root / "new.txt").read_bytes() == b"a\r\nb\r\n"
    assert sandbox.git("status", "--porcelain") == ""


@pytest.mark.parametrize("place", [".git/hooks", ".husky", "global"])
def test_the_projects_own_hooks_run_in_the_sessions_commits(sandbox: Sandbox, place: str) -> None:
    folder = sandbox.root.parent / "global-hooks" if place == "global" else sandbox.root / place
    folder.mkdir(exist_ok=True)
    for name, text in (("pre-commit", "! grep -q bad *.txt"), ("commit-msg", "echo 'Checked: yes' >> \"$1\"")):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    if place != ".git/hooks":
        sandbox.git("add", "--all")
        sandbox.git("commit", "--quiet", "--allow-empty", "--message=Hooks")
        sandbox.git("config", "core.hooksPath", str(folder) if place == "global" else place)
    sandbox.issue("good")
    sandbox.issue("bad")
    agent = sandbox.scenario({"good": adds("good.txt", "1\n"), "bad": adds("bad.txt", "bad\n")})
    assert sandbox.call("run", "--agent", agent).returncode == 1
    assert (sandbox.status("good"), sandbox.status("bad")) == ("closed", "blocked")
    assert "Checked: yes" in sandbox.git("log", "-1", "--format=%B", "main")
