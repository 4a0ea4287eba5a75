"""What a patch of Codex would make of files: told where that is plain, and never told wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from intarsia.agents import Edit
from intarsia.agents.codex_tools import edits

TEXT = "import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    x = 1\n    return 1\n"


def patched(folder: Path, *lines: str) -> list[Edit]:
    (folder / "a.py").write_bytes(TEXT.encode())
    return list(edits("\n".join(["*** Begin Patch", *lines, "*** End Patch", ""]), folder))


@pytest.mark.parametrize(
    ("hunks", "expected"),
    [
        (["@@", " def a():", "-    return 1", "+    return 2"], TEXT.replace("return 1", "return 2", 1)),
        (["@@ def b():", "     x = 1", "-    return 1"], TEXT.removesuffix("    return 1\n")),
        (["@@", "-import os", "+import re", "@@", "-    x = 1", "+    y = 1"],
         TEXT.replace("os", "re").replace("x", "y")),
        ([" def a():", "+    pass", "*** End of File"], TEXT.replace("def a():\n", "def a():\n    pass\n")),
        (["@@", "-    return 1", "+    return 2"], None),  # stands there twice
        (["@@", "-    x = 1", "+    y = 1", "@@", "-import os", "+import re"], None),  # not in order
        (["@@", "-    x  = 1", "+    y = 1"], None),  # nearly
        (["@@", "-x = 1", "+y = 1"], None),  # a part of a line
        (["@@", "+new"], None),  # nowhere in particular
        (["@@", "-import os", "+import os\x0c\u2028# x"], TEXT.replace("os\n", "os\x0c\u2028# x\n", 1)),
    ],
)  # fmt: skip
def test_an_update(tmp_path: Path, hunks: list[str], expected: str | None) -> None:
    assert patched(tmp_path, "*** Update File: a.py", *hunks) == [Edit(tmp_path / "a.py", expected)]


def test_files_that_come_and_go(tmp_path: Path) -> None:
    found = patched(
        tmp_path, "*** Add File: new.py", "+x = 1", "+", "*** Delete File: old.py", "*** Update File: a.py",
        "*** Move to: b.py", "@@", "-import os", "+import re", "*** Update File: none.py", "@@", "-x", "+y",
    )  # fmt: skip
    assert found == [
        Edit(tmp_path / "new.py", "x = 1\n\n"),
        Edit(tmp_path / "old.py", None, deletes=True),
        Edit(tmp_path / "a.py", None),
        Edit(tmp_path / "b.py", None),
        Edit(tmp_path / "none.py", None),
    ]


def test_what_can_not_be_decoded_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(b"\xff\nx\n")
    patch = "*** Begin Patch\n*** Update File: b.bin\n@@\n-x\n+y\n*** End Patch"
    assert list(edits(patch, tmp_path)) == [Edit(tmp_path / "b.bin", None)]
