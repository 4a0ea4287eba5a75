"""Commits leave a workspace by a pack of our own, as they would by git's; what is broken does not leave it."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from intarsia.errors import GitError
from intarsia.workspace.git import Git
from intarsia.workspace.objects import LARGEST, Entry, Store
from intarsia.workspace.packing import pack
from tests.support.sandbox import Sandbox


@pytest.fixture(params=["sha1", "sha256"])
def pair(sandbox: Sandbox, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A repository, and one that borrows from it and has three commits of its own."""
    one, other = sandbox.root / "one", sandbox.root / "other"
    for place in (one, other):
        place.mkdir()
        sandbox.git("init", "--quiet", f"--object-format={request.param}", cwd=place)
    (one / "big").write_bytes(bytes(range(256)) * 400)
    (one / "sub").mkdir()
    (one / "sub/x").write_text("x\n")
    commit(sandbox, one, "First")
    (other / ".git/objects/info/alternates").write_text(f"{one}/.git/objects\n")
    sandbox.git("fetch", "--quiet", str(one), "HEAD", cwd=other)
    sandbox.git("reset", "--quiet", "--hard", "FETCH_HEAD", cwd=other)
    for number in range(3):
        (other / "sub/new").mkdir(exist_ok=True)
        (other / f"sub/new/{number}").write_text(f"{number}\n" * 40 * number)
        commit(sandbox, other, f"Work {number}")
    return one, other


def commit(sandbox: Sandbox, place: Path, message: str) -> None:
    sandbox.git("add", "--all", cwd=place)
    sandbox.git("commit", "--quiet", f"--message={message}", cwd=place)


def test_all_that_was_made_there_arrives_and_nothing_else(sandbox: Sandbox, pair: tuple[Path, Path]) -> None:
    one, other = pair
    head = sandbox.git("rev-parse", "HEAD", cwd=other)
    packed = pack(Store(other / ".git/objects"), [head])
    assert packed is not None
    assert int.from_bytes(packed[8:12], "big") == 3 + 3 * 3 + 3  # commits, trees, and blobs
    Git(one).unpack(packed)
    assert sandbox.git("rev-list", "--count", head, cwd=one) == "4"
    assert sandbox.git("fsck", "--strict", "--no-dangling", cwd=one) == ""


def test_what_git_has_packed_is_left_to_git(sandbox: Sandbox, pair: tuple[Path, Path]) -> None:
    _, other = pair
    sandbox.git("gc", "--quiet", cwd=other)
    assert pack(Store(other / ".git/objects"), [sandbox.git("rev-parse", "HEAD", cwd=other)]) is None


def test_what_needs_an_object_that_is_nowhere_is_refused(sandbox: Sandbox, pair: tuple[Path, Path]) -> None:
    one, other = pair
    tree = sandbox.git("rev-parse", "HEAD:sub/new", cwd=other)
    (other / ".git/objects" / tree[:2] / tree[2:]).unlink()
    packed = pack(Store(other / ".git/objects"), [sandbox.git("rev-parse", "HEAD", cwd=other)])
    with pytest.raises(GitError, match="missing"):
        Git(one).unpack(packed or b"")


def test_an_object_under_a_wrong_name_is_left_to_git(sandbox: Sandbox, pair: tuple[Path, Path]) -> None:
    _, other = pair
    head = sandbox.git("rev-parse", "HEAD", cwd=other)
    forged = other / ".git/objects" / head[:2] / head[2:]
    forged.chmod(0o644)
    forged.write_bytes(zlib.compress(b"commit 3\0xyz"))
    assert Store(other / ".git/objects").get(head) is None
    assert pack(Store(other / ".git/objects"), [head]) is None


def test_a_small_file_that_holds_a_huge_object_is_left_to_git(sandbox: Sandbox, pair: tuple[Path, Path]) -> None:
    one, other = pair
    (other / "zeros").write_bytes(bytes(LARGEST + 1))
    commit(sandbox, other, "Huge")
    store = Store(other / ".git/objects")
    head, blob = (sandbox.git("rev-parse", name, cwd=other) for name in ("HEAD", "HEAD:zeros"))
    assert (other / ".git/objects" / blob[:2] / blob[2:]).stat().st_size < LARGEST / 100
    assert store.get(blob) is None
    assert pack(store, [head]) is None
    Git(other).send(Git(one), f"{head}\n")
    assert sandbox.git("cat-file", "-s", blob, cwd=one) == str(LARGEST + 1)


def test_a_tree_that_leads_out_of_the_checkout_is_refused(sandbox: Sandbox, pair: tuple[Path, Path]) -> None:
    one, other = pair
    store = Store(other / ".git/objects")
    like = sandbox.git("rev-parse", "HEAD", cwd=other)
    evil = store.tree(
        {".git": Entry(0o40000, store.tree({"config": Entry(0o100644, store.blob(b"", like))}, like))}, like
    )
    made = store.get_commit(like)
    assert made is not None
    packed = pack(store, [store.commit(made._replace(tree=evil), made.author)])
    with pytest.raises(GitError):
        Git(one).unpack(packed or b"")
