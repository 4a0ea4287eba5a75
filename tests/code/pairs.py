"""Pairs of changes to one list or body, with their right merge; None where the two must be handed back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from tests.code.combinations import COMBINATIONS
from tests.code.extensions import MERGED, REFUSED, TAGS, TYPES
from tests.code.forms import Form
from tests.code.forms_dynamic import PHP, PYTHON, RUBY, SCRIPT
from tests.code.forms_static import C_SHARP, CPP, GO, JAVA, RUST, TYPED, C
from tests.code.refusals import REFUSALS

BASE = ["b", "e", "h"]
FORMS = {
    "python": PYTHON,
    "javascript": [*SCRIPT, *TAGS],
    "typescript": [*SCRIPT, *TYPED],
    "tsx": [*SCRIPT, *TYPED, *TAGS],
    "go": [*GO, *TYPES],
    "rust": RUST,
    "java": JAVA,
    "c": C,
    "cpp": [*(form for form in C if form.kind not in ("sequence", "literal", "statements")), *CPP],
    "c_sharp": C_SHARP,
    "ruby": RUBY,
    "php": PHP,
}


@dataclass(frozen=True)
class Pair:
    kind: str
    language: str
    name: str
    base: bytes
    ours: bytes
    theirs: bytes
    merged: bytes | None


def pairs() -> Iterator[Pair]:
    for language, forms in FORMS.items():
        for form in forms:
            yield from _of(replace(form, language=language))
    for kind, language, name, base, ours, theirs, merged in [*COMBINATIONS, *MERGED]:
        yield Pair(kind, language, name, base.encode(), ours.encode(), theirs.encode(), merged.encode())
    for kind, language, name, base, ours, theirs in [*REFUSALS, *REFUSED]:
        yield Pair(kind, language, name, base.encode(), ours.encode(), theirs.encode(), None)


def _of(form: Form) -> Iterator[Pair]:
    base = [form.member(letter) for letter in BASE]
    x, y = form.member("p"), form.member("s")
    first, second, third = base
    changed, other = form.other("b"), form.other("h")

    def pair(name: str, ours: list[str], theirs: list[str], merged: list[str] | None) -> Pair:
        one, two, three = (_write(form, items).encode() for items in (base, ours, theirs))
        right = None if merged is None else _write(form, merged).encode()
        return Pair(form.kind, form.language, name, one, two, three, right)

    yield pair("both append", [*base, x], [*base, y], [*base, x, y] if form.may("both") else None)
    yield pair("both append, swapped", [*base, y], [*base, x], [*base, y, x] if form.may("both") else None)
    yield pair("both append the same", [*base, x], [*base, x], [*base, x])
    yield pair(
        "both append several",
        [*base, x, form.member("t")],
        [*base, y],
        [*base, x, form.member("t"), y] if form.may("both") else None,
    )
    yield pair(
        "both insert in the middle",
        [first, x, second, third],
        [first, y, second, third],
        [first, x, y, second, third] if form.may("both") and form.may("apart") else None,
    )
    yield pair("front and back", [x, *base], [*base, y], [x, *base, y] if form.may("apart") else None)
    yield pair(
        "append and change",
        [*base, x],
        [changed, second, third],
        [changed, second, third, x] if form.may("mixed") else None,
    )
    yield pair("append and remove", [*base, x], [first, third], [first, third, x] if form.may("removal") else None)
    yield pair(
        "both change another",
        [changed, second, third],
        [first, second, other],
        [changed, second, other] if form.may("changes") else None,
    )
    yield pair("both change the same", [changed, second, third], [form.other("b", 7000), second, third], None)
    yield pair("change and remove", [changed, second, third], [second, third], None)
    if form.may("keyed"):
        yield pair("one name, two meanings", [*base, x], [*base, form.other("p")], None)
    if form.may("both"):
        yield from _dressed(form, base, x, y)


def _dressed(form: Form, base: list[str], x: str, y: str) -> Iterator[Pair]:
    """Two additions with other line ends, no newline at the end, comments, and no separator at the end."""
    texts = [_write(form, items) for items in (base, [*base, x], [*base, y], [*base, x, y])]

    def pair(name: str, texts: list[str]) -> Pair:
        data = [text.encode() for text in texts]
        return Pair(form.kind, form.language, name, data[0], data[1], data[2], data[3])

    yield pair("CRLF", [text.replace("\n", "\r\n") for text in texts])
    yield pair("no newline at the end", [text.rstrip("\n") for text in texts])
    if form.lines and form.note:
        noted = [_write(form, items, f"  {form.note} on b") for items in (base, [*base, x], [*base, y], [*base, x, y])]
        yield pair("a comment behind", noted)
        above = [f"{form.note} above\n{form.margin}{item}" for item in (x, y)]
        lists = (base, [*base, above[0]], [*base, above[1]], [*base, *above])
        yield pair("a comment above", [_write(form, items) for items in lists])
    if form.lines and form.separator and form.language != "go":
        lists = (base, [*base, x], [*base, y], [*base, x, y])
        yield pair("no separator at the end", [_write(form, items, trailing=False) for items in lists])


def _write(form: Form, items: list[str], note: str = "", trailing: bool | None = None) -> str:
    """The list; the note goes behind the last member of the base."""
    ended = form.trailing if trailing is None else trailing
    parts: list[str] = []
    for number, item in enumerate(items):
        last = number == len(items) - 1
        separator = "" if last and not ended else form.separator
        comment = note if item == form.member(BASE[-1]) else ""
        if form.lines:
            parts.append(f"{form.margin}{item}{separator}{comment}\n")
        else:
            blank = " " if not last and (form.separator or form.one_line) else ""
            parts.append(f"{item}{separator}{blank}")
    return form.head + "".join(parts) + form.tail
