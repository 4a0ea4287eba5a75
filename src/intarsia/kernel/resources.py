"""Names of what can be leased: URIs in one normal form, which nest by segment.

    code:                           everything in the repository
    code:src/a.py                   a file, inside code:src
    code:src/a.py#Class.method      a symbol, inside #Class, inside the file
    code:src/a.py#f/body            the body of a symbol
    github://acme/app/issues/42     any other URI nests by its path

`key` spells the segments with a separator no name can contain, so that "inside of" is a prefix, and one range of an
index.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from intarsia.errors import InputError

SEPARATOR = "\x1f"
AFTER_SEPARATOR = "\x20"
MAX_LENGTH = 2000
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)


class Resource(Struct, frozen=True):
    """`name` in normal form, and `key` for comparing."""

    name: str
    key: str

    @property
    def around(self) -> list[str]:
        """The keys of all that contains this resource, outermost first."""
        parts = self.key.split(SEPARATOR)
        return [SEPARATOR.join(parts[:n]) for n in range(1, len(parts))]

    @property
    def inside(self) -> tuple[str, str]:
        """The half-open range of keys of all that this resource contains."""
        return self.key + SEPARATOR, self.key + AFTER_SEPARATOR


def nested(one: str, other: str) -> bool:
    """Whether two keys name the same resource, or one that contains the other."""
    short, long = sorted((one, other), key=len)
    return short == long or long.startswith(short + SEPARATOR)


@lru_cache(maxsize=8192)
def parse(uri: str, root: Path | None = None) -> Resource:
    """Bring a URI to its normal form; raises InputError.

    With `root`, paths of `code:` are taken from there, symbolic links are followed, and what lies outside is refused.
    """
    found = _SCHEME.fullmatch(uri)
    if not found or len(uri) > MAX_LENGTH or not uri.isprintable():
        raise InputError(
            f"{uri[:80]!r} does not name a resource.", hint="Write a URI such as code:src/a.py#f, or issue:ia-7f3a"
        )
    scheme, rest = found[1].lower(), found[2]
    if scheme == "code":
        return _code(uri, rest, root)
    if " " in rest:
        raise InputError(f"{uri!r} has a space in it.", hint="Write %20 for a space.")
    return _other(uri, scheme, rest)


def _code(uri: str, rest: str, root: Path | None) -> Resource:
    path, _, symbol = rest.partition("#")
    if path.startswith("//"):
        raise InputError(f"{uri!r} names a host.", hint="Write code:PATH, with a path in the repository.")
    parts = _inside_root(uri, path, root) if root is not None else _resolve(uri, path)
    if symbol and not parts:
        raise InputError(f"{uri!r} names a symbol of no file.")
    name, _, inner = symbol.partition("/")
    if symbol and not all((*name.split("."), *(inner.split("/") if inner else ()))):
        raise InputError(f"{uri!r} has an empty part in its symbol.")
    symbols = [("#" if n == 0 else ".") + part for n, part in enumerate(name.split("."))] if name else []
    inners = [f"/{part}" for part in inner.split("/")] if inner else []
    return Resource(
        "code:" + "/".join(parts) + "".join([*symbols, *inners]), SEPARATOR.join(["code", *parts, *symbols, *inners])
    )


def _inside_root(uri: str, path: str, root: Path) -> list[str]:
    real = Path(os.path.realpath(root))
    target = Path(os.path.realpath(real / path))
    if target != real and real not in target.parents:
        raise InputError(f"{uri!r} lies outside of the repository {real}.")
    return list(target.relative_to(real).parts)


def _other(uri: str, scheme: str, rest: str) -> Resource:
    authority: list[str] = []
    if rest.startswith("//"):
        host, _, rest = rest[2:].partition("/")
        if not host:
            raise InputError(f"{uri!r} names an empty host.")
        authority = [f"//{host.lower()}"]
    parts = _resolve(uri, rest)
    name = f"{scheme}:" + "/".join([*authority, *parts])
    return Resource(name, SEPARATOR.join([scheme, *authority, *parts]))


def _resolve(uri: str, path: str) -> list[str]:
    """The segments of a path without empty ones, `.` and `..`."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise InputError(f"{uri!r} leads out of its root.")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts
