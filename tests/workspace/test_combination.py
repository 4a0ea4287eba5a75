"""Landing beside what landed meanwhile: by symbol where git gives up, and looked at where git does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from intarsia.workspace.combination import Combination
from intarsia.workspace.landing import MergeConflict
from tests.support.sandbox import Sandbox
from tests.workspace.test_landing import Bench

BASE = """import os


def first():
    return 1


def second():
    return 2


def third():
    return 3
"""


def change(path: str, *edits: tuple[str, str]) -> Callable[[Path], object]:
    def apply(tree: Path) -> None:
        text = (tree / path).read_text()
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        (tree / path).write_text(text)

    return apply


def side(bench: Bench, number: int, do: Callable[[Path], object]) -> Callable[[Path], object]:
    def work(tree: Path) -> None:
        do(tree)
        bench.commit(tree, f"Work {number}")

    return work


def both(
    sandbox: Sandbox, ours: Callable[[Path], object], theirs: Callable[[Path], object], text: str = BASE
) -> tuple[Bench, str]:
    """Two sessions begin at the same commit; the first has landed. Returns what the second makes of it, not landed."""
    sandbox.commit("a.py", text, "Base")
    bench = Bench(sandbox)
    first, second = (bench.work(n, side(bench, n, do)) for n, do in ((1, ours), (2, theirs)))
    tip = bench.land(first)
    candidate = bench.landing.combine(second, tip)
    assert bench.landing.advance(candidate)
    return bench, candidate.commit


def conflict(sandbox: Sandbox, ours: Callable[[Path], object], theirs: Callable[[Path], object]) -> MergeConflict:
    with pytest.raises(MergeConflict) as raised:
        both(sandbox, ours, theirs)
    return raised.value


def test_functions_added_at_the_same_place_both_land(sandbox: Sandbox) -> None:
    after = "    return 3\n"
    both(
        sandbox,
        change("a.py", (after, f"{after}\n\ndef ours():\n    return 4\n")),
        change("a.py", (after, f"{after}\n\ndef theirs():\n    return 5\n")),
    )
    text = (sandbox.root / "a.py").read_text()
    assert text == f"{BASE}\n\ndef ours():\n    return 4\n\n\ndef theirs():\n    return 5\n"
    assert sandbox.git("status", "--porcelain") == ""


def test_neighbouring_functions_and_imports_both_land(sandbox: Sandbox) -> None:
    both(
        sandbox,
        change("a.py", ("import os\n", "import json\nimport os\n"), ("return 1\n", "return 10\n")),
        change("a.py", ("import os\n", "import os\nimport sys\n"), ("def second():\n", "def second(x=0):\n")),
    )
    text = (sandbox.root / "a.py").read_text()
    assert [line for line in text.splitlines() if line.startswith("import")] == [
        "import json",
        "import os",
        "import sys",
    ]
    assert "return 10\n" in text and "def second(x=0):\n" in text


def test_what_git_calls_clean_but_defines_twice_does_not_land_so(sandbox: Sandbox) -> None:
    """Both add a helper of the same name, far from each other: git has nothing to say."""
    ours = change("a.py", ("import os\n", "import os\n\n\ndef helper():\n    return 'ours'\n"))
    theirs = change("a.py", ("return 3\n", "return 3\n\n\ndef helper():\n    return 'theirs'\n"))
    found = conflict(sandbox, ours, theirs)
    overlaps = [overlap for clash in found.clashes if clash.conflict for overlap in clash.conflict.overlaps]
    assert "helper" in {overlap.key for overlap in overlaps}


def test_a_function_that_git_would_double_lands_once(sandbox: Sandbox) -> None:
    """One side moves a function and the other moves it too: git keeps it in both new places."""
    moved, rest = "\n\ndef first():\n    return 1\n", BASE.replace("\n\ndef first():\n    return 1\n", "")
    middle = rest.replace("\n\ndef third", f"{moved}\n\ndef third")
    try:
        both(sandbox, lambda tree: write(tree, middle), lambda tree: write(tree, rest + moved))
    except MergeConflict:
        return
    assert (sandbox.root / "a.py").read_text().count("def first") == 1


def write(tree: Path, text: str) -> None:
    (tree / "a.py").write_text(text)


def test_a_file_renamed_by_one_side_gets_the_others_change(sandbox: Sandbox) -> None:
    both(sandbox, lambda tree: tree.joinpath("a.py").rename(tree / "b.py"), change("a.py", ("2", "20")))
    assert not (sandbox.root / "a.py").exists()
    assert (sandbox.root / "b.py").read_text() == BASE.replace("2", "20")


def test_a_renamed_file_is_merged_by_symbol_too(sandbox: Sandbox) -> None:
    def rename(tree: Path) -> None:
        change("a.py", ("return 1\n", "return 10\n"))(tree)
        (tree / "a.py").rename(tree / "b.py")

    both(
        sandbox, rename, change("a.py", ("\n\n\ndef second", "\n    # done\n\n\ndef second"), ("return 2", "return 20"))
    )
    text = (sandbox.root / "b.py").read_text()
    assert "return 10\n" in text and "return 20\n" in text


def test_a_mode_and_a_text_change_both_land(sandbox: Sandbox) -> None:
    both(sandbox, lambda tree: (tree / "a.py").chmod(0o755), change("a.py", ("return 1", "return 10")))
    assert (sandbox.root / "a.py").stat().st_mode & 0o100
    assert "return 10" in (sandbox.root / "a.py").read_text()


def test_a_real_conflict_names_the_symbol_and_both_texts(sandbox: Sandbox) -> None:
    found = conflict(sandbox, change("a.py", ("return 2", "return 20")), change("a.py", ("return 2", "return 200")))
    [clash] = found.clashes
    assert clash.conflict is not None
    [overlap] = clash.conflict.overlaps
    assert (clash.path, overlap.key) == ("a.py", "second")
    assert overlap.ours is not None and b"return 20\n" in overlap.ours
    assert overlap.theirs is not None and b"return 200\n" in overlap.theirs
    assert "+    return 20\n" in found.other


LONG = """def total(items):
    rate = 1
    found = []
    for item in items:
        found.append(item)
    # below
    kept = sorted(found)
    send(kept, rate)
    return kept
