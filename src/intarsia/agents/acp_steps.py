"""What an agent of the Agent Client Protocol has told of its steps, and whether it may have made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intarsia.agents.acp_agents import AcpAgent
from intarsia.agents.acp_asks import CHANGING, command_of, edits_of, merged, shown
from intarsia.agents.wire import Json


class Steps:
    """The steps of one turn, by their ids. `written`: the files that it had us write, which was asked for."""

    def __init__(self, workspace: Path, about: AcpAgent) -> None:
        self.refused: set[str] = set()
        self.written: set[Path] = set()
        self._workspace = workspace
        self._about = about
        self._asked: set[str] = set()
        self._known: dict[str, Json] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._known

    @property
    def any(self) -> bool:
        return bool(self._known)

    def update(self, id: str, told: Mapping[str, Any]) -> Json:
        """The step, with what is new of it."""
        step = self._known[id] = merged(self._known.get(id, {}), told)
        if self._about.titles_commands and step.get("kind") == "execute" and "rawInput" not in told:
            step["rawInput"] = {"command": step.get("title")}
        return step

    def ask(self, id: str, told: Mapping[str, Any]) -> Json:
        """The same, as the agent asks for it; what it asks for may say less than what it told before."""
        self._asked.add(id)
        return self.update(id, told)

    def problem(self, id: str) -> str:
        """Of a step that is done: whether it was refused, or is one that has to be asked for and was not."""
        step = self._known[id]
        what = shown(step, self._workspace)
        if step.get("status") != "completed":
            return ""
        if id in self.refused:
            return f"it did what it was not allowed to: {what}"
        return f"it did this without asking: {what}" if id not in self._asked and self._changes(step) else ""

    def _changes(self, step: Json) -> bool:
        if step.get("kind") in CHANGING:
            named = {edit.path for edit in edits_of(step, self._workspace)}
            return not named or not named <= self.written
        through_us = any(part.get("type") == "terminal" for part in step.get("content") or ())
        runs = step.get("kind") == "execute" or bool(command_of(step.get("rawInput") or {}))
        return runs and not through_us and not self._about.reads_unasked
