"""Trying an agent: one small task after another in a scratch repository, through the driver that a run would use."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from intarsia.agents import Answer, Ask, Conversation, Driver, Event, Limits, Turn, TurnEnd, environment
from intarsia.agents.supervision import end_marked, watch

STEPS: Mapping[str, str] = {
    "edit": "Create the file hello.txt with the one line `hello`, with your tool for files. Do nothing else.",
    "refused edit": "Create the file refused.txt with the one line `no`, with your tool for files. It may be refused: "
    "then do nothing else, and in no other way.",
    "refused command": "Run the shell command `touch refused.txt`. It may be refused: then do nothing else.",
    "commit": "Commit hello.txt with git, with the message `Say hello`. Do nothing else.",
    "resume": "What is the name of the file that you committed? Answer with this name only.",
}


@dataclass(frozen=True)
class Finding:
    """What came of one step; `ok` is None where the driver can't do it, which `detail` says."""

    step: str
    ok: bool | None
    detail: str


@dataclass
class _Approver:
    """Allows all, but what would make the file that is to be refused."""

    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        refused = "refused.txt" in f"{ask.command} {[edit.path.name for edit in ask.edits]}"
        return Answer(not refused, "This is the step that is refused, to see that it is not done.")


class SelfCheck:
    """`note` is put before each prompt; `{step}` in it stands for the step's name."""

    def __init__(
        self, driver: Driver, env: Mapping[str, str], identity: tuple[str, str], *, wall: int, note: str = ""
    ) -> None:
        self._driver = driver
        self._env = env
        self._identity = identity
        self._limits = Limits(wall, 0, 64 * 1024 * 1024)
        self._note = note
        self._approver = _Approver()
        self._conversation = ""
        self._session = f"s-{secrets.token_hex(4)}"

    def run(self) -> Iterator[Finding]:
        """One finding after another; all that was made for it is gone at the end."""
        with tempfile.TemporaryDirectory(prefix="intarsia-") as place:
            root, folder = Path(place) / "scratch", Path(place) / "session"
            for directory in (root, folder, folder / "tmp"):
                directory.mkdir()
            self._root, self._folder = root, folder
            name, email = self._identity
            for command in (
                ("init", "--quiet"),
                ("config", "user.name", name),
                ("config", "user.email", email),
                ("commit", "--quiet", "--allow-empty", "--message=First commit"),
            ):
                self._git(*command)
            for number, step in enumerate(STEPS, start=1):
                yield self._try(step, number)

    def _try(self, step: str, number: int) -> Finding:
        able = self._driver.capabilities
        if step == "resume" and not able.resumes:
            return Finding(step, None, "each turn is a conversation of its own, or the agent's own business")
        if (step == "refused edit" and not able.asks_edits) or (step == "refused command" and not able.asks_shell):
            return Finding(step, None, "it does not ask before it acts")
        self._approver.asked.clear()
        before = self._conversation
        end = self._play(step, number)
        if end.outcome != "completed":
            return Finding(step, False, f"its turn ended as {end.outcome}: {end.detail}")
        problem = self._problem(step, end, before)
        return Finding(step, not problem, problem or "as it should be")

    def _play(self, step: str, number: int) -> TurnEnd:
        env = {
            **self._env,
            environment.MARKER: self._session,
            "INTARSIA_ROLE": "agent",
            "TMPDIR": str(self._folder / "tmp"),
        }
        prompt = f"{self._note.replace('{step}', step.replace(' ', '-'))}{STEPS[step]}\n"
        turn = Turn(
            session=self._session,
            issue="selfcheck",
            number=number,
            prompt=prompt,
            workspace=self._root,
            folder=self._folder,
            env=env,
            limits=self._limits,
            conversation=self._conversation,
            approver=self._approver,
        )
        turn.prompt_file.write_text(prompt, encoding="utf-8")
        try:
            return watch(self._driver.start(turn), self._limits, self._hear, lambda: False)
        finally:
            end_marked(self._session)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Conversation):
            self._conversation = event.id

    def _problem(self, step: str, end: TurnEnd, before: str) -> str:
        """What is not as it should be after a step."""
        able, asked = self._driver.capabilities, {ask.kind for ask in self._approver.asked}
        hello = self._root / "hello.txt"
        match step:
            case "edit" if not hello.is_file() or hello.read_text(errors="replace").strip() != "hello":
                return "hello.txt is not there, or not as it should be"
            case "edit" if able.asks_edits and "edit" not in asked:
                return "it wrote hello.txt without asking"
            case "refused edit" | "refused command" if (self._root / "refused.txt").exists():
                return "what was refused was done all the same"
            case "refused edit" | "refused command" if not asked & {"edit", "shell"}:
                return "it did not try, so nothing was refused"
            case "commit" if "hello.txt" not in self._git("ls-tree", "--name-only", "HEAD"):
                return "there is no commit with hello.txt"
            case "resume" if self._conversation != before or "hello.txt" not in end.last_message:
                return f"it does not remember: {end.last_message[:200]!r}"
        return ""

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self._root, capture_output=True, text=True, check=True)
        return done.stdout
