"""What a session is told whose work can't be beside what landed meanwhile."""

from __future__ import annotations

from tests.support.sandbox import Sandbox, Step
from tests.workspace.test_landing import WAIT_FOR

BASE = "def first():\n    return 1\n\n\ndef second():\n    return 2\n"


def prompt(sandbox: Sandbox, issue: str, turn: int) -> str:
    [session] = [each["id"] for each in sandbox.sessions() if each["issue"] == issue]
    return (sandbox.root / f".intarsia/sessions/{session}/prompt-{turn}.md").read_text()


def run_beside(sandbox: Sandbox, first: list[Step], second: list[Step], repair: list[Step]) -> None:
    """it-1 lands while it-2, begun at the same commit, is still at work; it-2 is told, and then repairs."""
    sandbox.commit("a.py", BASE, "Base")
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    landed: Step = {"write": "landed.txt", "text": "1\n"}
    waits: Step = {"shell": WAIT_FOR.format("landed.txt")}
    turns = {
        "it-1": [[*first, landed, {"commit": "First"}]],
        "it-2": [[waits, *second, {"commit": "Second"}], repair],
    }
    sandbox.ok("run", "--agents", "2", "--agent", sandbox.scenario(turns))


def test_a_conflict_shows_the_symbol_both_texts_and_whose_it_was(sandbox: Sandbox) -> None:
    run_beside(
        sandbox,
        [{"replace": "a.py", "old": "return 2", "new": "return 20"}],
        [{"replace": "a.py", "old": "return 2", "new": "return 200"}],
        [{"shell": "git merge -q -X ours -m Merged origin/main"}],
    )
    told = prompt(sandbox, "it-2", 2)
    assert "- a.py, changed meanwhile by it-1" in told
    assert "`second`: " in told
    assert "    return 20\n" in told and "    return 200\n" in told
    assert sandbox.show("a.py").endswith("return 200")


def test_what_breaks_only_together_goes_back_to_its_session(sandbox: Sandbox) -> None:
    run_beside(
        sandbox,
        [{"replace": "a.py", "old": "def second", "new": "def renamed"}],
        [{"write": "b.py", "text": "from a import second\n\nprint(second())\n"}],
        [{"write": "b.py", "text": "from a import renamed\n\nprint(renamed())\n"}, {"commit": "Follow"}],
    )
    assert "b.py:1: " in prompt(sandbox, "it-2", 2)
    assert sandbox.show("b.py").startswith("from a import renamed")


def test_where_it_is_only_to_be_told_it_lands(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[land]\nbroken = 'notify'\n", "Configure")
    run_beside(
        sandbox,
        [{"replace": "a.py", "old": "def second", "new": "def renamed"}],
        [{"write": "b.py", "text": "from a import second\n\nprint(second())\n"}],
        [],
    )
    assert sandbox.show("b.py").startswith("from a import second")
    [event] = [each for each in sandbox.events() if each["kind"] == "broken_together"]
    assert "b.py:1: " in event["data"]["found"][0]


def test_both_sides_symbols_land_without_a_word(sandbox: Sandbox) -> None:
    run_beside(
        sandbox,
        [{"append": "a.py", "text": "\n\ndef third():\n    return 3\n"}],
        [{"append": "a.py", "text": "\n\ndef fourth():\n    return 4\n"}],
        [],
    )
    assert [each["turn"] for each in sandbox.sessions()] == [1, 1]
    assert sandbox.show("a.py").count("def ") == 4
