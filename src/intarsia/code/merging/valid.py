"""What a merge must not do, whoever made it: each rule caught corruption in results that were called clean.

parse   an error of syntax that neither side had
twice   a symbol that is defined more often than on either side
lines   a line glued, lost or doubled
place   a symbol that one side alone changed, and that is not as that side has it
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from intarsia.code.identity import without_ordinals
from intarsia.code.languages import OVERLOADING, parse
from intarsia.code.merging import lines
from intarsia.code.merging.independence import WITH_LOOSE_COMMENTS, binds
from intarsia.code.outline import Outline, Unit, recall

Source = bytes | Outline
Counts = Counter[bytes]

_WORD = re.compile(rb"\w+")
_ONE_OF_SEVERAL = re.compile(rb"@[\w.]*\b(?:overload|register|dispatch|setter|getter|deleter)\b")


class Problem(Struct, frozen=True):
    """`key` names the symbol, where it is one."""

    rule: str
    said: str
    key: str = ""


class Blend(Struct, frozen=True):
    """A unit that both sides changed, and what became of it; `keys` are its names in all versions.

    It may hold lines that no version has, so its words are counted instead.
    """

    keys: frozenset[str]
    base: bytes
    ours: bytes
    theirs: bytes
    result: bytes


def check(
    base: Source,
    ours: Source,
    theirs: Source,
    result: Source,
    language: str | None,
    blends: Iterable[Blend] = (),
) -> list[Problem]:
    """What is wrong with `result` as a merge of the two sides; nothing when it may be kept."""
    of = [outlined(source, language) for source in (base, ours, theirs, result)]
    blends = list(blends)
    found = [*_syntax(*of), *_twice(*of[1:]), *_lines(of, blends), *_places(of, blends)]
    return list(dict.fromkeys(found))


def outlined(source: Source, language: str | None) -> Outline:
    return source if isinstance(source, Outline) else recall(source, language)


def uncounted(base: bytes, ours: bytes, theirs: bytes, result: bytes) -> list[bytes]:
    """The lines that occur more or less often than the two sides' changes account for."""
    return list(_unaccounted(*(_count(text) for text in (base, ours, theirs, result))))


def _syntax(base: Outline, ours: Outline, theirs: Outline, result: Outline) -> Iterator[Problem]:
    if result.broken:
        for error in sorted(_errors(result) - _errors(ours) - _errors(theirs)):
            yield Problem("parse", f"neither side has this error of syntax: {_shown(error)}")
    if result.language != "python":
        return
    if _late_future(result) and not (_late_future(ours) or _late_future(theirs)):
        yield Problem("parse", "an import from __future__ does not come first")
    # Where the grammar is at its wits' end, Python may not be.
    if result.broken and _is_python(ours) and _is_python(theirs) and not _is_python(result):
        yield Problem("parse", "Python can read both sides, but not the result")