"""


def test_lines_that_are_apart_in_one_symbol_but_not_in_meaning_are_handed_back(sandbox: Sandbox) -> None:
    ours = change("a.py", ("rate = 1", "rate = 100"))
    theirs = change("a.py", ("    return kept\n", "    check(rate)\n    return kept\n"))
    with pytest.raises(MergeConflict) as raised:
        both(sandbox, ours, theirs, LONG)
    [clash] = raised.value.clashes
    assert clash.conflict is not None
    [overlap] = clash.conflict.overlaps
    assert overlap.key == "total" and "one changed rate" in overlap.said


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("rate = 1", "rate = 100"), ("send(kept, rate)", "send(kept[1:], rate)")),
        (("rate = 1", "rate = 1\n    if not items:\n        return None"), ("sorted(found)", "sorted(found[:2])")),
    ],
    ids=["used before", "leaves early"],
)
def test_what_lines_merge_in_one_symbol_lands_as_git_has_it(
    sandbox: Sandbox, ours: tuple[str, str], theirs: tuple[str, str]
) -> None:
    """It is not proven, but nothing speaks against it; that is for the checks."""
    both(sandbox, change("a.py", ours), change("a.py", theirs), LONG)
    assert (sandbox.root / "a.py").read_text() == LONG.replace(*ours).replace(*theirs)


def delete(tree: Path) -> None:
    (tree / "a.py").unlink()


def rename_to(name: str) -> Callable[[Path], object]:
    return lambda tree: (tree / "a.py").rename(tree / name)


def binary(tree: Path) -> None:
    (tree / "a.py").write_bytes(b"\0\1\2")


CHANGE = change("a.py", ("return 1", "return 10"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(delete, CHANGE), (CHANGE, delete), (rename_to("b.py"), rename_to("c.py")), (binary, CHANGE)],
    ids=["delete-change", "change-delete", "two-renames", "binary"],
)
def test_what_can_not_be_both_is_handed_back(
    sandbox: Sandbox, ours: Callable[[Path], object], theirs: Callable[[Path], object]
) -> None:
    assert "a.py" in conflict(sandbox, ours, theirs).files


@pytest.mark.parametrize("strategy", ["rebase", "merge", "squash"])
def test_every_strategy_lands_a_merge_by_symbol(sandbox: Sandbox, strategy: str) -> None:
    sandbox.commit("a.py", BASE, "Base")
    bench = Bench(sandbox, strategy)
    first = bench.work(1, side(bench, 1, change("a.py", ("return 3\n", "return 3\n\n\nclass A:\n    pass\n"))))

    def two_commits(tree: Path) -> None:
        side(bench, 2, change("a.py", ("return 3\n", "return 3\n\n\nclass B:\n    pass\n")))(tree)
        bench.commit(tree, "More", **{"b.py": "x = 1\n"})

    second = bench.work(2, two_commits)
    bench.land(first)
    bench.land(second)
    assert (sandbox.root / "a.py").read_text() == f"{BASE}\n\nclass A:\n    pass\n\n\nclass B:\n    pass\n"
    assert (sandbox.root / "b.py").exists()


def test_only_what_both_changed_is_looked_at(sandbox: Sandbox) -> None:
    sandbox.commit("a.py", BASE, "Base")
    bench = Bench(sandbox)
    first, second = bench.adds(1, **{"b.py": "x = 1\n"}), bench.work(2, side(bench, 2, CHANGE))
    tip = bench.land(first)
    combination = Combination(bench.repository, second.base, tip, second.head)
    combined = combination.combine()
    assert (combination.both, combined.clashes, combined.by_symbol) == ([], (), [])


def test_what_breaks_only_together_is_told_with_the_candidate(sandbox: Sandbox) -> None:
    sandbox.commit("a.py", BASE, "Base")
    bench = Bench(sandbox)
    first = bench.work(1, side(bench, 1, change("a.py", ("def second():", "def renamed():"))))
    second = bench.adds(2, **{"b.py": "from a import second\n\nprint(second())\n"})
    tip = bench.land(first)
    broken = bench.landing.combine(second, tip).broken
    assert [(each.kind, each.provable, each.path, each.line) for each in broken] == [("import", True, "b.py", 1)]
