"""Three versions of a file made into one, where None is no file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from intarsia.code.languages import language_of
from intarsia.code.merging.merge import Merged, merge
from intarsia.code.merging.nearby import merge_nearby
from intarsia.code.outline import Outline, recall, recalled, remember
from intarsia.code.packed import pack, unpack
from intarsia.code.recent import Recent
from intarsia.code.renewed import renewed
from intarsia.errors import Conflict


class Overlap(Conflict):
    """Both sides changed the same; `symbols` are the keys of what, as far as that is known."""

    code = "overlap"

    def __init__(self, path: str, symbols: Sequence[str] = ()) -> None:
        named = ", ".join(symbols) or "the same place"
        super().__init__(
            f"In {path}, {named} was changed by others meanwhile.",
            hint=f"Read it again (intarsia read {path}), and make your change on what is there.",
            path=path,
            symbols=list(symbols),
        )
        self.symbols = list(symbols)


def shape_of(path: str, data: bytes) -> Outline:
    """The outline of a file; the last few are kept, as one edit looks at the same versions again and again."""
    return recall(data, language_of(path, data))


def shape_like(path: str, data: bytes, like: bytes) -> Outline:
    """The same, quickly where `data` was made from `like`."""
    return renewed(shape_of(path, like), data, language_of(path, data))


def packed_shape(path: str, data: bytes | None) -> bytes | None:
    """The outline of a file to be kept, if it is at hand."""
    found = None if data is None else recalled(data, language_of(path, data))
    return None if found is None else pack(found)


def remind(path: str, data: bytes | None, packed: Callable[[], bytes | None]) -> None:
    """Spare the outline of a file, where it is kept somewhere and not at hand."""
    if data is None or recalled(data, language_of(path, data)) is not None:
        return
    kept = packed()
    found = unpack(kept, data) if kept is not None else None
    if found is not None and found.language == language_of(path, data):
        remember(found)


def join(path: str, base: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
    """`ours` with what was changed from `base` to `theirs`; raises Overlap."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None or base is None:
        raise Overlap(path)
    found = _joined(base, ours, theirs, path)
    if isinstance(found, bytes):
        return found
    raise Overlap(path, found or ())


def _join(base: bytes, ours: bytes, theirs: bytes, path: str) -> bytes | list[str]:
    """The result, or the symbols that overlap."""
    shapes = shape_of(path, base), shape_of(path, ours), shape_like(path, theirs, base)
    merged = merge_nearby(*shapes)
    if merged is not None:
        return merged.data
    found = merge(*shapes, language_of(path, ours))
    if isinstance(found, Merged):
        return found.data
    return [overlap.key for overlap in found.overlaps if overlap.key]


# An edit, its commit and its landing put the same on the same.
_joined: Recent[bytes | list[str]] = Recent(_join)


def graft(path: str, data: bytes | None, other: bytes | None, keys: Sequence[str]) -> bytes | None:
    """`data` with the units of these keys as they are in `other`; None where they are not all in both."""
    if data is None or other is None or not keys:
        return None
    here, there = shape_of(path, data), shape_of(path, other)
    found = [(here.find(key) if key else None, there.find(key) if key else None) for key in dict.fromkeys(keys)]
    spans: list[tuple[int, int, bytes]] = []
    for mine, theirs in found:
        if mine is None or theirs is None:
            return None
        spans.append((mine.core, mine.end, there.text(theirs)))
    spans.sort()
    if any(end > start for (_, end, _), (start, _, _) in pairwise(spans)):
        return None
    for start, end, text in reversed(spans):
        data = data[:start] + text + data[end:]
    return data
