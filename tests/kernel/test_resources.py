from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from intarsia.errors import InputError
from intarsia.kernel import Database, leases
from intarsia.kernel.modes import place
from intarsia.kernel.resources import MAX_LENGTH, Resource, parse

WORDS = st.text(st.sampled_from("ab.#%:~é\u00df\u0130 \x7f😀-"), min_size=1, max_size=4)
PARTS = st.one_of(WORDS, st.sampled_from(["", ".", "..", "a", "b", "A.b", "f/body"]))
URIS = st.builds(
    lambda scheme, start, parts, mark, symbol: f"{scheme}:{start}{'/'.join(parts)}{mark}{symbol}",
    st.sampled_from(["code", "CODE", "issue", "git+ssh", "x"]),
    st.sampled_from(["", "/", "//Host/", "//h:80/"]),
    st.lists(PARTS, max_size=5),
    st.sampled_from(["", "", "#", "/"]),
    st.sampled_from(["", "", "f", "C.m", "C.m/body", "C..m", ".", "/"]),
)


def nested(one: str, other: str) -> bool:
    return place(one, other) is not None


def parsed(uri: str) -> Resource:
    try:
        return parse(uri)
    except InputError:
        assume(False)
        raise


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("code:", "code:"),
        ("code:.", "code:"),
        ("code:src/a.py", "code:src/a.py"),
        ("CODE:./src//b/../a.py/", "code:src/a.py"),
        ("code:src/a.py#", "code:src/a.py"),
        ("code:src/a.py#Class.method/body", "code:src/a.py#Class.method/body"),
        ("code:src/with space.py", "code:src/with space.py"),
        ("code:Src/Ä.py#Ö", "code:Src/Ä.py#Ö"),
        ("issue:ia-7F3A", "issue:ia-7F3A"),
        ("GitHub://Acme/App/issues/42/", "github://acme/App/issues/42"),
        ("github://acme/App/./issues/41/../42", "github://acme/App/issues/42"),
        ("mailto:Someone@example.org", "mailto:Someone@example.org"),
        ("git+ssh://h.example:22//a", "git+ssh://h.example:22/a"),
    ],
)
def test_a_uri_has_one_normal_form(uri: str, name: str) -> None:
    assert parse(uri).name == name
    assert parse(name) == parse(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "src/a.py",
        ":x",
        "1x:a",
        "co de:a",
        "issue:1 2",
        "code:a\x1fb",
        "code:a\nb",
        "issue:\x00",
        "issue:\udc80",
        "code:..",
        "code:src/../../b",
        "issue:../1",
        "github://acme/../../x",
        "github:///x",
        "github://",
        "code://host/a.py",
        "code:#f",
        "code:a.py#f..g",
        "code:a.py#.f",
        "code:a.py#/body",
        "code:a.py#f//body",
    ],
)
def test_what_names_no_resource_is_refused(uri: str, tmp_path: Path) -> None:
    for root in (None, tmp_path):
        with pytest.raises(InputError) as refused:
            parse(uri, root)
        assert refused.value.exit_code == 4


CHAIN = ["code:", "code:src", "code:src/a.py", "code:src/a.py#C", "code:src/a.py#C.m", "code:src/a.py#C.m/body"]


def test_code_nests_down_to_the_body_of_a_symbol() -> None:
    keys = [parse(name).key for name in CHAIN]
    for n, name in enumerate(CHAIN):
        assert parse(name).around == keys[:n]
        assert all(nested(keys[n], other) for other in keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("code:src", "code:src2"),
        ("code:src", "code:sr"),
        ("code:src/a.py", "code:src/a.pyi"),
        ("code:src/a.py#C", "code:src/a.py#CD"),
        ("code:src/a.py#C", "code:src/a.py#D.C"),
        ("code:src/a.py#f/body", "code:src/a.py#f/bodyguard"),
        ("code:a.py", "code:a/py"),
        ("issue:1", "issue:10"),
        ("issue:1", "issues:1"),
        ("github://acme", "github://acme2/app"),
        ("github://acme/app", "github:acme/app"),
        ("code:src", "issue:src"),
    ],
)
def test_nesting_is_by_segment_and_never_by_the_start_of_a_word(one: str, other: str) -> None:
    assert not nested(parse(one).key, parse(other).key)
    assert not nested(parse(other).key, parse(one).key)


def test_any_uri_nests_by_its_path() -> None:
    assert nested(parse("github://acme/app").key, parse("GITHUB://ACME/app/issues/42").key)
    assert nested(parse("github:").key, parse("github://acme").key)


