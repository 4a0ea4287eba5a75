from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from intarsia import errors
from intarsia.errors import Held, IntarsiaError, NotReady


def tree(of: type[IntarsiaError]) -> Iterator[type[IntarsiaError]]:
    yield of
    for below in of.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from tree(below)


def test_every_error_is_drawn_with_its_exit_code() -> None:
    drawn = {}
    for line in (errors.__doc__ or "").splitlines()[2:]:
        name, code, *_ = line.strip("│├└─ ").split()
        drawn[name] = int(code)
    assert drawn == {error.__name__: error.exit_code for error in tree(IntarsiaError)}


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in tree(IntarsiaError)]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", list(tree(IntarsiaError)))
def test_an_error_is_one_json_object(error: type[IntarsiaError]) -> None:
    made = error("It is so.", hint="Do that.", resource="issue:1")
    assert json.loads(json.dumps(made.as_json())) == {
        "ok": False,
        "code": error.code,
        "message": "It is so.",
        "hint": "Do that.",
        "resource": "issue:1",
    }
    assert str(made) == "It is so."


def test_a_hint_is_optional() -> None:
    assert NotReady("No.").as_json() == {"ok": False, "code": "not_ready", "message": "No.", "hint": ""}
    assert isinstance(Held("x"), IntarsiaError)
