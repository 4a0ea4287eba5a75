"""Whether the order of two units can matter."""

from __future__ import annotations

import re

from intarsia.code.outline import Outline, Unit

_WORD = re.compile(rb"\w+")
_CODING = re.compile(rb"#.*coding[:=]")
_CALLED = re.compile(r"function|method|constructor|destructor|operator")
_DEFINES = re.compile(
    r"function|method(?!_invocation)|constructor|destructor|class|interface|struct|enum_(?!member|variant|constant|assignment)|union|trait|impl|mod_item|module"
    r"|namespace|type_alias|type_item|type_spec|macro_definition|record|protocol|delegate|import|comment"
)
_STATEMENT = re.compile(
    r"_statement$|call|invocation|^(?:identifier|ERROR|file|augmented_assignment|.*_block|preproc_.*)$"
)
_ORDERED = re.compile(
    rb"\b(?:Enum|Flag|IntEnum|StrEnum|IntFlag|NamedTuple|Structure)\b|@[\w.]*\b(?:dataclass|attrs?|define)\b"
)
# Of these a body, too, may only name what stands above it.
_TOP_DOWN = frozenset({"c", "cpp"})
LAST = 9
# What stands above these is as often said of the file.
WITH_LOOSE_COMMENTS = frozenset({"import", "docstring"})


def is_free(unit: Unit) -> bool:
    """Whether its place among its like means nothing: a definition, an import or a comment, and not a statement that
    does something where it stands, or a member that is known by its place."""
    if "call" in unit.kind:
        return (bool(unit.name) and unit.signature > 0) or unit.units is not None
    return _DEFINES.match(unit.kind) is not None and "block" not in unit.kind


def is_ordered(outline: Outline, unit: Unit) -> bool:
    """Whether members are known by their place as well: those of enumerations and records."""
    header = outline.data[unit.core : unit.open]
    return "enum" in unit.kind or (outline.language == "python" and _ORDERED.search(header) is not None)


def binds(unit: Unit) -> bool:
    """Whether it gives its name to something, so that another one of that name would be in its way."""
    return bool(unit.name) and unit.name != "_" and not (_STATEMENT.search(unit.kind) and "alias" not in unit.kind)


def comes_first(outline: Outline, unit: Unit) -> int:
    """A rank among what comes to the top of a file or class; LAST for what may stand anywhere."""
    text = outline.text(unit).lstrip()
    if text.startswith(b"#!"):
        return 0
    if outline.language != "python":
        return LAST
    if unit.kind == "comment" and _CODING.match(text):
        return 1
    if unit.kind == "import" and unit.name.startswith("__future__"):
        return 3
    return 2 if unit.kind == "docstring" else LAST


def depends(outline: Outline, moved: Unit, other: Outline, changed: Unit, base: Outline, before: Unit | None) -> bool:
    """Whether a unit that one side moved past another must not be on that side of it, as the other side changed it from
    what it was `before`: one names the other where that must be defined already, or both only do something."""
    if not is_free(moved) and not is_free(changed):
        return True
    words = early_words(other, changed)
    if before is not None:
        words -= early_words(base, before)
    elif _name(changed) and _name(changed) in early_words(outline, moved):
        return True
    return bool(_name(moved)) and _name(moved) in words


def head(outline: Outline, unit: Unit) -> bytes:
    """What a function is called with; empty for what is no function."""
    return outline.data[unit.core : unit.signature].strip() if _CALLED.search(unit.kind) and unit.signature else b""


def mentions(unit: Unit, text: bytes) -> bool:
    name = _name(unit)
    return bool(name) and re.search(rb"(?<!\w)" + re.escape(name) + rb"(?!\w)", text) is not None


def may_meet(outline: Outline, unit: Unit, other_outline: Outline, other: Unit) -> bool:
    """Whether it is the same which of two that came to one place is above: of two definitions, and of a definition and
    a value, where neither needs the other."""
    if is_free(unit) and is_free(other):
        return True
    if not (is_free(unit) and binds(other)) and not (is_free(other) and binds(unit)):
        return False
    return _name(other) not in early_words(outline, unit) and _name(unit) not in early_words(other_outline, other)


def mask(text: bytes, unit: Unit) -> bytes:
    """The text with its own name made the same for all."""
    name = _name(unit)
    return re.sub(rb"(?<!\w)" + re.escape(name) + rb"(?!\w)", b"\0", text).strip() if name else text.strip()


def _name(unit: Unit) -> bytes:
    return unit.name.rpartition(".")[2].encode(errors="surrogateescape")


def early_words(outline: Outline, unit: Unit) -> set[bytes]:
    """Words that are looked up when the unit is read, and not when it is called."""
    data = outline.data
    if unit.kind == "comment":
        return set()
    if unit.units is not None and outline.language not in _TOP_DOWN:
        inner = (early_words(outline, member) for member in unit.units)
        return set(_WORD.findall(data, unit.core, unit.open)).union(*inner)
    is_called = _CALLED.search(unit.kind) and unit.signature and outline.language not in _TOP_DOWN
    return set(_WORD.findall(data, unit.core, unit.signature if is_called else unit.end))
