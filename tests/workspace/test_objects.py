"""Objects, trees and references without a process for each: the same as git says."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from intarsia.errors import GitError
from intarsia.workspace.git import Git
from intarsia.workspace.objects import Commit, Entry, Objects, Store
from intarsia.workspace.references import References
from intarsia.workspace.trees import differences, with_files
from tests.support.sandbox import Sandbox

PATHS = ("a", "b/c", "b/d/e", "b/d/f", "b.c", "b0", "g/h/i", "ä/ö ü", "x\ty")


class Place:
    def __init__(self, root: Path, like: str) -> None:
        self.git = Git(root)
        self.objects = Objects(self.git)
        self.store = Store(root / ".git/objects")
        self.references = References(self.git, root / ".git")
        self.like = like

    def close(self) -> None:
        self.objects.close()
        self.references.close()

    def tree(self, paths: dict[str, bytes]) -> str:
        files = {path: Entry(0o100644, self.store.blob(data, self.like)) for path, data in paths.items()}
        return with_files(self.objects, self.store, self.store.tree({}, self.like), files)


@pytest.fixture(params=["sha1", "sha256"])
def place(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Place]:
    root = sandbox.root / "other"
    root.mkdir()
    sandbox.git("init", "--quiet", f"--object-format={request.param}", cwd=root)
    sandbox.git("commit", "--quiet", "--allow-empty", "--message=First", cwd=root)
    opened = Place(root, sandbox.git("rev-parse", "HEAD", cwd=root))
    yield opened
    opened.close()


def test_what_is_written_is_what_git_would_have_written(place: Place) -> None:
    content = bytes(range(256)) * 50
    made = place.store.blob(content, place.like)
    assert made == (place.git.read("hash-object", "--stdin", stdin=content) or b"").decode().strip()
    assert place.git.read("cat-file", "blob", made) == content == place.objects.read(made)
    tree = place.tree({path: path.encode() for path in PATHS})
    first = place.objects.commit(place.like)
    commit = place.store.commit(Commit(tree, (place.like,), first.author, "Grüße\n".encode()), first.author)
    place.git.run("update-ref", "refs/heads/made", commit)
    assert place.git.run("fsck", "--strict", "--no-dangling") == ""
    assert place.git.line("log", "-1", "--format=%an %s %P", commit) == f"Test User Grüße {place.like}"
    assert place.store.blob(content, place.like) == made


def test_trees_are_told_apart_and_changed_as_git_does(place: Place) -> None:
    chance = random.Random(1)
    before: dict[str, bytes] = {}
    tree = place.tree({})
    for _ in range(60):
        edits = {path: chance.choice([None, b"1", b"2"]) for path in chance.sample(PATHS, 3)}
        after = {path: data for path, data in {**before, **edits}.items() if data is not None}
        entries = {p: None if d is None else Entry(0o100644, place.store.blob(d, tree)) for p, d in edits.items()}
        changed = with_files(place.objects, place.store, tree, entries)
        assert changed == place.tree(after)
        listing = place.git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", tree, changed)
        assert set(differences(place.objects, tree, changed)) == set(listing.split("\0")[:-1])
        before, tree = after, changed
    assert place.git.line("ls-tree", "-r", "-z", "--name-only", tree).split("\0")[:-1] == sorted(
        before, key=os.fsencode
    )


def test_a_file_may_take_the_place_of_a_directory(place: Place) -> None:
    old = place.tree({"a/b": b"1", "a/c": b"1", "d": b"1"})
    blob = Entry(0o100644, place.store.blob(b"2", old))
    new = with_files(place.objects, place.store, old, {"a/b": None, "a/c": None, "a": blob, "d": None, "d/e": blob})
    assert new == place.tree({"a": b"2", "d/e": b"2"})
    assert set(differences(place.objects, old, new)) == {"a", "a/b", "a/c", "d", "d/e"}


def test_references_are_those_that_git_knows(place: Place) -> None:
    for ref in ("heads/loose", "heads/deep/er", "tags/packed", "remotes/origin/main"):
        place.references.update(f"update refs/{ref} {place.like}\n")
    place.git.run("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    place.git.run("pack-refs", "--all")
    place.references.update(f"update refs/heads/new {place.like}\ndelete refs/tags/packed\n")
    listing = place.git.run("for-each-ref", "--format=%(refname) %(objectname)")
    assert place.references.all() == dict(line.split() for line in listing.splitlines())
    assert "refs/heads/new" in place.references.all() and "refs/tags/packed" not in place.references.all()


def test_a_change_that_is_refused_says_why_and_the_next_one_is_made(place: Place) -> None:
    wrong = "1" * len(place.like)
    with pytest.raises(GitError, match=r"refs/heads/a"):
        place.references.update(f"create refs/heads/b {place.like}\nupdate refs/heads/a {wrong}\n")
    assert "refs/heads/b" not in place.references.all()
    place.references.update(f"create refs/heads/b {place.like}\n")
    assert place.references.all()["refs/heads/b"] == place.like


def test_a_reader_that_is_killed_is_started_again(place: Place) -> None:
    assert place.objects.read(place.like)
    assert place.objects._process
    os.kill(place.objects._process.pid, signal.SIGKILL)
    place.objects._process.wait()
    assert place.objects.read(place.like)
    assert place.objects.read("0" * len(place.like)) is None


def test_a_writer_of_references_that_is_killed_is_started_again(place: Place) -> None:
    place.references.update(f"create refs/heads/a {place.like}\n")
    [process] = place.references._processes.values()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for ref in ("b", "c"):
        place.references.update(f"create refs/heads/{ref} {place.like}\n")
    assert {"refs/heads/a", "refs/heads/b", "refs/heads/c"} <= place.references.all().keys()


def test_what_lies_there_as_a_file_is_read_without_git(place: Place) -> None:
    tree = place.tree({path: path.encode() for path in PATHS})
    first = place.objects.commit(place.like)
    commit = place.store.commit(Commit(tree, (place.like,), first.author, b"Say\n"), first.author)
    without = Objects(Git(Path("/nowhere")), place.store)
    assert without.tree(commit) == without.tree(tree) == place.objects.tree(commit)
    assert without.commit(commit) == place.objects.commit(commit)
    entry = without.at(commit, "b/d/e")
    assert entry is not None and without.read(entry.oid) == b"b/d/e"
