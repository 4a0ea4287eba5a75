"""What an agent is told that asks whether it may do something. What is not clearly allowed is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from intarsia.agents import Answer, Ask, Edit
from intarsia.kernel.modes import Mode, stronger
from intarsia.kernel.overlap import Advised, Arbiter, Refused
from intarsia.run.place import Place

YES = Answer(True)


class WorkspaceApprover:
    """Lets an agent change the files of its workspace, and nothing else by its tools for files.

    What an edit touches is leased first; where another session holds it, `arbiter` decides. An edit whose text its
    driver can't tell touches the whole file.
    """

    def __init__(self, place: Place, arbiter: Arbiter) -> None:
        self._path = place.path.resolve()
        self._places = (self._path, place.tmp.resolve())
        self._arbiter = arbiter

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
        return self._arbitrated(ask.edits, withdrawn)

    def _is_ours(self, path: Path) -> bool:
        """Whether it lies in the workspace wherever links lead; what belongs to git is no file of the project."""
        if not path.is_absolute():
            return False
        real = path.resolve()
        return any(place in real.parents and ".git" not in real.relative_to(place).parts for place in self._places)

    def _arbitrated(self, edits: Sequence[Edit], withdrawn: Callable[[], bool]) -> Answer:
        needs: dict[str, Mode] = {}
        for edit in edits:
            for name, mode in self._needs(edit).items():
                needs[name] = stronger(mode, needs.get(name, mode))
        found = self._arbiter.ask(needs, "editing", withdrawn)
        if isinstance(found, Refused):
            return Answer(False, found.text)
        return Answer(True, found.text) if isinstance(found, Advised) else YES

    def _needs(self, edit: Edit) -> Mapping[str, Mode]:
        real = edit.path.resolve()
        if self._path not in real.parents:
            return {}
        from intarsia.code.leases import needs  # and with it the grammars
        from intarsia.code.touched import FILE
        from intarsia.workspace.edits import Proposal, changes_of

        path = real.relative_to(self._path).as_posix()
        if edit.text is None:
            return {**needs(path, [FILE])}
        before = real.read_bytes() if real.is_file() else None
        after = edit.text.encode("utf-8", "surrogateescape")
        return {**needs(path, changes_of(path, Proposal(before, after, None, follows_disk=True), None))}


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
