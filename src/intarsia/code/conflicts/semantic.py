"""What two sides' changes break together though their text merges.

Four things are provable, and may block: an error of syntax that neither side has, a definition that only both together
make twice, an import of what the other side took away, and a call that the changed definition cannot take. Everything
else is a notice to whoever writes later.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from intarsia.code.conflicts.notices import notices
from intarsia.code.conflicts.python_conflicts import broken
from intarsia.code.conflicts.python_syntax import error_line
from intarsia.code.conflicts.source import Files, Nothing, Rest, SemanticConflict, Versions
from intarsia.code.languages import OVERLOADING, language_of
from intarsia.code.merging.merge import Merged, merge
from intarsia.code.outline import Outline, Unit, recall

UNKNOWN = b"\0"  # the content of a file that could not be combined: nothing is certain about it
_FUNCTION = re.compile(r"function|method|constructor")
_ONE_CLASS_EACH = frozenset({"python", "javascript", "java", "php"})  # elsewhere a class may come in parts
_NAMELESS = ("_", "init")  # of Go there may be any number of `init`
_ORDINAL = re.compile(r"#\d+(?=\.|$)")
_PREPROCESSOR = re.compile(rb"^[ \t]*#[ \t]*(?:if|el)", re.MULTILINE)


def conflicts(
    base: Files, ours: Files, theirs: Files, rest: Rest | None = None, combined: Files | None = None
) -> list[SemanticConflict]:
    """Between two sides' versions of the files that either changed; `rest` are all files of the base, if it has others.

    `combined` is what became of them, where that is known already; otherwise they are merged here, and those that do
    not merge are left out.
    """
    paths = sorted({*base, *ours, *theirs})
    base, ours, theirs = ({path: files.get(path) for path in paths} for files in (base, ours, theirs))
    if combined is None:
        combined = {path: _merged(path, base[path], ours[path], theirs[path]) for path in paths}
    both = {path: combined.get(path) for path in paths}
    versions = Versions(base, ours, theirs, both, rest or Nothing())
    found = [*_syntax(versions), *_twice(versions), *broken(versions)]
    return [*found, *notices(versions, found)]


def _merged(path: str, base: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        return UNKNOWN
    merged = merge(base or b"", ours, theirs, language_of(path, ours))
    return merged.data if isinstance(merged, Merged) else UNKNOWN


def _made_by_both(versions: Versions) -> Iterator[tuple[str, str, bytes, bytes, bytes]]:
    """Path, language, ours, theirs and combination of the files that are as neither side has them."""
    for path, data in versions.combined.items():
        ours, theirs = versions.ours[path], versions.theirs[path]
        if data is None or ours is None or theirs is None or data in (ours, theirs, UNKNOWN):
            continue
        if language := language_of(path, data):
            yield path, language, ours, theirs, data


def _syntax(versions: Versions) -> Iterator[SemanticConflict]:
    for path, language, ours, theirs, data in _made_by_both(versions):
        line = _error(data, language)
        if line and not _error(ours, language) and not _error(theirs, language):
            said = f"{path} has an error of syntax that neither side has"
            yield SemanticConflict("parse", True, "", path, line, path, "both", "both", said)


def _error(data: bytes, language: str) -> int:
    """The line of an error of syntax, or 0."""
    if language == "python":
        return error_line(data)
    return int(recall(data, language).broken)


def _twice(versions: Versions) -> Iterator[SemanticConflict]:
    for path, language, ours, theirs, data in _made_by_both(versions):
        now = recall(data, language)
        counts = [_definitions(each) for each in (now, recall(ours, language), recall(theirs, language))]
        for definition, times in counts[0].items():
            if times > 1 and times > max(count[definition] for count in counts[1:]):
                yield _defined_twice(path, now, definition[0], times)


def _defined_twice(path: str, now: Outline, key: str, times: int) -> SemanticConflict:
    last = [unit for unit in now.walk() if _plain(unit.key) == key and _is_definition(unit, now)][-1]
    said = f"{key} is defined {times} times in {path}, which neither side does"
    line = now.data.count(b"\n", 0, last.head or last.core) + 1
    return SemanticConflict("duplicate", True, key, path, line, path, "both", "both", said)


def _definitions(source: Outline) -> Counter[tuple[str, str, bytes]]:
    """How often each function and class is defined; with its parameters, where a name may have several."""
    if source.language in ("c", "cpp", "c_sharp") and _PREPROCESSOR.search(source.data):
        return Counter()
    found = (unit for unit in source.walk() if _is_definition(unit, source))
    return Counter((_plain(unit.key), unit.kind, _variant(unit, source)) for unit in found)


def _variant(unit: Unit, source: Outline) -> bytes:
    """What else tells definitions of one name apart: parameters, or `get`, `set` and `static`."""
    head = b" ".join(_head(unit, source).split())
    if source.language in ("javascript", "typescript", "tsx"):
        return head.partition(b"(")[0]
    return head if source.language in OVERLOADING else b""


def _is_definition(unit: Unit, source: Outline) -> bool:
    """A function with a body or, where it cannot have several parts, a class; without decorators that allow others."""
    if not unit.name or unit.name in _NAMELESS or _head(unit, source).lstrip().startswith(b"@"):
        return False
    if unit.units is not None:
        return source.language in _ONE_CLASS_EACH and "class" in unit.kind
    return bool(unit.signature and _FUNCTION.search(unit.kind))


def _head(unit: Unit, source: Outline) -> bytes:
    body = unit.open if unit.units is not None else unit.signature or unit.end
    return source.data[unit.head or unit.core : body]


def _plain(key: str) -> str:
    return _ORDINAL.sub("", key)
