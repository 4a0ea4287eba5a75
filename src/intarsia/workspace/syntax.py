"""What a parsed command line consists of."""

from __future__ import annotations

from dataclasses import dataclass, field

from intarsia.workspace.words import Word


@dataclass(frozen=True)
class Redirect:
    """`operator` without its descriptor; `document` is the text of `<<` and `<<<`, None where it is not known."""

    operator: str
    target: Word | None = None
    document: str | None = None


@dataclass
class Command:
    words: list[Word] = field(default_factory=list)
    assigned: dict[str, Word] = field(default_factory=dict)


@dataclass
class Pipeline:
    parts: list[Node]


@dataclass
class List:
    """Nodes, each with the operator before it (`;`, `&&`, `||`) and whether it runs in the background."""

    items: list[tuple[str, Node]] = field(default_factory=list)
    background: set[int] = field(default_factory=set)


@dataclass
class Group:
    """A compound command: each of its bodies may run. `own`: in a subshell; `function`: it is only defined here."""

    bodies: list[Node]
    own: bool = False
    function: str = ""


@dataclass
class Node:
    """What can be redirected, with what runs before it does: substitutions."""

    what: Command | Pipeline | List | Group
    redirects: list[Redirect] = field(default_factory=list)
    inner: list[Node] = field(default_factory=list)
