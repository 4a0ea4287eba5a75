"""Endings of an issue other than a commit: what the agent says, and what of it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Literal, get_args

from intarsia.errors import InputError
from intarsia.kernel import events, issues, sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.sessions import Session

Kind = Literal["no_change", "obsolete", "already_complete", "docs_only", "blocked"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LAST_LINES = 20
_MARKER = re.compile(r"ISSUE_(NO_CHANGE|OBSOLETE|ALREADY_COMPLETE|DOCS_ONLY|BLOCKED):[ \t]*(.*)")
_COMMIT = re.compile(r"\b[0-9a-f]{7,64}\b")


@dataclass(frozen=True)
class Resolution:
    kind: Kind
    rationale: str

    @property
    def named_commits(self) -> list[str]:
        return _COMMIT.findall(self.rationale)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "rationale": self.rationale}


def make(kind: str, rationale: str) -> Resolution:
    """Raises InputError for an unknown kind, or when no reason is given."""
    for known in KINDS:
        if kind == known:
            if not rationale.strip():
                raise InputError(f"A resolution {kind} needs its reason.")
            return Resolution(known, "".join(c if c.isprintable() else " " for c in rationale).strip())
    raise InputError(f"A resolution is one of {', '.join(KINDS)}, not {kind!r}.")


def declare(tx: Transaction, session: Session, made: Resolution) -> None:
    """Record what a session says of itself; it takes effect, if it holds, when its turn ends. Raises StaleLease."""
    sessions.update(tx, session, resolution=made.as_json())
    events.record(
        tx,
        "resolution_declared",
        actor=session.id,
        run=session.run,
        issue=session.issue,
        session=session.id,
        resolution=made.as_json(),
    )


def add_named_dependency(tx: Transaction, issue_id: str, text: str, actor: str) -> bool:
    """Make the issue wait for the first other issue that the text names; false if it names none that can be."""
    for word in text.replace(",", " ").replace(":", " ").split():
        name = word.strip("().;`'\"")
        try:
            issues.add_dependency(tx, issue_id, name, "blocks", actor)
        except InputError:
            continue
        return True
    return False


def in_message(message: str) -> Resolution | None:
    """The last marker that starts one of the last lines of what the agent said; without a reason it does not count."""
    lines = [line for line in message.splitlines() if line.strip()][-LAST_LINES:]
    for line in reversed(lines):
        found = _MARKER.match(line)
        if found and found[2].strip():
            return make(found[1].lower(), found[2])
    return None


def code_among(files: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Which of these files are code; without patterns, all of them are."""
    if not patterns:
        return list(files)
    return [f for f in files if any(fnmatch(f, p) or fnmatch(f.rpartition("/")[2], p) for p in patterns)]
