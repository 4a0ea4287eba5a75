"""Whether an agent may run a shell command, judged by its parsed words before it runs.

It keeps agents from mistakes; it is no sandbox: what a program does that is allowed to run, nobody can tell from its
name. What can't be read with certainty is refused.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from intarsia import config
from intarsia.errors import ConfigError
from intarsia.workspace import git_rules, writes
from intarsia.workspace.commands import Simple, simple_commands
from intarsia.workspace.dangers import Rules
from intarsia.workspace.git_rules import Refusal
from intarsia.workspace.ground import Ground, real
from intarsia.workspace.words import Unparsable, Word
from intarsia.workspace.writes import Writes

NOTHING = Writes((), True)
_VARIABLES = ("HOME", "TMPDIR", "XDG_CACHE_HOME")
_PLAIN_HINT = "Write it in a simpler way: one command at a time, without eval; put long texts into a file."


@dataclass(frozen=True)
class Policy:
    """`allow` and `deny` are patterns of commands; `environ` is the agent's environment, empty for ours; below
    `writable`, and in its temporary and cache directory, it may write too. `shared`: others edit its workspace with it.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    writable: tuple[Path, ...] = ()
    shared: bool = False

    @classmethod
    def of(
        cls,
        settings: config.Policy,
        environ: Mapping[str, str] | None = None,
        *,
        writable: Sequence[Path] = (),
        shared: bool = False,
    ) -> Policy:
        """As configured; raises ConfigError for a pattern that is none."""
        for pattern in (*settings.allow, *settings.deny):
            try:
                words = shlex.split(pattern)
            except ValueError as error:
                raise ConfigError(f"policy: {pattern!r} is no command: {error}.", hint="Write: 'git tag *'") from error
            if not words:
                raise ConfigError("policy: an empty pattern.", hint="Write: 'git tag *'")
        return cls(
            tuple(settings.allow),
            tuple(settings.deny),
            tuple(settings.disallowed_tools),
            environ or {},
            tuple(writable),
            shared,
        )

    def allows_tool(self, name: str) -> bool:
        """Whether an agent may use its tool of this name; `disallowed_tools` may hold patterns."""
        return not any(fnmatchcase(name, pattern) for pattern in self.disallowed_tools)


@dataclass(frozen=True)
class Verdict:
    """Of a whole command line: the first objection, and the files it would write."""

    allowed: bool
    reason: str = ""
    instead: str = ""
    command: str = ""
    writes: Writes = NOTHING


def judge(command: str, cwd: Path, root: Path, policy: Policy) -> Verdict:
    """May a session with workspace `root` run this in `cwd`? Reads links and patterns on disk, and changes nothing."""
    cwd = real(cwd, through=True)
    environ = policy.environ or os.environ
    known = {name: environ[name] for name in _VARIABLES if environ.get(name, "").startswith("/")}
    ground = Ground(real(root, through=True), tuple(real(place, through=True) for place in _writable(policy, known)))
    try:
        found = simple_commands(command, cwd, {**known, "PWD": "."})
    except Unparsable as error:
        return Verdict(False, error.message, _PLAIN_HINT, command, Writes((), False))
    rules = Rules(ground, policy.shared)
    written = _together([writes.written(simple, ground) for simple in found])
    for simple in found:
        refusal = _judge(simple, rules, policy)
        if refusal is not None:
            return Verdict(False, refusal.reason, refusal.instead, shown(simple), written)
    return Verdict(True, writes=written)


def _writable(policy: Policy, known: Mapping[str, str]) -> list[Path]:
    own = [known[name] for name in ("TMPDIR", "XDG_CACHE_HOME") if name in known]
    return [*policy.writable, *map(Path, ("/tmp", "/var/tmp", *own))]


def _judge(simple: Simple, rules: Rules, policy: Policy) -> Refusal | None:
    words = _normal(simple)
    for pattern in policy.deny:
        if words and matches(pattern, words, unknown=True):
            return Refusal(f"The project's policy denies {pattern!r}.", "See [policy] in intarsia.toml.")
    refusal = rules.judge(simple)
    if refusal is not None and words and any(matches(pattern, words, unknown=False) for pattern in policy.allow):
        return None
    return refusal


def _normal(simple: Simple) -> list[Word]:
    """The command as patterns name it: the program without its directory, git without git's own options."""
    if not simple.words:
        return []
    call = git_rules.call(simple.args) if simple.name == "git" else None
    if call is not None and call.name:
        return [Word("git"), Word(call.name), *call.args]
    return [Word(simple.name) if simple.name else simple.words[0], *simple.args]


def matches(pattern: str, words: Sequence[Word], *, unknown: bool) -> bool:
    """Word by word; a `*` alone stands for any words, or none. `unknown`: what a word that is not known counts as."""
    return _match(shlex.split(pattern), list(words), unknown)


def _match(patterns: list[str], words: list[Word], unknown: bool) -> bool:
    reached = {0}  # how many words may be used up by the patterns so far
    for pattern in patterns:
        if pattern == "*":
            reached = set(range(min(reached, default=len(words) + 1), len(words) + 1))
        else:
            reached = {i + 1 for i in reached if i < len(words) and _word_matches(pattern, words[i], unknown)}
    if unknown and any(not word.one for word in words):
        return bool(reached)
    return len(words) in reached


def _word_matches(pattern: str, word: Word, unknown: bool) -> bool:
    return fnmatchcase(word.text, pattern) if word.known else unknown


def _together(found: Sequence[Writes]) -> Writes:
    paths = dict.fromkeys(path for one in found for path in one.paths)
    return Writes(tuple(paths), all(one.complete for one in found))


def shown(simple: Simple) -> str:
    """The command for people; what is not known is shown as `…`."""
    return " ".join("…" if not word.known else shlex.quote(word.text) for word in simple.words)[:200]
