"""What a task's text is about: the files and units it names, and so what its work will probably change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from intarsia.code.index import Index, Place, plain

RARE = 3
RARE_IN_TICKS = 8
_TICKS = re.compile(r"`([^`\n]{1,200})`")
_PATH = re.compile(r"(?<![\w/.:@-])(?:\./)?((?:[\w.@+-]+/)*[\w.@+-]*\w)(?:::?([\w.]+(?:::\w+)*))?")
_WORD = re.compile(r"(?<![\w./@-])([^\W\d]\w*(?:(?:\.|::|#)[^\W\d]\w*)*)(\(\)|\()?")
_LIKE_CODE = re.compile(r"\w_\w|[a-z\d][A-Z]|^_|\d")
_URL = re.compile(r"\b[a-z][a-z\d+.-]*://\S+")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)


class Named(Struct, frozen=True):
    """A resource, and the words of the text that name it."""

    uri: str
    reason: str


def predicted(index: Index, text: str, claims: Iterable[str] = ()) -> dict[str, str]:
    """The resources that an issue will probably change, each with the reason: what it claims, and what it names."""
    found = dict.fromkeys(claims, "claimed")
    for each in named(index, text):
        found.setdefault(each.uri, each.reason)
    return found


def named(index: Index, text: str) -> list[Named]:
    """The units, and the files of which it names no unit, in the order of the text. Code blocks and URLs don't count:
    they show, more often than they ask."""
    plain_text = _URL.sub(" ", _FENCE.sub(" ", text))
    paths = dict(_paths(index, plain_text))
    units = dict(_units(index, plain_text, set(paths)))
    whole = {path for path in paths if not any(unit.startswith(f"code:{path}#") for unit in units)}
    files = {f"code:{path}": reason for path, reason in paths.items() if path in whole}
    return [Named(uri, reason) for uri, reason in {**units, **files}.items()]


def _paths(index: Index, text: str) -> Iterator[tuple[str, str]]:
    """Of files that are there, by their path or any end of it that no other has; and of new ones in folders that are
    there."""
    known = set(index.paths)
    ends = _ends(index.paths)
    for found in _PATH.finditer(text):
        word = found[1]
        if word in known:
            yield word, f"names {word}"
        elif "." in word and len(ends.get(word, ())) == 1:
            yield ends[word][0], f"names {word}"
        elif "/" in word and re.search(r"\w\.\w{1,5}$", word) and _folder_exists(word, known):
            yield word, f"names {word}, which is not there yet"


def _ends(paths: Iterable[str]) -> dict[str, list[str]]:
    ends: dict[str, list[str]] = {}
    for path in paths:
        at = len(path)
        while (at := path.rfind("/", 0, at)) >= 0:
            ends.setdefault(path[at + 1 :], []).append(path)
    return ends


def _folder_exists(path: str, known: set[str]) -> bool:
    folder = path.rpartition("/")[0] + "/"
    return any(each.startswith(folder) for each in known)


def _units(index: Index, text: str, paths: set[str]) -> Iterator[tuple[str, str]]:
    ticked = {found[1] for found in _TICKS.finditer(text)}
    for found in _TICKS.finditer(text):
        for word in _WORD.finditer(found[1]):
            yield from _meant(index, word[1], paths, RARE_IN_TICKS)
    bare = _TICKS.sub(" ", text) if ticked else text
    for word in _WORD.finditer(bare):
        name, called = word[1], bool(word[2])
        if called or "." in name or "::" in name or "#" in name or _LIKE_CODE.search(name):
            yield from _meant(index, name, paths, RARE)
    for found in _PATH.finditer(text):
        yield from _at(index, found[1], found[2] or "")


def _meant(index: Index, name: str, paths: set[str], rare: int) -> Iterator[tuple[str, str]]:
    """The definitions of a name that is not defined all over; of several, those in files that are named too."""
    name = re.sub(r"::|#", ".", name)
    definitions = _definitions(index, name)
    inside = [place for place in definitions if place.path in paths]
    chosen = inside or definitions
    if 0 < len({place.uri for place in chosen}) <= rare:
        yield from ((place.uri, f"names {name}") for place in chosen)
        return
    owner, dot, _ = name.rpartition(".")
    owners = [place for place in _definitions(index, owner) if "class" in place.kind] if dot and not definitions else []
    if len(owners) == 1:
        yield f"{owners[0].uri}.{name.rpartition('.')[2]}", f"names {name}, which is not there yet"


def _definitions(index: Index, name: str) -> list[Place]:
    """Also of `module.function`, by the file's name."""
    found = index.definitions(name)
    module, dot, rest = name.partition(".")
    while dot and not found:
        found = [place for place in index.definitions(rest) if _stem(place.path) == module.rpartition(".")[2]]
        more, dot, after = rest.partition(".")
        module, rest = f"{module}.{more}", after
    return found


def _at(index: Index, path: str, where: str) -> Iterator[tuple[str, str]]:
    """`path:42` and `path::Class::method`."""
    if not where or path not in index.paths:
        return
    units = index.units(path)
    if where.isdigit():
        inside = [place for place in units if place.line <= int(where) <= place.last and place.kind != "comment"]
        if inside:
            yield inside[-1].uri, f"names {path}:{where}"
    else:
        key = where.replace("::", ".")
        yield from ((place.uri, f"names {path}::{where}") for place in units if plain(place.key) == key)


def _stem(path: str) -> str:
    name = path.rpartition("/")[2].partition(".")[0]
    return path.rpartition("/")[0].rpartition("/")[2] if name == "__init__" else name
