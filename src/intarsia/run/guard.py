"""The project's policy in front of whoever else answers an agent that asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from intarsia.agents import Answer, Approver, Ask
from intarsia.workspace.policy import Policy, judge


class Guard:
    """Refuses commands that the policy refuses, and tools that it does not allow; asks `behind` about all else."""

    def __init__(self, policy: Policy, root: Path, behind: Approver) -> None:
        self._policy = policy
        self._root = root
        self._behind = behind

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        if ask.tool and not self._policy.allows_tool(ask.tool):
            return Answer(False, f"This project does not allow the tool {ask.tool} (policy.disallowed_tools).")
        if ask.kind == "shell":
            verdict = judge(ask.command, ask.cwd or self._root, self._root, self._policy)
            if not verdict.allowed:
                return Answer(False, f"{verdict.command}: {verdict.reason} {verdict.instead}".strip())
        return self._behind.answer(ask, withdrawn)
