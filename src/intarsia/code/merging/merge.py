"""A three-way merge of source files, symbol by symbol.

On each level the units of the two sides are paired with those of the base. What one side changed is taken; what both
changed is merged inside, line by line and then by its syntax. The order is ours without what they removed, and with
what they added or moved after what stands before it there. Every result must pass the rules of `valid`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from intarsia.code.merging import lines
from intarsia.code.merging.lines import Clash
from intarsia.code.merging.shape import Shape, is_binary, plain, restored
from intarsia.code.merging.valid import Problem, Source, check, outlined
from intarsia.code.merging.weave import Overlap, Weave
from intarsia.code.outline import Outline

__all__ = ["Conflict", "Merged", "Overlap", "merge"]

Parts = list[bytes | Clash]


class Merged(Struct, frozen=True):
    """`how`: a side as it is, by symbols, or by lines alone."""

    data: bytes
    how: Literal["side", "symbols", "lines"] = "side"


class Conflict(Struct, frozen=True):
    """What the two sides did that can't be both. `parts` is the file: text that is settled, and clashes."""

    overlaps: list[Overlap]
    parts: Parts = []
    shape: Shape | None = None

    def marked(self, names: tuple[str, str, str], *, size: int = 7, with_base: bool = False) -> bytes:
        """The file with the clashes between markers. `names` are those of ours, base and theirs; `size` the number of
        signs in a marker."""
        texts = (
            part if isinstance(part, bytes) else lines.marked(part, names, size=size, with_base=with_base)
            for part in self.parts
        )
        whole = b"".join(texts)
        return restored(whole, self.shape)


def merge(base: Source, ours: Source, theirs: Source, language: str | None) -> Merged | Conflict:
    """Never guesses: what is not provably both sides' work is a conflict. An Outline stands for its data, and is not
    made again."""
    b, o, t = (_data(source) for source in (base, ours, theirs))
    if o == t or t == b:
        return Merged(o)
    if o == b:
        return Merged(t)
    if any(map(is_binary, (b, o, t))):
        return Conflict([Overlap("", "file", "it is not text", b, o, t)], [Clash(b, o, t)])
    texts = plain(b, o, t)
    merged = _merge(
        _outline(base, texts.base, language),
        _outline(ours, texts.ours, language),
        _outline(theirs, texts.theirs, language),
        language,
    )
    if isinstance(merged, Conflict):
        return Conflict(merged.overlaps, merged.parts, texts.shape)
    return Merged(restored(merged.data, texts.shape), merged.how)


def _data(source: Source) -> bytes:
    return source.data if isinstance(source, Outline) else source


def _outline(source: Source, data: bytes, language: str | None) -> Outline:
    return source if isinstance(source, Outline) and source.data == data else outlined(data, language)


def _merge(base: Outline, ours: Outline, theirs: Outline, language: str | None) -> Merged | Conflict:
    is_split = None not in (base.language, ours.language, theirs.language)
    if not is_split:
        return _by_lines(base, ours, theirs, language)
    is_broken = base.broken or ours.broken or theirs.broken
    by_lines = _by_lines(base, ours, theirs, language) if is_broken else None
    if isinstance(by_lines, Merged):
        return by_lines
    merged = _by_symbols(base, ours, theirs, language)
    if not is_broken or isinstance(merged, Conflict):
        return merged
    # Units of a broken file may be anything: it must not depend on the side.
    turned = _by_symbols(base, theirs, ours, language)
    return by_lines if isinstance(turned, Conflict) and by_lines is not None else merged


def _by_symbols(base: Outline, ours: Outline, theirs: Outline, language: str | None) -> Merged | Conflict:
    problems: list[Problem] = []
    for by_syntax in (False, True):
        weave = Weave(base, ours, theirs, by_syntax=by_syntax)
        parts = weave.file()
        if weave.overlaps:
            return Conflict(weave.overlaps, parts if weave.shows_all else _line_parts(base, ours, theirs))
        data = b"".join(part for part in parts if isinstance(part, bytes))
        found = check(base, ours, theirs, data, language, weave.blends)
        if not found:
            return Merged(data, "symbols")
        problems = problems or found
    by_lines = _by_lines(base, ours, theirs, language)
    return by_lines if isinstance(by_lines, Merged) else _refused(base, ours, theirs, problems)


def _by_lines(base: Outline, ours: Outline, theirs: Outline, language: str | None) -> Merged | Conflict:
    data = lines.diff3(base.data, ours.data, theirs.data)
    if data is None:
        problem = Problem("lines", "both sides changed the same or neighbouring lines")
        return _refused(base, ours, theirs, [problem])
    problems = check(base, ours, theirs, data, language)
    return _refused(base, ours, theirs, problems) if problems else Merged(data, "lines")


def _refused(base: Outline, ours: Outline, theirs: Outline, problems: list[Problem]) -> Conflict:
    overlaps = []
    for problem in problems:
        units = [outline.find(problem.key) if problem.key else None for outline in (base, ours, theirs)]
        texts = [o.text(u) if u is not None else None for o, u in zip((base, ours, theirs), units, strict=True)]
        if texts == [None] * 3:
            texts = [base.data, ours.data, theirs.data]
        overlaps.append(Overlap(problem.key, problem.rule, problem.said, *texts))
    return Conflict(overlaps, _line_parts(base, ours, theirs))


def _line_parts(base: Outline, ours: Outline, theirs: Outline) -> Parts:
    """As git would show it; the whole file, where lines alone show no conflict."""
    parts = lines.chunks(base.data, ours.data, theirs.data)
    if any(isinstance(part, Clash) for part in parts):
        return parts
    return [Clash(base.data, ours.data, theirs.data)]
