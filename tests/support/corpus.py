"""Real code, as if one side had just changed all definitions and the other all that uses them."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Iterable
from pathlib import Path

from intarsia.code.conflicts.source import Nothing, Versions

ANYTHING = b"\ndef __getattr__(name): ...\n"


def standard_library() -> dict[str, bytes]:
    root = Path(sysconfig.get_paths()["stdlib"])
    return _read(root, (path for path in root.rglob("*") if not {"site-packages", "__pycache__"} & set(path.parts)))


def package(name: str) -> dict[str, bytes]:
    """An installed package's files, by their paths in site-packages."""
    root = Path(sysconfig.get_paths()["purelib"])
    return _read(root, (root / name).rglob("*"))


def _read(root: Path, paths: Iterable[Path]) -> dict[str, bytes]:
    """Of what is not Python only the names; as in a repository, without what is built from it."""
    files = (path for path in sorted(paths) if path.is_file() and path.suffix not in (".so", ".pyc"))
    return {path.relative_to(root).as_posix(): path.read_bytes() if path.suffix == ".py" else b"" for path in files}


def imports_are_new(files: dict[str, bytes]) -> Versions:
    """One side wrote all imports, against modules that bind anything; the other side all modules as they are."""
    ours = {path: data + ANYTHING for path, data in files.items()}
    return Versions({}, ours, dict.fromkeys(files, b""), files, Nothing())


def calls_are_new(files: dict[str, bytes]) -> Versions:
    """One side wrote all calls, of functions that take anything; the other side gave them their parameters."""
    ours = {path: _taking_anything(data) for path, data in files.items()}
    return Versions({}, ours, dict.fromkeys(files, b""), files, Nothing())


def _taking_anything(data: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(data)
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    _open(node.args)
            return ast.unparse(tree).encode("utf-8", "surrogatepass")
        except (SyntaxError, ValueError, RecursionError):
            return data


def _open(args: ast.arguments) -> None:
    args.vararg = args.vararg or ast.arg("_more")
    args.kwarg = args.kwarg or ast.arg("_named")