# Paths of a repository.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "repo/src").mkdir(parents=True)
    (tmp_path / "repo/src/a.py").write_text("")
    (tmp_path / "repo/link.py").symlink_to("src/a.py")
    (tmp_path / "repo/here").symlink_to("src")
    (tmp_path / "repo/out").symlink_to("..")
    (tmp_path / "repo/etc").symlink_to("/etc")
    (tmp_path / "other").mkdir()
    (tmp_path / "alias").symlink_to("repo")
    return tmp_path / "repo"


@pytest.mark.parametrize(
    "path",
    [
        "src/a.py",
        "link.py",
        "here/a.py",
        "here/../src/a.py",
        "out/repo/src/a.py",
        "../repo/src/a.py",
        "{root}/src/a.py",
        "{root}/../alias/here/a.py",
    ],
)
def test_all_ways_to_a_file_are_one_resource(root: Path, path: str) -> None:
    uri = f"code:{path.format(root=root)}#f"
    assert parse(uri, root).name == parse(uri, root.parent / "alias").name == "code:src/a.py#f"


def test_a_file_that_does_not_exist_yet_has_a_name(root: Path) -> None:
    assert parse("code:here/new/b.py", root).name == "code:src/new/b.py"


@pytest.mark.parametrize("path", ["..", "../other/x", "src/../../x", "out/x", "etc/passwd", "/etc/passwd", "{root}2"])
def test_what_lies_outside_of_the_repository_is_refused(root: Path, path: str) -> None:
    with pytest.raises(InputError, match="outside"):
        parse(f"code:{path.format(root=root)}", root)


def test_a_link_that_is_turned_names_its_new_target_at_once(root: Path) -> None:
    assert parse("code:link.py", root).name == "code:src/a.py"
    (root / "link.py").unlink()
    (root / "link.py").symlink_to("src/b.py")
    assert parse("code:link.py", root).name == "code:src/b.py"


def test_a_file_whose_name_reads_like_a_symbol_is_refused(root: Path) -> None:
    (root / "sharp.py").symlink_to("src/c#.py")
    with pytest.raises(InputError, match="symbol"):
        parse("code:sharp.py", root)


def test_other_schemes_have_no_paths_of_the_repository(root: Path) -> None:
    assert parse("issue:link.py", root).name == "issue:link.py"


# What always holds.


@given(URIS)
def test_the_normal_form_of_a_normal_form_is_itself(uri: str) -> None:
    resource = parsed(uri)
    assert parse(resource.name) == resource


@given(URIS, URIS)
def test_two_names_are_equal_exactly_if_their_keys_are(one: str, other: str) -> None:
    assert (parsed(one).name == parsed(other).name) == (parsed(one).key == parsed(other).key)


@given(URIS, URIS)
def test_nesting_agrees_with_the_ranges_of_an_index_ordered_by_bytes(one: str, other: str) -> None:
    a, b = parsed(one), parsed(other)
    low, high = (bound.encode() for bound in a.inside)
    a_holds_b = a.key in b.around
    assert a_holds_b == (low <= b.key.encode() < high)
    assert nested(a.key, b.key) == nested(b.key, a.key) == (a == b or a_holds_b or b.key in a.around)
    low, high = (bound.encode() for bound in a.parts)
    assert (low <= b.key.encode() < high) == (place(b.key, a.key) == "part") == (place(a.key, b.key) == "unit")


@pytest.mark.parametrize(
    "letters", ["abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "éèßöäüçñàô", "😀😅🙃🤖"]
)
@pytest.mark.parametrize("form", ["code:a#{}", "x://h/{}"])
def test_the_longest_name_can_be_held_and_a_longer_one_is_refused(database: Database, form: str, letters: str) -> None:
    """An index of PostgreSQL takes less than 2704 bytes, and a key may be longer than its name."""
    chance = random.Random(7)  # a server compresses what repeats
    text = "".join(chance.choice(letters) + chance.choice(["", "", "."]) for _ in range(MAX_LENGTH)).rstrip(".") + "z"
    lengths = [n for n in range(1, len(text)) if text[n - 1] != "." and is_resource(form.format(text[:n]))]
    longest = form.format(text[: max(lengths)])
    assert MAX_LENGTH - 8 < len(parse(longest).key.encode()) <= MAX_LENGTH
    assert not is_resource(form.format(text))
    with database.transaction() as tx:
        leases.acquire(tx, "s" * 40, longest, 60)


def is_resource(uri: str) -> bool:
    try:
        parse(uri)
    except InputError as error:
        assert "longer" in error.message
        return False
    return True
