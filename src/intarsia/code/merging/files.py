"""A three-way merge of whole files as version control has them: mode and content, or not there."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from intarsia.code.inside.entangled import entangled as entangled_by
from intarsia.code.languages import language_of
from intarsia.code.merging.merge import Conflict, Overlap, merge
from intarsia.code.merging.shape import is_binary

REGULAR, EXECUTABLE, LINK, MODULE = 0o100644, 0o100755, 0o120000, 0o160000


class File(Struct, frozen=True):
    """`mode` as in a git tree. `data` is of a link its target, of a submodule its commit."""

    mode: int
    data: bytes

    @property
    def is_text(self) -> bool:
        return self.mode in (REGULAR, EXECUTABLE) and not is_binary(self.data)


def merge_files(path: str, base: File | None, ours: File | None, theirs: File | None) -> File | Conflict | None:
    """The merge; None where it deletes the file. `path` is the name that the file is to have: it tells the language.

    Only the content of regular text files is ever merged; of links, submodules and binary files one side is taken
    whole where the other did not change it.
    """
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        return _conflict("deleted by one side and changed by the other", base, ours, theirs)
    mode = _mode(base, ours, theirs)
    if mode is None:
        return _conflict("given different modes", base, ours, theirs)
    data = _data(path, base, ours, theirs)
    return data if isinstance(data, Conflict) else File(mode, data)


def entangled(path: str, conflict: Conflict) -> Conflict | None:
    """What is left of a conflict where lines alone merged without one: symbols that both sides changed, and in which
    the one newly uses what the other changed. None where no symbol is like that."""
    overlaps = [said for overlap in conflict.overlaps if (said := _entangled(path, overlap)) is not None]
    return replace(conflict, overlaps=overlaps) if overlaps else None


def _entangled(path: str, overlap: Overlap) -> Overlap | None:
    if overlap.kind != "changed" or overlap.base is None or overlap.ours is None or overlap.theirs is None:
        return None
    language = language_of(path, overlap.ours)
    name = entangled_by(overlap.base, overlap.ours, overlap.theirs, language) if language is not None else ""
    said = f"{overlap.said}: one changed {name}, which the other changed too or newly uses"
    return replace(overlap, said=said) if name else None


def _mode(base: File | None, ours: File, theirs: File) -> int | None:
    if ours.mode == theirs.mode:
        return ours.mode
    if base is None:
        return None
    if ours.mode == base.mode:
        return theirs.mode
    return ours.mode if theirs.mode == base.mode else None


def _data(path: str, base: File | None, ours: File, theirs: File) -> bytes | Conflict:
    old = None if base is None else base.data
    same_kind = len({_kind(file) for file in (base, ours, theirs) if file is not None}) == 1
    if same_kind and (ours.data == theirs.data or theirs.data == old):
        return ours.data
    if same_kind and ours.data == old:
        return theirs.data
    if not all(file is None or file.is_text for file in (base, ours, theirs)):
        return _conflict("changed by both sides, and can't be merged by lines", base, ours, theirs)
    merged = merge(old or b"", ours.data, theirs.data, language_of(path, ours.data))
    return merged if isinstance(merged, Conflict) else merged.data


def _kind(file: File) -> int:
    """Regular file, link or submodule."""
    return file.mode & 0o170000


def _conflict(reason: str, base: File | None, ours: File | None, theirs: File | None) -> Conflict:
    texts = (None if file is None else file.data for file in (base, ours, theirs))
    return Conflict([Overlap("", "file", reason, *texts)])
