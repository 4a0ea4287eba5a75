"""Trees of commits: in which files two differ, and one made from another with some files as they are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from intarsia.workspace.objects import TREE, Entry, Objects, Store

Difference = tuple[str, Entry | None, Entry | None]


def differences(objects: Objects, one: str, other: str) -> dict[str, tuple[Entry | None, Entry | None]]:
    """The files that are not the same in two trees, by path, with what either has there. Raises GitError."""
    return {path: (before, after) for path, before, after in _differences(objects, one, other, "")}


def _differences(objects: Objects, one: str | None, other: str | None, inside: str) -> Iterator[Difference]:
    if one == other:
        return
    old = objects.tree(one) if one else {}
    new = objects.tree(other) if other else {}
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after:
            yield from _differences(objects, _directory(before), _directory(after), f"{inside}{name}/")
            file = _file(before), _file(after)
            if file != (None, None):
                yield inside + name, *file


def with_files(objects: Objects, store: Store, tree: str, files: Mapping[str, Entry | None]) -> str:
    """The tree with these files as they are given; None takes one away. Raises GitError, OSError."""
    return _edited(objects, store, tree, files, tree) or store.tree({}, tree)


def _edited(
    objects: Objects, store: Store, tree: str | None, files: Mapping[str, Entry | None], like: str
) -> str | None:
    """None for a directory that would be empty."""
    entries = dict(objects.tree(tree)) if tree else {}
    below: dict[str, dict[str, Entry | None]] = {}
    for path, entry in files.items():
        name, _, rest = path.partition("/")
        if rest:
            below.setdefault(name, {})[rest] = entry
        elif entry is not None:
            entries[name] = entry
        else:
            entries.pop(name, None)
    for name, inner in below.items():
        made = _edited(objects, store, _directory(entries.get(name)), inner, like)
        if made is not None:
            entries[name] = Entry(TREE, made)
        elif _directory(entries.get(name)):
            del entries[name]
    return store.tree(entries, like) if entries else None


def _directory(entry: Entry | None) -> str | None:
    return entry.oid if entry is not None and entry.mode == TREE else None


def _file(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.mode != TREE else None
