"""Questions to an approver: whatever is not a clear yes is a no."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest

from intarsia.agents import Answer, Ask, Nobody
from intarsia.agents.asking import Questions
from tests.support.until import until

ASK = Ask("shell", command="make")


class Says:
    def __init__(self, answer: object) -> None:
        self._answer = answer

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        if isinstance(self._answer, Exception):
            raise self._answer
        return cast(Answer, self._answer)


def ask(answer: object, *, changes: bool = False) -> Answer:
    questions = Questions(Says(answer), changes=changes)
    asked = questions.put(ASK)
    asked.exception(60)
    questions.withdraw()
    return questions.read(asked)


def test_a_yes_is_a_yes() -> None:
    assert ask(Answer(True)) == Answer(True)


@pytest.mark.parametrize("answer", [Answer(False, "no"), None, True, "yes", OSError("gone"), ValueError()])
def test_all_else_is_a_no(answer: object) -> None:
    assert not ask(answer).allow


def test_a_yes_with_changes_is_one_only_where_they_can_be_made() -> None:
    changed = Answer(True, "Use this.", command="make -k")
    assert ask(changed, changes=True) == changed
    assert not ask(changed).allow
    assert not ask(Answer(True, text="")).allow


def test_without_an_approver_nothing_is_allowed() -> None:
    assert not Nobody().answer(ASK, lambda: False).allow


def test_the_answer_comes_when_it_is_there_and_questions_do_not_wait_for_each_other() -> None:
    first, answers = threading.Event(), []

    class Slow:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            assert ask.command != "first" or first.wait(60)
            return Answer(True, ask.command)

    questions = Questions(Slow())
    waiting = questions.put(Ask("shell", command="first"), lambda answer: answers.append(answer.reason))
    questions.put(Ask("shell", command="second")).result(60)
    assert answers == []
    first.set()
    waiting.result(60)
    questions.withdraw()
    until(lambda: answers == ["first"])


def test_a_withdrawn_question_is_told_so_and_gets_no_answer() -> None:
    ended, answers = threading.Event(), []

    class Patient:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            until(withdrawn)
            ended.set()
            return Answer(True)

    questions = Questions(Patient())
    asked = questions.put(ASK, lambda answer: answers.append(answer))
    questions.withdraw()
    asked.result(60)
    assert ended.is_set()
    assert answers == []
