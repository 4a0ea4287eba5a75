"""`intarsia code outline` and `intarsia code touched` on a real repository."""

from __future__ import annotations

import pytest

from tests.support.sandbox import Sandbox

SOURCE = "import os\n\n\nclass Shape:\n    sides = 3\n\n    def area(self):\n        return 1\n\n\ndef f():\n    pass\n"


@pytest.fixture
def shapes(sandbox: Sandbox) -> Sandbox:
    sandbox.commit("src/shapes.py", SOURCE, "Add shapes")
    return sandbox


def test_an_outline_shows_symbols_and_lines(shapes: Sandbox) -> None:
    text = shapes.ok("code", "outline", "src/shapes.py")
    assert [line.split(maxsplit=2) for line in text.splitlines()] == [
        ["1-1", "import", "import os"],
        ["4-8", "class_definition", "Shape"],
        ["5-5", "assignment", "Shape.sides"],
        ["7-8", "function_definition", "Shape.area"],
        ["11-12", "function_definition", "f"],
    ]


def test_an_outline_as_json(shapes: Sandbox) -> None:
    found = shapes.json("code", "outline", "src/shapes.py")
    assert (found["language"], found["broken"]) == ("python", False)
    shape = found["units"][1]
    assert (shape["key"], shape["first_line"], shape["last_line"]) == ("Shape", 4, 8)
    assert [member["key"] for member in shape["units"]] == ["Shape.sides", "Shape.area"]
    shapes.write("notes.txt", "some\ntext\n")
    notes = shapes.json("code", "outline", "notes.txt")
    assert notes["language"] is None and [unit["kind"] for unit in notes["units"]] == ["file"]


def test_touched_compares_with_head(shapes: Sandbox) -> None:
    assert "Nothing is touched." in shapes.ok("code", "touched", "src/shapes.py")
    shapes.write("src/shapes.py", SOURCE.replace("return 1", "return 2").replace("import os\n", "import os, re\n"))
    found = shapes.json("code", "touched", "src/shapes.py")
    assert found["path"] == "src/shapes.py"
    assert {"kind": "body", "key": "Shape.area", "into": ""} in found["changes"]
    assert found["leases"] == {"code:src/shapes.py": "imports", "code:src/shapes.py#Shape.area/body": "exclusive"}
    text = shapes.ok("code", "touched", "src/shapes.py")
    assert "body     Shape.area" in text and "exclusive  code:src/shapes.py#Shape.area/body" in text


def test_touched_names_the_symbol_of_a_broken_file(shapes: Sandbox) -> None:
    shapes.write("src/shapes.py", SOURCE.replace("return 1", "return (1"))
    found = shapes.json("code", "touched", "src/shapes.py")
    assert [(change["kind"], change["key"]) for change in found["changes"]] == [("body", "Shape.area")]


def test_touched_compares_with_a_file(shapes: Sandbox) -> None:
    shapes.write("old.py", SOURCE.replace("def f", "def g"))
    text = shapes.ok("code", "touched", "src/shapes.py", "--base", "old.py")
    assert "renamed  g → f" in text


def test_what_is_touched_can_be_locked(shapes: Sandbox) -> None:
    shapes.write("src/shapes.py", SOURCE.replace("sides = 3", "sides = 4"))
    (uri,) = shapes.json("code", "touched", "src/shapes.py")["leases"]
    shapes.ok("agent", "join", "alice")
    shapes.ok("lock", "acquire", uri)


@pytest.mark.parametrize("command", ["outline", "touched"])
def test_a_file_that_is_not_there(shapes: Sandbox, command: str) -> None:
    said = shapes.call("code", command, "nothing.py", "--json")
    assert said.returncode == 4
    assert '"code": "not_found"' in said.stdout
    assert shapes.call("code", command, "src").returncode == 4


def test_a_file_that_head_does_not_have(shapes: Sandbox) -> None:
    shapes.write("new.py", "x = 1\n")
    said = shapes.call("code", "touched", "new.py")
    assert said.returncode == 4
    assert "HEAD has no file new.py" in said.stderr and "--base" in said.stderr
