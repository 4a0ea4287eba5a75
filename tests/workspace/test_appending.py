"""Lines added to what all may add to."""

from __future__ import annotations

import pytest

from intarsia.code.touched import Change
from intarsia.workspace.appending import add_to, needs_of
from intarsia.workspace.edits import Proposal, changes_of

BASE = b"import os\n\n\ndef register(found):\n    found[1] = 1\n    found[2] = 2\n    return found\n\n\nTABLE = {\n}\n"


def proposal(base: bytes, wanted: bytes) -> Proposal:
    return Proposal(base, wanted, (wanted,), follows_disk=False)


def needed(base: bytes, wanted: bytes, *patterns: str) -> dict[str, str]:
    change = proposal(base, wanted)
    return dict(needs_of("a.py", change, changes_of("a.py", change, None), patterns))


ADDED = BASE.replace(b"    return", b"    found[3] = 3\n    return")


@pytest.mark.parametrize(
    ("wanted", "patterns", "needs"),
    [
        (ADDED, ["a.py#register"], {"code:a.py#register": "append"}),
        (ADDED, ["*#reg*"], {"code:a.py#register": "append"}),
        (ADDED, [], {"code:a.py#register/body": "exclusive"}),
        (ADDED, ["b.py#register"], {"code:a.py#register/body": "exclusive"}),
        (BASE.replace(b"found[1] = 1", b"found[1] = 7"), ["a.py#*"], {"code:a.py#register/body": "exclusive"}),
        (BASE.replace(b"    found[1] = 1\n", b""), ["a.py#*"], {"code:a.py#register/body": "exclusive"}),
        (BASE.replace(b"TABLE = {\n", b"TABLE = {\n    1: 1,\n"), ["a.py#TABLE"], {"code:a.py#TABLE": "append"}),
        (
            ADDED.replace(b"import os\n", b"import os\nimport sys\n"),
            ["a.py#register"],
            {"code:a.py": "imports", "code:a.py#register": "append"},
        ),
    ],
    ids=["added", "pattern", "not said", "other file", "changed", "removed", "table", "with an import"],
)
def test_what_is_held(wanted: bytes, patterns: list[str], needs: dict[str, str]) -> None:
    assert needed(BASE, wanted, *patterns) == needs


def test_it_is_added_beside_the_line_that_it_stands_beside() -> None:
    """The other version has these lines in another order, and one of them not."""
    other = BASE.replace(
        b"    found[1] = 1\n    found[2] = 2\n", b"    found[9] = 9\n    found[2] = 2\n    found[8] = 8\n"
    )
    assert add_to("a.py", other, proposal(BASE, ADDED), ["register"]) == other.replace(
        b"    found[2] = 2\n", b"    found[2] = 2\n    found[3] = 3\n"
    )
    without = BASE.replace(b"    found[1] = 1\n    found[2] = 2\n", b"")
    assert add_to("a.py", without, proposal(BASE, ADDED), ["register"]) == without.replace(
        b"    return", b"    found[3] = 3\n    return"
    )


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace(b"found[1] = 1\n    found[2] = 2\n    return found", b"return dict(found)"),
        BASE.replace(b"def register", b"def enroll"),
        BASE.replace(b"    return found", b"    return (found"),
        BASE.replace(b"    return", b"    found[3] = 3\n    found[4] = 4\n    return"),
        None,
    ],
    ids=["no line like it", "no such symbol", "broken", "there already", "no file"],
)
def test_where_it_is_not_clear_what_to_do_nothing_is_added(other: bytes | None) -> None:
    if other is not None and b"(found" in other:
        other = other.replace(b"    found[2] = 2\n", b"")
    assert add_to("a.py", other, proposal(BASE, ADDED), ["register"]) is None


def test_a_change_without_its_symbol_adds_nothing() -> None:
    change = Change("body", "nothing")
    assert needs_of("a.py", proposal(BASE, ADDED), [change], ["a.py#*"]) == {"code:a.py#nothing/body": "exclusive"}
