"""The identifiers that a piece of source text uses, outside of strings and comments, by one scan with a pattern.

A scan, not the syntax tree, and right but for rare literals: it blanks what holds no names, and splits the rest,
which is quicker than to find each name. What stands inside the braces of interpolating strings counts.
"""

from __future__ import annotations

import re
from functools import cache

from msgspec import Struct

_IN_WORDS = rb"\w\x80-\xff"
_DOUBLE = rb'"(?:[^"\\\n]+|\\.)*+"'
_SINGLE = rb"'(?:[^'\\\n]+|\\.)*+'"
_CHARACTER = rb"'(?:\\[^'\n]{1,10}|[^'\\\n])'"
_BACKTICK = rb"`(?:[^`\\]+|\\.)*+`"
_SLASHES = rb"//[^\n]*|/\*.*?\*/"
_HASH = rb"#[^\n]*"
# Without possessive parts: with a look ahead in them, Python before 3.11.5 finds nothing.
_LONG = rb'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
_LONG_SINGLE = rb"'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
_PYTHON_STRINGS = [_LONG, _LONG_SINGLE, _DOUBLE, _SINGLE]
_VERBATIM = rb'@"(?:[^"]+|"")*+"'
_PHP_HASH = rb"#(?!\[)[^\n]*"


class _Syntax(Struct, frozen=True):
    """`skip` strings and comments; look into `interpolating` strings, which begin with one of `opening` and are there
    only where a `mark` is; words may have `more` than letters, digits and `_` in them."""

    skip: list[bytes]
    more: bytes = b""
    interpolating: bytes = b""
    opening: bytes = b""
    marks: tuple[bytes, ...] = ()


