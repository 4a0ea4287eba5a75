"""Whole files: added, deleted, of other modes and kinds, and under the name they are to have."""

from __future__ import annotations

import pytest

from intarsia.code.merging.files import EXECUTABLE, LINK, MODULE, REGULAR, File, merge_files
from intarsia.code.merging.merge import Conflict

OLD = File(REGULAR, b"def a():\n    return 1\n\n\ndef b():\n    return 2\n")
OURS = File(REGULAR, OLD.data.replace(b"return 1", b"return 11"))
THEIRS = File(REGULAR, OLD.data.replace(b"return 2", b"return 22"))
BOTH = File(REGULAR, OURS.data.replace(b"return 2", b"return 22"))


def with_mode(file: File, mode: int) -> File:
    return File(mode, file.data)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        (OLD, OURS, THEIRS, BOTH),
        (OLD, None, OLD, None),
        (OLD, None, None, None),
        (OLD, None, THEIRS, Conflict),
        (OLD, None, with_mode(OLD, EXECUTABLE), Conflict),
        (None, OURS, None, OURS),
        (None, OURS, OURS, OURS),
        (None, OURS, THEIRS, Conflict),
        (None, File(REGULAR, b"def a():\n    pass\n"), File(REGULAR, b"\n\ndef b():\n    pass\n"), None),
        (OLD, with_mode(OLD, EXECUTABLE), THEIRS, with_mode(THEIRS, EXECUTABLE)),
        (OLD, with_mode(OURS, EXECUTABLE), THEIRS, with_mode(BOTH, EXECUTABLE)),
        (OLD, with_mode(OURS, EXECUTABLE), with_mode(THEIRS, EXECUTABLE), with_mode(BOTH, EXECUTABLE)),
        (None, with_mode(OURS, EXECUTABLE), OURS, Conflict),
        (OLD, File(LINK, b"there"), OLD, File(LINK, b"there")),
        (OLD, File(LINK, b"there"), THEIRS, Conflict),
        (OLD, File(LINK, b"there"), with_mode(OLD, EXECUTABLE), Conflict),
        (File(LINK, b"a"), File(LINK, b"b"), File(LINK, b"a"), File(LINK, b"b")),
        (File(LINK, b"a\n"), File(LINK, b"b\n"), File(LINK, b"c\n"), Conflict),
        (File(MODULE, b"1" * 40), File(MODULE, b"2" * 40), File(MODULE, b"3" * 40), Conflict),
        (File(REGULAR, b"\0a"), File(REGULAR, b"\0b"), File(REGULAR, b"\0a"), File(REGULAR, b"\0b")),
        (File(REGULAR, b"\0a\n\n\n"), File(REGULAR, b"\0b\n\n\n"), File(REGULAR, b"\0a\n\n\nc"), Conflict),
    ],
)
def test_files(base: File | None, ours: File | None, theirs: File | None, merged: object) -> None:
    for one, two in ((ours, theirs), (theirs, ours)):
        found = merge_files("a.py", base, one, two)
        if merged is Conflict:
            assert isinstance(found, Conflict)
            assert found.overlaps
        elif base is None and merged is None:
            assert isinstance(found, File)
            assert sorted(found.data.split()) == sorted(b"def a(): pass def b(): pass".split())
        else:
            assert found == merged


def test_the_new_name_tells_the_language() -> None:
    """Git follows a rename; what was text may be source now."""
    ours = File(REGULAR, b"import re\n" + OLD.data)
    theirs = File(REGULAR, b"import sys\n" + OLD.data)
    assert isinstance(merge_files("a.txt", OLD, ours, theirs), Conflict)
    assert merge_files("a.py", OLD, ours, theirs) == File(REGULAR, b"import re\nimport sys\n" + OLD.data)
