"""A file as it is found: what a killed process began is finished or undone, and what a person did is taken over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.workspace import replacing
from intarsia.workspace.joining import shape_of
from intarsia.workspace.versions import ABSENT, File, Intent, Versions, name_of

if TYPE_CHECKING:
    from intarsia.workspace.shared import Tree


def settle(tree: Tree, path: str) -> bytes | None:
    """The file's content, and it is known; only for who is alone with the file."""
    intent = tree.versions.intent(path)
    if intent is not None:
        _recover(tree, intent)
    disk = replacing.read(tree.root / path)
    file = tree.versions.file(path)
    if file is None:
        _remember(tree, path, disk, outside=disk != tree.committed(path, disk))
    elif file.known != name_of(disk):
        _adopt(tree, path, file, disk)
    return disk


def finish(tree: Tree, intent: Intent, content: bytes | None, *, outside: bool, whole: bool | None = None) -> None:
    """The file is what the intent says; `whole` says whether it is without errors, if that is known."""
    versions = tree.versions
    before = versions.file(intent.path)
    if whole is None:
        whole = is_whole(intent.path, content)
    good = intent.after if whole else (before.good if before else ABSENT)
    with versions.change():
        credit(versions, intent)
        versions.set_file(intent.path, File(intent.after, good, outside))
        versions.drop_intent(intent)


def credit(versions: Versions, intent: Intent) -> None:
    """What the session sees and has made, after its change."""
    if intent.base is None or intent.own is None:
        return
    versions.set_seen(intent.session, intent.path, intent.seen)
    versions.set_own(intent.session, intent.path, intent.base, intent.own, out=bool(intent.out))


def is_whole(path: str, content: bytes | None) -> bool:
    return content is not None and not shape_of(path, content).broken


def _recover(tree: Tree, intent: Intent) -> None:
    """Whoever began this write was killed in it: see how far that was."""
    spare = Path(intent.spare)
    file = tree.versions.file(intent.path)
    outside = file is not None and file.outside
    if _was_done(tree, intent, spare):
        came_out = _content(spare)
        if came_out is not None and name_of(came_out) not in (intent.before, intent.after):
            _give_back(tree.root / intent.path, spare)
            _drop(tree, intent)
        else:
            finish(tree, intent, tree.versions.data(intent.after), outside=outside)
    else:
        _drop(tree, intent)
    replacing.unfinished(spare).unlink(missing_ok=True)
    spare.unlink(missing_ok=True)


def _was_done(tree: Tree, intent: Intent, spare: Path) -> bool:
    found = name_of(replacing.read(tree.root / intent.path))
    if found in (intent.before, intent.after):
        return found == intent.after
    if replacing.unfinished(spare).exists():
        return False
    waiting = _content(spare)
    return waiting is None or name_of(waiting) != intent.after


def _give_back(path: Path, spare: Path) -> None:
    """A person wrote the file in the moment in which it was replaced: theirs comes first."""
    if path.exists():
        spare.replace(path)
    else:
        os.link(spare, path)


def _drop(tree: Tree, intent: Intent) -> None:
    with tree.versions.change():
        tree.versions.drop_intent(intent)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remember(tree: Tree, path: str, disk: bytes | None, *, outside: bool) -> None:
    whole = is_whole(path, disk)
    with tree.versions.change():
        name = tree.keep(path, disk)
        good = name if whole else ABSENT
        tree.versions.set_file(path, File(name, good, outside))


def _adopt(tree: Tree, path: str, file: File, disk: bytes | None) -> None:
    from intarsia.workspace.edits import symbols_between
    from intarsia.workspace.shared import Adopted

    before = tree.version(path, file.known)
    whole = is_whole(path, disk)
    with tree.versions.change():
        name = tree.keep(path, disk)
        good = name if whole else file.good
        tree.versions.set_file(path, File(name, good, outside=disk != tree.committed(path, disk)))
    tree.adopted(Adopted(path, symbols_between(path, before, disk)))
