"""Source files changed at random, as people and agents change them: lines, whole symbols, names, blank lines."""

from __future__ import annotations

import random
import re

from intarsia.code.outline import outline

_LINES = {
    "python": (b"# c\n", b"import a\n", b"from a import b\n", b"x = 1\n", b"foo()\n"),
    "c": (b"// c\n", b"#include <a.h>\n", b"int x;\n"),
    "go": (b"// c\n", b"var x = 1\n", b'import "a"\n'),
    "ruby": (b"# c\n", b"require 'a'\n", b"x = 1\n"),
}
# What may change how all that follows is read.
PIECES = (
    *(b"( ) { } [ ] \" ' ` # // /* */ \\\n ; , : = @ x \n \t \f".split(b" ")),
    b'"""', b"\r\n", b"=begin\n", b"__END__\n", b"#if 1\n", b"#endif\n", b"<<E\n", b"else:\n", b"    ",
)  # fmt: skip


def changed(rng: random.Random, data: bytes, language: str, times: int = 1) -> bytes:
    """The file after some changes, each of which leaves it without errors."""
    for _ in range(times):
        made = _change(rng, data, language)
        if made.strip() and not outline(made, language).broken:
            data = made
    return data


def damaged(rng: random.Random, data: bytes) -> bytes:
    """The file with a piece put in or some bytes taken out, wherever that is."""
    at = rng.randrange(len(data) + 1)
    if rng.random() < 0.5:
        return data[:at] + data[at + rng.randrange(1, 40) :]
    return data[:at] + rng.choice(PIECES) + data[at:]


def _change(rng: random.Random, data: bytes, language: str) -> bytes:
    units = list(outline(data, language).walk())
    if not units:
        return data
    unit, other = rng.choice(units), rng.choice(units)
    text, name = data[unit.start : unit.end], unit.name.encode()
    match rng.randrange(8):
        case 0:
            return data[: unit.end] + rng.choice(_LINES.get(language, (b"// c\n", b"x;\n"))) + data[unit.end :]
        case 1:
            words = list(re.finditer(rb"\w+", data[unit.core : unit.end]))
            found = rng.choice(words) if words else None
            if found is None:
                return data
            return data[: unit.core + found.start()] + b"z%d" % rng.randrange(9) + data[unit.core + found.end() :]
        case 2:
            lines = data[unit.core : unit.end].splitlines(keepends=True)
            line = rng.choice(lines)
            lines.insert(rng.randrange(len(lines) + 1), line)
            return data[: unit.core] + b"".join(lines) + data[unit.end :]
        case 3:
            return data[: unit.start] + data[unit.end :]
        case 4:
            copy = text.replace(name, b"%s_%d" % (name, rng.randrange(4))) if name else text
            return data[: other.end] + copy + data[other.end :]
        case 5:
            return data[: unit.start] + data[unit.end : other.end] + text + data[max(other.end, unit.end) :]
        case 6:
            return data[: unit.start] + (text.replace(name, b"other") if name else text) + data[unit.end :]
        case _:
            return data[: unit.core] + b"\n" * rng.randrange(3) + data[unit.core :]
