"""Codex in its simple mode, `codex exec --json`: a prompt goes in, events come out, and nobody is asked.

What keeps it in its workspace is its own sandbox: it writes there, in the session's git repository and its `TMPDIR`,
and has no network. So it can reach neither our tools nor our database, and ends without a commit by its last words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from intarsia.agents import (
    AgentEvent,
    Capabilities,
    Conversation,
    RateLimit,
    Running,
    Said,
    ToolResult,
    ToolUse,
    Turn,
    TurnEnd,
    Usage,
)
from intarsia.agents.codex import KEYS, STARTS, pause, program, script_of
from intarsia.agents.codex_ends import DECLINED, message_of
from intarsia.agents.outcomes import of_error
from intarsia.agents.programs import said_version
from intarsia.agents.wire import Json, Wire, died, one_line
from intarsia.agents.wired import AGAIN, WiredTurn

SANDBOX = (
    "--sandbox=workspace-write",
    "--config=sandbox_workspace_write.exclude_slash_tmp=true",
    "--config=sandbox_workspace_write.network_access=false",
)
LOST = "no rollout found"


class CodexExecDriver:
    name = "codex"
    capabilities = Capabilities(
        resumes=True,
        guides=("AGENTS.md",),
        usage=True,
        weaker=(
            "It does not ask: what it writes and runs is kept in its workspace by its own sandbox only, which has no "
            "network; what it changed is judged when it lands.",
            "Its sandbox needs a machine that lets users make namespaces; elsewhere all that it does fails.",
            "It can't call our tools nor our commands, and a tool server of yours that is down is not noticed.",
            "It tells tokens, at the end of a turn only, but no cost, and leaves out what a model says that declines.",
        ),
    )

    def __init__(self, model: str = "", options: Sequence[str] = (), command: str = "") -> None:
        self._options = [*([f"--model={model}"] if model else []), *options]
        self._command = command

    def check(self) -> None:
        program(self._command)

    def version(self) -> str:
        return said_version(program(self._command)).rpartition(" ")[2]

    def start(self, turn: Turn) -> Running:
        return CodexExecTurn(turn, program(self._command), self._options)

    def adopt(self, turn: Turn) -> Running | None:
        """It tells its events to the supervisor that started it."""
        return None


class CodexExecTurn(WiredTurn):
    """Of Codex, in a process of its own."""

    def __init__(self, turn: Turn, program: str, options: Sequence[str]) -> None:
        self._turn = turn
        self._argv = [program, "exec", "--json", *SANDBOX, *_writable(turn), *options]
        self._conversation = turn.conversation
        self._last_words = ""
        self._starts = 0
        self._connect()

    def _connect(self) -> None:
        self._starts += 1
        self._spoke = False
        resume = ["resume", self._conversation] if self._conversation else []
        key = next((self._turn.env[name] for name in KEYS if self._turn.env.get(name)), "")
        env = {**self._turn.env, **({KEYS[0]: key} if key else {})}
        self._wire = Wire(self._turn, [*self._argv, *resume, "-"], env, self._hear, self._gone)
        self._wire.begin()
        self._wire.write(self._turn.prompt)
        self._wire.hang_up()

    def _gone(self, code: int) -> TurnEnd:
        """Without an event it did not begin: its conversation is gone, or others began at once in the same new home."""
        if self._spoke or code != 1:
            return died(code)
        words = self._turn.output_file.read_text(encoding="utf-8", errors="replace").strip()
        if LOST in words:
            self._conversation = ""
        return AGAIN if self._starts < STARTS else TurnEnd("failed", one_line(words[-400:]) or died(code).detail)

    def _again(self) -> Iterator[AgentEvent]:
        yield from pause(self._starts)
        self._connect()
        yield from self.events()

    def _hear(self, message: Json) -> None:
        self._spoke = True
        match message:
            case {"type": "thread.started", "thread_id": str(id)}:
                self._conversation = id
                self._wire.tell(Conversation(id))
            case {"type": "item.started", "item": item} if text := _shown(item):
                self._last_words = ""
                self._wire.tell(ToolUse(item["id"], text))
            case {"type": "item.completed", "item": {"type": "agent_message", "text": str(text)}}:
                self._last_words = text
                self._wire.tell(Said(text))
            case {"type": "item.completed", "item": item} if _shown(item):
                output = str(item.get("aggregated_output") or "")
                self._wire.tell(ToolResult(item["id"], item.get("status") == "completed", output))
            case {"type": "error", "message": str(text)} if text.startswith("Reconnecting"):
                self._wire.tell(RateLimit(f"The model's server: {one_line(text)}"))
            case {"type": "turn.completed"}:
                self._complete(message.get("usage") or {})
            case {"type": "turn.failed", "error": error}:
                text = message_of(error)
                self._wire.finish(TurnEnd(of_error(text), text, self._last_words))

    def _complete(self, used: Json) -> None:
        given, cached, output = (int(used.get(f"{name}_tokens") or 0) for name in ("input", "cached_input", "output"))
        self._wire.tell(Usage(self._conversation, given, cached, output))
        words = self._last_words
        self._wire.finish(TurnEnd("completed", "", words) if words else TurnEnd("refused", DECLINED))


# Says that the program is to be started again.


def _writable(turn: Turn) -> list[str]:
    """The session's own repository, without which it could not commit; that of a tree that it shares stays closed."""
    place = turn.workspace / ".git"
    if turn.env.get("INTARSIA_ROOT") == str(turn.workspace):
        return []
    if place.is_file():
        place = turn.workspace / place.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
    return [f"--add-dir={place}"]


def _shown(item: Json) -> str:
    """One line about a use of a tool; nothing for what is none."""
    match item:
        case {"type": "command_execution", "command": str(command)}:
            return one_line(f"exec_command {script_of(command)}")
        case {"type": "file_change", "changes": changes}:
            return one_line("apply_patch " + " ".join(str(change.get("path")) for change in changes))
        case {"type": "mcp_tool_call" | "web_search" as kind}:
            return one_line(f"{item.get('tool') or kind} {item.get('query') or item.get('arguments') or ''}")
    return ""
