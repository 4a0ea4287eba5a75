"""The words of a shell command line: quotes, escapes and expansions, by the lexical rules of bash(1).

What is rare, or is read differently by different shells, raises Unparsable: what a word says must be certain.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from intarsia.errors import InputError

DEEPEST = 40
MOST_ALTERNATIVES = 500
# Within a raw word: an unknown part, one that may also become several words or none, and the name of a pipe.
# and a file that was found below the path before it.
UNKNOWN, UNKNOWNS, PIPE, FOUND = "\0", "\1", "\2", "\3"
MARKS = UNKNOWN + UNKNOWNS + PIPE + FOUND
META = " \t\n;&|<>()"

# What has a meaning when it is not quoted is kept apart, where it is quoted, by a place outside of all alphabets.
_QUOTED = {ord(c): chr(0xE000 + ord(c)) for c in "*?[]{},.~"}
_PLAIN = {0xE000 + ord(c): c for c in "*?[]{},.~"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ue000-\uf8ff\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN_BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\}")
_BACKTICKED = re.compile(r"((?:[^`\\]|\\.)*)`", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
            "\\": "\\", "'": "'", '"': '"', "?": "?"}  # fmt: skip
_RANGE = re.compile(r"\{[^{},\s]+\.\.[^{},\s]+\}")

Node = TypeVar("Node")


class Unparsable(InputError):
    """It can't be told for certain what this command line would run."""

    code = "unparsable"


@dataclass(frozen=True)
class Word:
    """One word after quotes are taken off; `raw` still tells what was quoted, and marks what is not known."""

    raw: str

    @property
    def text(self) -> str:
        return self.raw.translate(_PLAIN)

    @property
    def known(self) -> bool:
        return not any(mark in self.raw for mark in MARKS)

    @property
    def start(self) -> str:
        """What is known of it before what is not."""
        return re.split(f"[{MARKS}]", self.raw, maxsplit=1)[0].translate(_PLAIN)

    @property
    def magic(self) -> bool:
        """Whether it stands for the files whose names match it."""
        return any(c in self.raw for c in "*?[")

    @property
    def one(self) -> bool:
        """Whether it is one word, whatever it says."""
        return UNKNOWNS not in self.raw


def literal(text: str) -> Word:
    return Word(text.translate(_QUOTED))