def _is_python(outline: Outline) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(outline.data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _errors(outline: Outline) -> set[bytes]:
    """What the grammar could not read: of each error the line on which it begins, as it may reach over all that
    follows."""
    if not outline.broken or outline.language is None:
        return set()
    tree = parse(outline.data, outline.language)
    if tree is None:
        return set()
    found, todo = set(), [tree.root_node]
    while todo:
        node = todo.pop()
        if node.is_error or node.is_missing:
            start = outline.data.rfind(b"\n", 0, node.start_byte) + 1
            end = outline.data.find(b"\n", node.start_byte)
            found.add(b" ".join(outline.data[start : end if end >= 0 else None].split()))
        if node.has_error:
            todo += node.children
    return found


def _late_future(outline: Outline) -> bool:
    seen_other = False
    for unit in outline.units:
        if unit.kind == "import" and unit.name.startswith("__future__"):
            if seen_other:
                return True
        elif unit.kind not in ("comment", "docstring"):
            seen_other = True
    return False


def _twice(ours: Outline, theirs: Outline, result: Outline) -> Iterator[Problem]:
    mine, other, now = (_definitions(outline) for outline in (ours, theirs, result))
    for definition, times in now.items():
        if times > 1 and times > max(mine[definition], other[definition]):
            yield Problem("twice", f"{definition[0]} is there {times} times", definition[0])


def _definitions(outline: Outline) -> Counter[tuple[str, str, bytes]]:
    """How often each name is defined; with its parameters, where a name may have several."""
    counts: Counter[tuple[str, str, bytes]] = Counter()
    overloads = outline.language in OVERLOADING
    for unit in outline.walk():
        if unit.kind == "import":
            counts[without_ordinals(unit.key), "import", _own(outline, unit)] += 1
        elif binds(unit):
            head = outline.data[unit.core : unit.signature or unit.open or unit.end]
            several = overloads or _ONE_OF_SEVERAL.search(head)
            counts[without_ordinals(unit.key), unit.kind, b" ".join(head.split()) if several else b""] += 1
    return counts


def _lines(of: list[Outline], blends: list[Blend]) -> Iterator[Problem]:
    counts = [_count(outline.data) for outline in of]
    by_syntax = [blend for blend in blends if uncounted(blend.base, blend.ours, blend.theirs, blend.result)]
    if by_syntax:
        for word in _unaccounted(*_words(counts)):
            yield Problem("lines", f"lost or doubled: {_shown(word)}")
    for blend in by_syntax:
        texts = blend.base, blend.ours, blend.theirs, blend.result
        for word in _unaccounted(*(Counter(_WORD.findall(text)) for text in texts)):
            yield Problem("lines", f"lost or doubled: {_shown(word)}", min(blend.keys))
        for count, text in zip(counts, texts, strict=True):
            count.subtract(_count(text))
    wrong = list(_unaccounted(*counts))
    shared = _shared(of) if wrong else Counter()
    for line in wrong:
        b, o, t, r = (count[line] for count in counts)
        if shared[line] <= 0 or r != o + t - b - shared[line]:
            yield Problem("lines", f"glued, lost or doubled: {_shown(line)}")


def _words(counts: list[Counts]) -> list[Counts]:
    """How many more of each word a version has than the base."""
    words: list[Counts] = []
    for count in counts:
        found: Counts = Counter()
        for line, times in count.items() ^ counts[0].items():
            sign = times if count.get(line) == times else -times
            for word in _WORD.findall(line):
                found[word] += sign
        words.append(found)
    return words


def _shared(of: list[Outline]) -> Counts:
    """How many more there are of each line by what both sides did alike, which is there once."""
    base, ours, theirs = (lines.split(outline.data) for outline in of[:3])
    mine = {(h.start, h.end, *ours[h.new : h.new_end]) for h in lines.hunks(base, ours)}
    shared: Counts = Counter()
    for hunk in lines.hunks(base, theirs):
        if (hunk.start, hunk.end, *theirs[hunk.new : hunk.new_end]) in mine:
            shared.update(line.strip() for line in theirs[hunk.new : hunk.new_end])
            shared.subtract(line.strip() for line in base[hunk.start : hunk.end])
    return shared


def _count(text: bytes) -> Counts:
    return Counter(map(bytes.strip, text.split(b"\n")))


def _unaccounted(base: Counts, ours: Counts, theirs: Counts, result: Counts) -> Iterator[bytes]:
    # Most lines are in all four as often.
    changed = {piece for piece, _ in (base.items() ^ result.items()) | (base.items() ^ ours.items())}
    changed |= {piece for piece, _ in base.items() ^ theirs.items()}
    for piece in sorted(changed):
        b, o, t, r = base[piece], ours[piece], theirs[piece], result[piece]
        if not piece or r == (t if o == b else o):
            continue
        both = o + t - b
        if b in (o, t) or not min(o, t, both) <= r <= max(o, t, both):
            yield piece


def _places(of: list[Outline], blends: list[Blend]) -> Iterator[Problem]:
    base, ours, theirs, result = (_texts(outline) for outline in of)
    free = _inside(frozenset(key for blend in blends for key in blend.keys))
    for key in base.keys() | ours.keys() | theirs.keys() | result.keys():
        b, o, t, r = (texts.get(key) for texts in (base, ours, theirs, result))
        if r != (t if o == b else o) and b in (o, t) and not free(key):
            yield Problem("place", f"{key} is not as the only side that changed it has it", key)


def _texts(outline: Outline) -> dict[str, Counts]:
    """What stands under each name, apart from order, blank lines and members."""
    texts: dict[str, Counts] = defaultdict(Counter)
    data = outline.data
    for unit in outline.walk():
        if unit.units is None:
            text = _own(outline, unit)
        else:
            text = data[unit.core : unit.open] + b"\0" + data[unit.close : unit.end]
        texts[without_ordinals(unit.key)][text.strip()] += 1
        if unit.kind in WITH_LOOSE_COMMENTS and unit.head > unit.core:
            container = unit.key.rpartition("(docstring)")[0] if unit.kind == "docstring" else ""
            texts[f"{container}(comment)"][data[unit.core : unit.head].strip()] += 1
    return texts


def _own(outline: Outline, unit: Unit) -> bytes:
    """Without the comments above an import, which may as well be the file's."""
    start = unit.head if unit.kind in WITH_LOOSE_COMMENTS and unit.head else unit.core
    return outline.data[start : unit.end].strip()


def _inside(keys: frozenset[str]) -> Callable[[str], bool]:
    """Whether a key is one of these or of a member of one."""
    plain = {without_ordinals(key) for key in keys}

    def inside(key: str) -> bool:
        return key in plain or any(key.startswith(f"{container}.") for container in plain)

    return inside


def _shown(text: bytes) -> str:
    line = text.decode(errors="replace")
    return line if len(line) <= 80 else f"{line[:77]}…"
