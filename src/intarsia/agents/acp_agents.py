"""What we know of agents that speak the Agent Client Protocol: how each is started, and how it is made to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_SHELL = "A command that was allowed does what it does with all rights that you have: there is no sandbox."
_NO_REASON = "A no reaches its model without a reason until it ends its turn; it is told why then."
_NO_FLAG = "An answer of its model that was declined or cut off at its length looks like any other."
_ENDS = "A no ends its turn; it is told why, and goes on."


@dataclass(frozen=True)
class AcpAgent:
    """One agent. `settings` make it ask: its options for a session, or `mode`, and the values they need.

    `methods`: of its ways to log in, the one for the key in this variable. `reads_unasked`: it runs commands that it
    takes for harmless without asking; anything else that it does without asking ends its turn. `titles_commands`: of a
    command it tells only the title, which is the command. `reads`, `writes` and `terminals`: whether it is offered to
    read and write files, and to run commands, through us. `resumes`: it finds its conversations again. `tools`: it
    starts our tool server. `adds_up`: it tells the tokens of all prompts since it was started. `notices`, `errors`:
    words that are its own, not its model's, by how they begin; with an error as its last words a turn has failed,
    whatever it says. `patience`: seconds it gets to end by itself. `tried`: the version that our tests ran.
    """

    program: str
    arguments: tuple[str, ...] = ()
    package: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    methods: Mapping[str, str] = field(default_factory=dict)
    model: str = ""  # its argument that names the model; without one, an option of the session does
    reads_unasked: bool = False
    reads: bool = True
    writes: bool = True
    terminals: bool = True
    titles_commands: bool = False
    resumes: bool = True
    tools: bool = True
    adds_up: bool = False
    notices: str = ""
    errors: str = ""
    patience: float = 5.0
    tried: str = ""
    weaker: tuple[str, ...] = ()


# One that we know nothing of: it is offered all, and whatever it does without asking ends its turn.
UNKNOWN = AcpAgent(
    "",
    weaker=(
        "What it does without asking, and does not tell, is noticed only when it lands.",
        _SHELL,
        _NO_REASON,
    ),
)

AGENTS: Mapping[str, AcpAgent] = {
    "gemini": AcpAgent(
        "gemini",
        ("--acp",),
        package="@google/gemini-cli",
        settings={"mode": "default"},
        env={"GEMINI_CLI_NO_RELAUNCH": "true"},
        methods={"GEMINI_API_KEY": "gemini-api-key"},
        model="--model=",
        reads=False,  # it takes our word that a file is not there for a failure, and then can't create it
        terminals=False,
        titles_commands=True,
        resumes=False,  # it says for about every second one that there is none
        patience=0.5,  # some versions go on for long after their input has ended
        tried="0.61.0",
        weaker=(
            "It often does not find its conversations again: what does not go on in its process begins a new one.",
            _NO_FLAG,
            _SHELL,
            _NO_REASON,
        ),
    ),
    "copilot": AcpAgent(
        "copilot",
        ("--acp",),
        package="@github/copilot",
        settings={"mode": "https://agentclientprotocol.com/protocol/session-modes#agent", "allow_all": "off"},
        env={"COPILOT_AUTO_UPDATE": "false"},
        model="--model=",
        reads=False,
        writes=False,
        terminals=False,
        reads_unasked=True,
        adds_up=True,
        tried="1.0.102",
        tools=False,
        notices="Info: ",
        errors="Error: ",
        weaker=(_ENDS, "Commands that it takes for harmless it runs without asking.", _NO_FLAG, _SHELL),
    ),
    "opencode": AcpAgent(
        "opencode",
        ("acp",),
        package="opencode-ai",
        settings={"mode": "build"},
        env={
            "OPENCODE_PERMISSION": '{"edit": "ask", "bash": "ask", "webfetch": "ask", "external_directory": "ask"}',
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
        },
        reads=False,
        writes=False,
        terminals=False,
        tried="1.18.33",
        weaker=(
            "It tells nobody whether it asks: that it does not is noticed when it has done something.",
            "It tells the tokens of its last answer only.",
            "An answer of its model that was cut off at its length looks like any other.",
            _ENDS,
            _SHELL,
        ),
    ),
    "claude-agent-acp": AcpAgent(
        "claude-agent-acp",
        package="@agentclientprotocol/claude-agent-acp",
        settings={"mode": "default"},
        reads=False,
        writes=False,
        terminals=False,
        reads_unasked=True,
        tried="0.100.0",
        weaker=(
            "What your own settings of Claude Code allow it does without asking; an edit among that ends its turn.",
            "The driver claude asks for everything.",
            _SHELL,
            _NO_REASON,
        ),
    ),
    "codex-acp": AcpAgent(
        "codex-acp",
        package="@agentclientprotocol/codex-acp",
        settings={"mode": "read-only"},
        methods={"CODEX_API_KEY": "api-key", "OPENAI_API_KEY": "api-key"},
        reads=False,
        writes=False,
        terminals=False,
        reads_unasked=True,
        errors=r"unexpected status \d|stream disconnected|exceeded retry|We.re currently|Incomplete response returned",
        tried="2.6.0",
        weaker=(
            "What its model's server fails at it tells in words, of which we know some; a declined answer has none.",
            "Commands run in its read-only sandbox without asking; those that leave it ask, and have all your rights.",
            _ENDS,
        ),
    ),
    "cursor": AcpAgent(
        "cursor-agent",
        ("acp",),
        settings={"mode": "agent"},
        model="--model=",
        weaker=("None of our tests ever ran it.", _SHELL, _NO_REASON),
    ),
    "goose": AcpAgent(
        "goose",
        ("acp",),
        settings={"mode": "approve"},
        env={"GOOSE_MODE": "approve"},
        weaker=("None of our tests ever ran it.", _SHELL, _NO_REASON),
    ),
}
