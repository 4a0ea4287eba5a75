"""What an agent is told that asks whether it may do something. What is not clearly allowed is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from intarsia.agents import Answer, Ask
from intarsia.run.place import Place

YES = Answer(True)


class WorkspaceApprover:
    """Lets an agent change the files of its workspace, and nothing else by its tools for files."""

    def __init__(self, place: Place) -> None:
        self._path = place.path.resolve()
        self._places = (self._path, place.tmp.resolve())

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        if ask.kind != "edit":
            return YES
        if not ask.edits:
            return Answer(False, "It is not clear which file this would change.")
        for edit in ask.edits:
            if not self._is_ours(edit.path):
                return Answer(
                    False, f"{edit.path} is outside your working directory {self._path}: change files in there only."
                )
        return YES

    def _is_ours(self, path: Path) -> bool:
        """Whether it lies in the workspace wherever links lead; what belongs to git is no file of the project."""
        if not path.is_absolute():
            return False
        real = path.resolve()
        return any(place in real.parents and ".git" not in real.relative_to(place).parts for place in self._places)


class SharedApprover:
    """In the tree that all share an agent changes files only by our tools: its own would write over what others do."""

    def __init__(self, place: Place) -> None:
        self._tmp = place.tmp.resolve()

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        if ask.kind != "edit" or (ask.edits and all(self._tmp in edit.path.resolve().parents for edit in ask.edits)):
            return YES
        return Answer(
            False,
            "Others edit the same files at this moment. Change them with the tools read, edit, write, insert and import"
            " of intarsia, or with the commands `intarsia edit`, `intarsia write` …, which keep what others do.",
        )
