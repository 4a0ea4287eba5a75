"""The driver that the documentation shows works, and is as short as it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from intarsia.agents import Answer, Ask, Driver, Said, TurnEnd, Waiting
from intarsia.errors import NotReady
from tests.agents.conftest import Stage

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "write-a-driver.md"


@pytest.fixture(scope="module")
def code() -> str:
    (shown,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert isinstance(shown, str)
    return shown


@pytest.fixture
def make(code: str) -> Callable[[str], Driver]:
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    made: Callable[[str], Driver] = names["TinyDriver"]
    return made


class Says:
    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        return Answer(ask.edits[0].text == "good")


def test_it_asks_and_ends(make: Callable[[str], Driver], stage: Stage) -> None:
    script: list[dict[str, Any]] = [
        {"hear": {"task": "Do it."}},
        {"say": {"say": "Hello."}},
        {"say": {"edit": "e-1", "path": "/work/a", "text": "good"}},
        {"hear": {"edit": "e-1", "allow": True}},
        {"say": {"edit": "e-2", "path": "/work/a", "text": "bad"}},
        {"hear": {"edit": "e-2", "allow": False}},
        {"say": {"done": "Bye."}},
    ]
    events = list(make(stage.program(script)).start(stage.turn(approver=Says())).events())
    assert stage.unexpected == ""
    said = [event for event in events if not isinstance(event, Waiting)]
    assert said == [Said("Hello."), TurnEnd("completed", "", "Bye.")]


def test_it_does_not_call_a_death_success(make: Callable[[str], Driver], stage: Stage) -> None:
    *_, end = make(stage.program([{"exit": 0}])).start(stage.turn()).events()
    assert isinstance(end, TurnEnd)
    assert end.outcome == "failed"


def test_it_says_that_its_program_is_missing(make: Callable[[str], Driver]) -> None:
    with pytest.raises(NotReady, match="no-such-tiny"):
        make("no-such-tiny").check()


def test_it_is_short(code: str) -> None:
    classes = code[code.index("class TinyDriver") :]
    assert len([line for line in classes.splitlines() if line.strip()]) <= 40