_SYNTAX = {
    "python": _Syntax(
        [_HASH, *_PYTHON_STRINGS],
        interpolating=b"|".join(
            prefix + rb"(?<![" + _IN_WORDS + rb"]%s)(?:" % (b"." * len(prefix)) + b"|".join(_PYTHON_STRINGS) + b")"
            for prefix in (b"f", b"F", b"fr", b"fR", b"Fr", b"FR", b"rf", b"rF", b"Rf", b"RF")
        ),
        opening=b"fFrR",
        marks=(b'f"', b"f'", b'F"', b"F'", b'fr"', b"fr'"),
    ),
    "javascript": _Syntax([_SLASHES, _DOUBLE, _SINGLE], b"$", _BACKTICK, b"`", (b"${",)),
    "go": _Syntax([_SLASHES, _DOUBLE, _CHARACTER, _BACKTICK]),
    "rust": _Syntax([_SLASHES, rb'r#+"(?:[^"]|"(?!#))*"#+', _DOUBLE, _CHARACTER]),
    "java": _Syntax([_SLASHES, _LONG, _DOUBLE, _CHARACTER]),
    "c": _Syntax([_SLASHES, _DOUBLE, _CHARACTER]),
    "c_sharp": _Syntax(
        [_SLASHES, _LONG, _VERBATIM, _DOUBLE, _CHARACTER], b"", rb"\$@?" + _DOUBLE, b"$", (b'$"', b'$@"')
    ),
    "ruby": _Syntax(
        [_HASH, _SINGLE, _DOUBLE, *(sign + rb"(?<![" + _IN_WORDS + rb"].)" for sign in (rb"\?", b"!"))],
        b"?!",
        _DOUBLE,
        b'"',
        (b"#{",),
    ),
    "php": _Syntax([_SLASHES, _PHP_HASH, _SINGLE, _DOUBLE, rb"\$\w+"], b"", _DOUBLE, b'"', (b"{$",)),
}
_DOTS_ONLY = frozenset({"python", "java", "go"})
_LIKE = {"typescript": "javascript", "tsx": "javascript", "cpp": "c"}
_INSIDE = re.compile(rb"\{([^{}]*)\}")
_WORD = re.compile(rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*")
_WORD_BYTES = bytes(byte for byte in range(256) if byte >= 128 or chr(byte).isalnum() or byte == ord("_"))
_BRACES = "break case catch class const continue default do else enum false for if new null return static switch this"
_WORDS = {
    "python": "False None True and as assert async await break class cls continue def del elif else except finally for"
    " from global if import in is lambda nonlocal not or pass raise return self try while with yield",
    "javascript": f"{_BRACES} async await delete export extends finally function import in instanceof interface let of"
    " super throw true try typeof undefined var void while with yield",
    "go": "break case chan const continue default defer else fallthrough false for func go goto if import interface map"
    " nil package range return select struct switch true type var",
    "rust": "Self as async await break const continue crate dyn else enum extern false fn for if impl in let loop match"
    " mod move mut pub ref return self static struct super trait true type unsafe use where while",
    "java": f"{_BRACES} abstract boolean extends final finally implements import instanceof int interface long package"
    " private protected public super throw throws true try void while",
    "c": f"{_BRACES} auto bool char const delete double extern float goto inline int long namespace nullptr operator"
    " private protected public short signed sizeof struct template throw true try typedef typename union unsigned using"
    " virtual void volatile while",
    "c_sharp": f"{_BRACES} abstract as async await base bool finally foreach get in int internal is namespace out"
    " override private protected public readonly ref sealed set string struct throw true try using virtual void while",
    "ruby": "alias and begin break case class def do else elsif end ensure false for if in module next nil not or redo"
    " rescue retry return self super then true undef unless until when while yield",
    "php": f"{_BRACES} abstract and array as echo elseif extends final finally fn foreach function global implements"
    " interface namespace or private protected public self throw trait true try use var while",
}
_RESERVED = {language: frozenset(words.encode().split()) | {b"."} for language, words in _WORDS.items()}


class _Scanner(Struct, frozen=True):
    """`blank` finds what holds no names, and `inner` also interpolating strings. `before` may stand before a name and
    say what it is; all other bytes that are in no name `become` blanks."""

    blank: re.Pattern[bytes]
    inner: re.Pattern[bytes]
    marks: tuple[bytes, ...]
    opening: bytes
    before: tuple[bytes, ...]
    become: bytes
    reserved: frozenset[bytes]


@cache
def _scanner(language: str) -> _Scanner:
    before = (b".",) if language in _DOTS_ONLY else (b".", b">", b":")
    language = _LIKE.get(language, language)
    syntax = _SYNTAX[language]
    # Only where each alternative begins with a character does the search go quickly from candidate to candidate.
    numbers = (b"%d" % digit + rb"(?<![" + _IN_WORDS + syntax.more + rb"]\d)[\w.]*" for digit in range(10))
    skipped = b"|".join([*syntax.skip, *numbers])
    kept = set(b"".join([*before, _WORD_BYTES, syntax.more]))
    return _Scanner(
        re.compile(skipped, re.DOTALL),
        re.compile(b"|".join([syntax.interpolating, skipped] if syntax.interpolating else [skipped]), re.DOTALL),
        syntax.marks,
        syntax.opening,
        before,
        bytes(byte if byte in kept else ord(" ") for byte in range(256)),
        _RESERVED[language],
    )


class Text:
    """A source text; what can be told of all of it at once is not asked for each piece."""

    def __init__(self, data: bytes, language: str) -> None:
        self._data = data
        self._scanner = _scanner(language)
        self._marks = [mark for mark in self._scanner.marks if mark in data]

    def mentions(self, start: int, end: int) -> set[bytes]:
        """Names in a piece; those that stand after a dot, an arrow or `::` with a dot before them."""
        scanner, text, inner = self._scanner, self._data[start:end], list[bytes]()
        for mark in self._marks:
            if mark in text:
                strings = (found for found in scanner.inner.findall(text) if found[0] in scanner.opening)
                inner = [part for string in strings for part in _INSIDE.findall(string)]
                text = scanner.inner.sub(b" ", text)
                break
        else:
            text = scanner.blank.sub(b" ", text)
        for sign in scanner.before:
            text = text.replace(sign, b" " + sign)
        found = set(text.translate(scanner.become).split())
        for part in inner:
            found.update(_WORD.findall(part))
        found = found - scanner.reserved  # not in place, which would go through all the reserved ones
        return found if len(scanner.before) == 1 else _clear(found, scanner.reserved)

    def words(self, start: int, end: int) -> set[bytes]:
        """All words, for import statements, in which some languages name modules by strings."""
        return set(_WORD.findall(self._data, start, end))


def _clear(found: set[bytes], reserved: frozenset[bytes]) -> set[bytes]:
    """What stands behind `>` or `:` may be a member, or come after a comparison, a slice or an annotation."""
    unclear = [name for name in found if name[0] in b">:"]
    if unclear:
        found.difference_update(unclear)
        bare = {name[1:] for name in unclear} - reserved - {b""}
        found.update(bare, (b"." + name for name in bare))
    return found