class Lexer(ABC, Generic[Node]):
    """Reads words at `_at`. What they would run, such as `$(…)`, is collected in `_inner`."""

    def __init__(self, source: str, variables: Mapping[str, str], depth: int) -> None:
        if _CONTROL.search(source):
            raise Unparsable("It holds control characters.")
        self._s = source
        self._at = 0
        self._variables = variables
        self._depth = depth
        self._inner: list[Node] = []
        self._deeper(0)

    @abstractmethod
    def _inside(self, end: str) -> Node:
        """The command line from here to `end`, which is taken too."""

    @abstractmethod
    def _apart(self, source: str) -> Node:
        """The command line that is `source`."""

    def _words(self) -> list[Word]:
        """Brace expansion comes before that of `~`, and leaves no words behind that are empty."""
        raw = self._text()
        found = alternatives(raw)
        return [Word(self._with_home(part)) for part in found if part or len(found) == 1]

    def _raw_word(self) -> str:
        return self._with_home(self._text())

    def _text(self, *, expand: bool = True) -> str:
        """One word, its quotes taken off; raises where there is none."""
        start, parts = self._at, []
        while self._at < len(self._s):
            c = self._s[self._at]
            if self._at_pipe():
                self._at += 2
                self._inner.append(self._inside(")"))
                parts.append(PIPE)
            elif c in META:
                break
            else:
                parts.append(self._piece(c, expand))
        if self._at == start:
            raise self._odd()
        return "".join(parts)

    def _piece(self, c: str, expand: bool) -> str:
        self._at += 1
        if c == "\\":
            return self._escaped()
        if c == "'":
            return self._until("'").translate(_QUOTED)
        if c == '"':
            return self._quoted('"', expand=expand)
        if not expand and c in "$`":
            raise self._odd()
        if c == "`":
            return self._backtick(quoted=False)
        return self._dollar(quoted=False) if c == "$" else c

    def _escaped(self) -> str:
        if self._at >= len(self._s):
            return "\\"
        self._at += 1
        c = self._s[self._at - 1]
        return "" if c == "\n" else c.translate(_QUOTED)

    def _quoted(self, end: str = "", *, expand: bool = True) -> str:
        """What stands in double quotes, up to `end`; with no `end` a here-document, up to its own."""
        escapable = '$`"\\\n' if end else "$`\\\n"
        parts: list[str] = []
        while self._at < len(self._s):
            c = self._s[self._at]
            self._at += 1
            if c == end:
                return "".join(parts)
            if c in "$`" and not expand:
                raise self._odd()
            if c == "\\" and self._at < len(self._s) and self._s[self._at] in escapable:
                parts.append(self._escaped())
            elif c == "`":
                parts.append(self._backtick(quoted=bool(end)))
            elif c == "$":
                parts.append(self._dollar(quoted=True))
            else:
                parts.append(c.translate(_QUOTED))
        if end:
            raise Unparsable("A quotation has no end.")
        return "".join(parts)

    def _until(self, end: str) -> str:
        found = self._s.find(end, self._at)
        if found < 0:
            raise Unparsable("A quotation has no end.")
        text, self._at = self._s[self._at : found], found + 1
        return text

    def _with_home(self, raw: str) -> str:
        if raw == "~" or raw.startswith("~/"):
            return self._variables.get("HOME", UNKNOWN).translate(_QUOTED) + raw[1:]
        return UNKNOWN + raw if raw.startswith("~") else raw

    # Expansions.

    def _dollar(self, *, quoted: bool) -> str:
        unknown = UNKNOWN if quoted else UNKNOWNS
        if self._take("(("):
            self._arithmetic()
            return unknown
        if self._take("("):
            self._inner.append(self._inside(")"))
            return unknown
        if self._take("{"):
            return self._braced(unknown, quoted)
        if name := _NAME.match(self._s, self._at):
            self._at = name.end()
            return self._value(name[0], unknown)
        if not quoted and self._take("'"):
            return self._ansi()
        if not quoted and self._take('"'):
            return self._quoted('"')
        special = self._s[self._at : self._at + 1]
        if special == "[":
            raise self._odd()
        if special and special in "@*#?$!-0123456789":
            self._at += 1
            return UNKNOWNS if special in "@*" else unknown
        return "$"

    def _value(self, name: str, unknown: str) -> str:
        value = self._variables.get(name)
        if value is None or (unknown == UNKNOWNS and re.search(r"[\s*?\[\\]|^$", value)):
            return unknown
        return value.translate(_QUOTED)

    def _braced(self, unknown: str, quoted: bool) -> str:
        """`${…}`: what is in it may run commands; its value is known only for a plain name."""
        if plain := _PLAIN_BRACED.match(self._s, self._at):
            self._at = plain.end()
            return self._value(plain[1], unknown)
        if self._s[self._at : self._at + 1] in (" ", "\t", "\n", "|", ""):
            raise self._odd()  # newer shells run a command there
        self._deeper(1)
        several = False
        while not self._take("}"):
            if self._at >= len(self._s):
                raise Unparsable("A ${ has no end.")
            c = self._s[self._at]
            if (quoted and c in "'\"") or self._peek("@P"):
                raise self._odd()  # shells differ about quotes there; @P runs what the value holds
            several = several or c in "@*"
            self._piece(c, expand=True)
        self._deeper(-1)
        return UNKNOWNS if several else unknown

    def _ansi(self) -> str:
        """`$'…'`. Shells that know it not see a `$` and a quotation; where its end would be another, it is refused."""
        text = self._until("'")
        if text.endswith("\\"):
            raise self._odd()
        return _ESCAPE.sub(self._unescaped, text).translate(_QUOTED)

    def _unescaped(self, match: re.Match[str]) -> str:
        code = match[1]
        if code in _ESCAPES:
            return _ESCAPES[code]
        if code[0] in "xu" and len(code) > 1:
            number = int(code[1:], 16)
        elif code[0] in "01234567":
            number = int(code, 8)
        else:
            raise self._odd()
        if not (32 <= number < 127 or number in (9, 10)):
            raise self._odd()
        return chr(number)

    def _arithmetic(self) -> None:
        """Up to its `))`; what may also be read as a subshell in a substitution is refused."""
        depth = 0
        while self._at < len(self._s):
            if depth == 0 and self._take("))"):
                return
            c = self._s[self._at]
            depth += (c == "(") - (c == ")")
            if depth < 0 or c in "'\"\\#;\n":
                raise self._odd()
            self._piece(c, expand=True)
        raise Unparsable("An arithmetic expression has no end.")

    def _backtick(self, *, quoted: bool) -> str:
        match = _BACKTICKED.match(self._s, self._at)
        if match is None:
            raise Unparsable("A ` has no end.")
        self._at = match.end()
        self._inner.append(self._apart(re.sub(r'\\([\\`$"])' if quoted else r"\\([\\`$])", r"\1", match[1])))
        return UNKNOWN if quoted else UNKNOWNS

    # Small words.

    def _at_pipe(self) -> bool:
        return self._s.startswith(("<(", ">("), self._at)

    def _peek(self, text: str) -> bool:
        return self._s.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if not self._peek(text):
            return False
        self._at += len(text)
        return True

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._odd()

    def _deeper(self, by: int) -> None:
        self._depth += by
        if self._depth > DEEPEST:
            raise Unparsable("It is nested too deeply.")

    def _odd(self) -> Unparsable:
        near = self._s[self._at : self._at + 20].split("\n")[0]
        return Unparsable(f"It can't be read with certainty near {near!r}." if near else "It ends too early.")


def alternatives(raw: str) -> list[str]:
    """Brace expansion: `{a,b}c` is two words. A range counts as words that are not known."""
    if raw.count("{") > MOST_ALTERNATIVES:
        raise Unparsable("It has too many braces.")
    raw = _RANGE.sub(UNKNOWNS, raw)
    found = list(_expanded(raw))
    if len(found) > MOST_ALTERNATIVES:
        raise Unparsable("It has too many alternatives in braces.")
    return found


def _expanded(raw: str) -> Iterator[str]:
    for start in (i for i, c in enumerate(raw) if c == "{"):
        parts, end = _brace_parts(raw, start)
        if len(parts) > 1:
            if raw.count("{") * len(parts) > MOST_ALTERNATIVES:
                raise Unparsable("It has too many alternatives in braces.")
            for part in parts:
                for rest in _expanded(part + raw[end:]):
                    yield raw[:start] + rest
            return
    yield raw


def _brace_parts(raw: str, start: int) -> tuple[list[str], int]:
    """What stands between the commas of the brace at `start`, and where it ends; nothing when it has no end."""
    depth, parts, begun = 0, list[str](), start + 1
    for i in range(start, len(raw)):
        c = raw[i]
        depth += (c == "{") - (c == "}")
        if depth == 0 or (depth == 1 and c == "," and i > start):
            parts.append(raw[begun:i])
            begun = i + 1
        if depth == 0:
            return parts, i + 1
    return [], 0
