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
AFTER_SLASH = "0"
MAX_LENGTH = 2000  # bytes of a key; an index of PostgreSQL takes 2704 with the project and the session
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

    @property
    def parts(self) -> tuple[str, str]:
        """The same of its parts, such as `…#f/body`, without its members."""
        return f"{self.key}{SEPARATOR}/", f"{self.key}{SEPARATOR}{AFTER_SLASH}"


def parse(uri: str, root: Path | None = None) -> Resource:
    """Bring a URI to its normal form; raises InputError.

    With `root`, paths of `code:` are taken from there, symbolic links are followed, and what lies outside is refused.
    """
    scheme, _, rest = uri.partition(":")
    if root is None or scheme.lower() != "code" or rest.startswith("//") or not uri.isprintable():
        return _parse(uri)
    path, mark, symbol = rest.partition("#")
    return _parse(f"code:{_inside_root(uri, path, root)}{mark}{symbol}")


@lru_cache(maxsize=8192)
def _parse(uri: str) -> Resource:
    found = _SCHEME.fullmatch(uri)
    if not found or not uri.isprintable():
        raise InputError(
            f"{uri[:80]!r} does not name a resource.", hint="Write a URI such as code:src/a.py#f, or issue:ia-7f3a"
        )
    scheme, rest = found[1].lower(), found[2]
    if " " in rest and scheme != "code":
        raise InputError(f"{uri!r} has a space in it.", hint="Write %20 for a space.")
    resource = _code(uri, rest) if scheme == "code" else _other(uri, scheme, rest)
    if len(resource.key.encode()) > MAX_LENGTH:
        raise InputError(f"{uri[:80]!r}… is longer than {MAX_LENGTH} bytes.")
    return resource


def _code(uri: str, rest: str) -> Resource:
    path, _, symbol = rest.partition("#")
    if path.startswith("//"):
        raise InputError(f"{uri!r} names a host.", hint="Write code:PATH, with a path in the repository.")
    parts = _resolve(uri, path)
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


def _inside_root(uri: str, path: str, root: Path) -> str:
    real = Path(os.path.realpath(root))
    target = Path(os.path.realpath(real / path))
    if target != real and real not in target.parents:
        raise InputError(f"{uri!r} lies outside of the repository {real}.")
    inside = target.relative_to(real)
    if "#" in str(inside):
        raise InputError(f"{uri!r} is {inside}, and # begins the name of a symbol.")
    return "/".join(inside.parts)


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
