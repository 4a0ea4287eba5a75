"""The simple commands that a command line would run: each with its words, its directory and its input.

What stands in wrappers (`sh -c`, `env`, `xargs`, `find -exec` …), in substitutions and in documents fed to a shell is
found too. Nothing is run and no file is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from intarsia.workspace import wrappers
from intarsia.workspace.shell import parse
from intarsia.workspace.syntax import Command, Group, List, Node, Pipeline, Redirect
from intarsia.workspace.words import Unparsable, Word, literal

MOST_COMMANDS = 1_000
MOST_PLACES = 8
NESTED = 12
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
# Where a command may run: any of these directories; None when that is not known.
Places = frozenset[Path] | None


@dataclass(frozen=True)
class Input:
    """What a command reads: `text` where it is known; `streamed` where it comes from a pipe and is not."""

    text: str | None = None
    streamed: bool = False


OWN = Input()
STREAM = Input(streamed=True)


@dataclass(frozen=True)
class Simple:
    """One program or builtin with its arguments; no words when there are only redirections or assignments."""

    words: tuple[Word, ...]
    assigned: Mapping[str, Word] = field(default_factory=dict)
    redirects: tuple[Redirect, ...] = ()
    places: Places = None
    input: Input = OWN

    @property
    def name(self) -> str:
        """The program without its directory; empty when it is not known."""
        if not self.words or not self.words[0].known or (self.words[0].magic and self.words[0].raw != "["):
            return ""
        return os.path.basename(self.words[0].text)  # noqa: PTH119

    @property
    def args(self) -> tuple[Word, ...]:
        return self.words[1:]


def simple_commands(source: str, place: Path, variables: Mapping[str, str]) -> list[Simple]:
    """In the order they stand; raises Unparsable when that can't be told for certain."""
    walk = _Walk(variables)
    walk.source(source, frozenset([place]), OWN, 0)
    return walk.found


class _Walk:
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.found: list[Simple] = []

    def source(self, source: str, places: Places, given: Input, depth: int) -> None:
        if depth > NESTED:
            raise Unparsable("It is nested too deeply.")
        self._node(parse(source, self._variables), places, given, depth)

    def _node(self, node: Node, places: Places, given: Input, depth: int) -> Places:
        """Walk one node; where the shell may be afterwards."""
        for inner in node.inner:
            self._node(inner, places, OWN, depth)
        given = _redirected(node.redirects, given)
        what = node.what
        if isinstance(what, Command):
            simple = Simple(tuple(what.words), what.assigned, tuple(node.redirects), places, given)
            self._add(simple, depth)
            return _moved(simple, places)
        if node.redirects:
            self._add(Simple((), {}, tuple(node.redirects), places, given), depth)
        if isinstance(what, Pipeline):
            for part in what.parts:
                self._node(part, places, given, depth)
                given = _output(part)
            return places
        if isinstance(what, List):
            return self._list(what, places, given, depth)
        return self._group(what, places, given, depth)

    def _list(self, what: List, places: Places, given: Input, depth: int) -> Places:
        """After `&&` we are where the part before led, after `||` where it began, after `;` in either."""
        seen = before = places
        for i, (operator, node) in enumerate(what.items):
            if operator == ";":
                places = seen
            elif operator == "||":
                places = before
            before = places
            after = self._node(node, places, given, depth)
            places = before if i in what.background else after
            seen = _either(seen, places)
        return seen if len(what.items) != 1 or what.background else _either(seen, places)

    def _group(self, what: Group, places: Places, given: Input, depth: int) -> Places:
        if what.function and any(_multiplies(body, what.function) for body in what.bodies):
            raise Unparsable("It defines a function that starts itself again and again.")
        after = places
        for body in what.bodies:
            after = _either(after, self._node(body, after, STREAM if what.function else given, depth))
        return places if what.own or what.function else after

    def _add(self, simple: Simple, depth: int) -> None:
        self.found.append(simple)
        if len(self.found) > MOST_COMMANDS:
            raise Unparsable(f"It runs more than {MOST_COMMANDS} commands.")
        if not simple.name:
            return
        if depth > NESTED:
            raise Unparsable("It is nested too deeply.")
        given = simple.input
        for inside in wrappers.inside(simple.name, simple.args, given.text, streamed=given.streamed):
            if isinstance(inside, str):
                self.source(inside, simple.places, OWN, depth + 1)
            else:
                words, assigned = _assignments(inside)
                self._add(
                    replace(simple, words=words, redirects=(), assigned={**simple.assigned, **assigned}), depth + 1
                )


def _assignments(words: tuple[Word, ...]) -> tuple[tuple[Word, ...], dict[str, Word]]:
    """Wrappers such as `env` take `NAME=value` before the command."""
    assigned: dict[str, Word] = {}
    while words and (match := _ASSIGNED.match(words[0].raw)):
        assigned[match[1]] = Word(match[2])
        words = words[1:]
    return words, assigned


def _redirected(redirects: Iterable[Redirect], given: Input) -> Input:
    for redirect in redirects:
        if redirect.operator in ("<<", "<<<"):
            given = Input(redirect.document, streamed=redirect.document is None)
        elif redirect.operator in ("<", "<>"):
            given = STREAM if redirect.target and not redirect.target.known else OWN
    return given


def _output(node: Node) -> Input:
    """What a part of a pipeline hands to the next: known for `echo`, `printf` and `cat` of plain text."""
    if not isinstance(node.what, Command) or node.inner:
        return STREAM
    words = node.what.words
    plain = all(word.known and not word.magic and "\\" not in word.text and "%" not in word.text for word in words)
    name = words[0].text if words else ""
    if name == "echo" and plain:
        rest = [word.text for word in words[1:]]
        return Input(" ".join(rest[1:] if rest[:1] == ["-n"] else rest) + "\n")
    if name == "printf" and plain and len(words) == 2:
        return Input(words[1].text)
    if name == "cat" and len(words) == 1:
        return _redirected(node.redirects, STREAM)
    return STREAM


def _moved(simple: Simple, places: Places) -> Places:
    if simple.name == "popd":
        return None
    if simple.name not in ("cd", "pushd"):
        return places
    targets = [word for word in simple.args if not word.text.startswith("-") or word.text == "-"]
    target = targets[0] if targets else literal("~")
    if places is None or not target.known or target.magic or target.text in ("-", "~") or target.text[:1] == "+":
        return None
    return frozenset(Path(os.path.normpath(place / target.text)) for place in places)


def _either(one: Places, other: Places) -> Places:
    if one is None or other is None:
        return None
    both = one | other
    return both if len(both) <= MOST_PLACES else None


def _multiplies(node: Node, name: str, spawning: bool = False) -> bool:
    """Whether it starts `name` in the background or in a pipe: a fork bomb when `name` is this very function."""
    what = node.what
    if isinstance(what, Command):
        return spawning and bool(what.words) and what.words[0].text == name
    if isinstance(what, Pipeline):
        return any(_multiplies(part, name, True) for part in what.parts)
    if isinstance(what, List):
        items = enumerate(what.items)
        return any(_multiplies(item, name, spawning or i in what.background) for i, (_, item) in items)
    return any(_multiplies(body, name, spawning) for body in what.bodies)
