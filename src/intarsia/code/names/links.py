"""What import statements name, and whether that may be a certain file: by names and endings of paths alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_FROM = re.compile(rb"\s*from\s+(\.*)\s*([\w.]*)\s+import\b(.*)", re.DOTALL)
_IMPORTED = re.compile(rb"([\w.*]+)(?:\s+as\s+\w+)?")
_COMMENT = re.compile(rb"#[^\n]*|\\\n")
_QUOTED = re.compile(rb"[\"'<]([^\"'>\n]+)[\"'>]")
_PATH = re.compile(rb"[\w$]+(?:(?:\.|::|\\)(?:[\w$]+|\*))*")
_WORDS = frozenset(
    b"import from as export type static use using include require pub mod crate self super default".split()
)
_SEPARATORS = re.compile(r"::|[/\\.]+")
_FAMILY = {"typescript": "javascript", "tsx": "javascript", "cpp": "c"}
_WITHOUT_IMPORTS = frozenset({"ruby", "php", "c"})
_BY_FOLDER = frozenset({"go", "java", "c_sharp"})
_NAMED_BY_FOLDER = frozenset({"__init__", "index", "mod", "lib", "main"})


def family(language: str) -> str:
    """Languages whose files use each other count as one."""
    return _FAMILY.get(language, language)


def imported(text: bytes, language: str) -> set[str]:
    """The dotted names in one import: of modules and, behind their module, of what is taken from it."""
    if language == "python":
        names = _of_python(_COMMENT.sub(b" ", text))
    else:
        quoted = _QUOTED.findall(text)
        names = {*quoted, *_PATH.findall(_QUOTED.sub(b" ", text))} - _WORDS
    return {dotted for name in names if (dotted := _dotted(name.decode(errors="replace")))}


def _of_python(text: bytes) -> set[bytes]:
    found = _FROM.match(text)
    if not found:
        return {match[1] for match in _IMPORTED.finditer(text.strip().removeprefix(b"import"))}
    module = found[2]
    names = [match[1] for match in _IMPORTED.finditer(found[3])]
    return {module + b"." + name if module else name for name in names} or {module}


def _dotted(name: str) -> str:
    parts = [part for part in _SEPARATORS.split(name) if part and part not in ("*", "crate", "self", "super", "@")]
    if len(parts) > 1 and parts[-1] in ("js", "ts", "tsx", "jsx", "mjs", "h", "hpp", "hh", "php", "rb"):
        parts.pop()
    return ".".join(parts)


def near(language: str, importer: str, path: str) -> bool:
    """Whether a file needs no import to use what is in the other."""
    kind = family(language)
    return importer == path or kind in _WITHOUT_IMPORTS or (kind in _BY_FOLDER and _folder(importer) == _folder(path))


def names_file(imports: Iterable[str], language: str, path: str) -> bool:
    """Whether an import names the file, or something in it."""
    kind = family(language)
    targets = {_module(path)} | ({_module(path).rpartition(".")[0]} if kind in _BY_FOLDER else set())
    return any(
        _ends(target, each) or (kind in _BY_FOLDER and _ends(each, target))
        for name in imports
        for each in (name, name.rpartition(".")[0])
        for target in targets
        if each and target
    )


def takes(imports: Iterable[str], path: str, name: str) -> bool:
    """Whether the name is taken from a package around the file, which may hand it on."""
    around = _module(path).split(".")
    for each in imports:
        package, _, last = each.rpartition(".")
        if last == name and (not package or package.rpartition(".")[2] in around):
            return True
    return False


def _ends(whole: str, end: str) -> bool:
    return whole == end or whole.endswith("." + end)


@lru_cache(maxsize=65536)
def _module(path: str) -> str:
    """The path with dots, without extension, and without the names that stand for the folder."""
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    parts = [part for part in folder.split("/") if part]
    return ".".join(parts if stem in _NAMED_BY_FOLDER and parts else [*parts, stem])


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
