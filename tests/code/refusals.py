"""Pairs of changes that depend on each other: kind, language, name, base, ours, theirs. None of them may merge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.code.refusals_by_kind import CALLS, MORE, OTHERS

Refusal = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Words:
    """How a language writes a function and its statements; `{0}` and `{1}` are filled in."""

    head: str
    tail: str
    assign: str
    change: str
    call: str
    method: str
    leave: str
    guard: str
    loop: str

    def text(self, *statements: str) -> str:
        return self.head + "".join(f"    {statement}\n" for statement in statements) + self.tail


def _braces(head: str, assign: str, leave: str, loop: str, end: str = ";") -> Words:
    call = "{0}({1})" + end
    guard = "if (q) {{ " + leave + " }}"
    return Words(head + " {\n", "}\n", assign + end, "{0} += {1}" + end, call, "{0}.{1}" + end, leave, guard, loop)


WORDS = {
    "python": Words(
        "def f(q):\n",
        "",
        "{0} = {1}",
        "{0} += {1}",
        "{0}({1})",
        "{0}.{1}",
        "return {0}",
        "if q: return {0}",
        "for {0} in {1}: g({0})",
    ),
    "javascript": _braces("function f(q)", "let {0} = {1}", "return {0};", "for (const {0} of {1}) g({0});"),
    "typescript": _braces("function f(q: Q)", "let {0}: T = {1}", "return {0};", "for (const {0} of {1}) g({0});"),
    "tsx": _braces("function f(q: Q)", "let {0}: T = {1}", "return {0};", "for (const {0} of {1}) g({0});"),
    "go": Words(
        "func f(q bool) {\n",
        "}\n",
        "{0} := {1}",
        "{0} += {1}",
        "{0}({1})",
        "{0}.{1}",
        "return {0}",
        "if q {{ return {0} }}",
        "for {0} := range {1} {{ g({0}) }}",
    ),
    "rust": Words(
        "fn f(q: bool) {\n",
        "}\n",
        "let {0} = {1};",
        "{0} += {1};",
        "{0}({1});",
        "{0}.{1};",
        "return {0};",
        "if q {{ return {0}; }}",
        "for {0} in {1} {{ g({0}); }}",
    ),
    "java": _braces("void f(boolean q)", "int {0} = {1}", "return {0};", "for (int {0} : {1}) g({0});"),
    "c": _braces("int f(int q)", "int {0} = {1}", "return {0};", "for (int {0} = 0; {0} < {1}; {0}++) g({0});"),
    "cpp": _braces("int f(int q)", "auto {0} = {1}", "return {0};", "for (auto {0} : {1}) g({0});"),
    "c_sharp": _braces("int F(bool q)", "var {0} = {1}", "return {0};", "foreach (var {0} in {1}) G({0});"),
    "ruby": Words(
        "def f(q)\n",
        "end\n",
        "{0} = {1}",
        "{0} += {1}",
        "{0}({1})",
        "{0}.{1}",
        "return {0}",
        "return {0} if q",
        "for {0} in {1} do g({0}) end",
    ),
    "php": Words(
        "<?php\nfunction f($q) {\n",
        "}\n",
        "${0} = ${1};",
        "${0} += ${1};",
        "{0}(${1});",
        "${0}->{1};",
        "return ${0};",
        "if ($q) {{ return ${0}; }}",
        "foreach (${1} as ${0}) {{ g(${0}); }}",
    ),
}


def _of(language: str, words: Words) -> Iterator[Refusal]:
    """`one` and `two` stand in the base, and the sides add before, between and behind them."""
    one, two = words.assign.format("a", "m"), words.assign.format("b", "n")
    add, sort = words.method.format("a", "add(x)"), words.method.format("a", "sort()")

    def refusal(name: str, ours: list[str], theirs: list[str]) -> Refusal:
        return ("dependent", language, name, words.text(one, two), words.text(*ours), words.text(*theirs))

    def at_one_place(name: str, ours: str, theirs: str) -> Refusal:
        return refusal(name, [one, two, ours], [one, two, theirs])

    def apart(name: str, ours: str, theirs: str) -> Refusal:
        return refusal(name, [one, ours, two], [one, two, theirs])

    new, reads = words.assign.format("c", "m"), words.assign.format("d", "c")
    yield at_one_place("writes what the other reads", new, reads)
    yield apart("writes what the other reads, apart", new, reads)
    yield apart("reads what the other writes later", reads, new)
    yield at_one_place("both bind one name", new, words.assign.format("c", "n"))
    yield apart("both bind one name, apart", new, words.assign.format("c", "n"))
    yield at_one_place("both change one variable", words.change.format("a", "m"), words.change.format("a", "n"))
    yield apart("changes what the other reads", words.change.format("a", "m"), words.call.format("g", "a"))
    yield at_one_place("returns", words.leave.format("a"), words.call.format("g", "x"))
    yield apart("returns before the other", words.leave.format("a"), words.call.format("g", "x"))
    yield at_one_place("both return", words.leave.format("a"), words.leave.format("b"))
    yield at_one_place("both may return", words.guard.format("a"), words.guard.format("b"))
    yield apart("may return before the other", words.guard.format("a"), words.call.format("g", "x"))
    yield at_one_place("two calls", words.call.format("g", "x"), words.call.format("h", "x"))
    yield at_one_place("two calls of one function", words.call.format("step", "x"), words.call.format("step", "y"))
    yield at_one_place("adds what the other sorts", add, sort)
    yield at_one_place(
        "adds under one key", words.method.format("a", "add(k, x)"), words.method.format("a", "add(k, y)")
    )
    yield at_one_place("loops over one name", words.loop.format("i", "m"), words.loop.format("i", "n"))
    yield at_one_place("reads a stream twice", *(words.assign.format(n, f"{s}next()") for n, s in _streams(language)))
    yield refusal("changes what the other adds to", [words.assign.format("a", "z"), two], [one, two, add])
    yield refusal("removes what the other reads", [two], [one, two, words.call.format("g", "a")])
    yield refusal(
        "changes one statement twice", [words.assign.format("a", "y"), two], [words.assign.format("a", "z"), two]
    )
    yield refusal(
        "renames what the other changes", [words.assign.format("w", "m"), two], [words.assign.format("a", "z"), two]
    )
    yield refusal(
        "puts two things in one place", [words.call.format("g", "x"), two], [words.call.format("h", "x"), two]
    )
    yield refusal("moves what the other changes", [two, one], [words.assign.format("a", "z"), two])
    ended = [one, two, words.leave.format("a")]
    yield (
        "dependent",
        language,
        "adds what never runs",
        words.text(*ended),
        words.text(*ended, words.assign.format("x", "m")),
        words.text(*ended, words.assign.format("y", "n")),
    )


def _streams(language: str) -> list[tuple[str, str]]:
    access = "it->" if language == "php" else "it."
    return [("x", access), ("y", access)]


REFUSALS: list[Refusal] = [
    *(refusal for language, words in WORDS.items() for refusal in _of(language, words)),
    *CALLS,
    *OTHERS,
    *MORE,
]
