"""What a workspace's repository made by itself, as a pack that git can unpack and verify elsewhere.

`git pack-objects` does the same for any repository; here it is a few loose objects, and no process.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from intarsia.workspace.objects import LARGEST, Store, entries_of, parsed

_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3}


def pack(store: Store, heads: Iterable[str]) -> bytes | None:
    """All that these commits reach in this store, which ends where others' objects begin (gitformat-pack(5)).

    None where that can't be said so simply, or is too much to hold in memory. Raises GitError for broken objects.
    """
    if store.has_packs():
        return None
    wanted = list(heads)
    packed, size = [], 0
    for kind, data in _reached(store, wanted):
        size += len(data)
        if kind not in _KINDS or size > LARGEST:
            return None
        packed.append(_header(_KINDS[kind], len(data)) + zlib.compress(data, 1))
    whole = b"PACK" + (2).to_bytes(4, "big") + len(packed).to_bytes(4, "big") + b"".join(packed)
    return whole + (hashlib.sha1 if len(wanted[0]) == 40 else hashlib.sha256)(whole).digest()


def _reached(store: Store, heads: list[str]) -> Iterator[tuple[bytes, bytes]]:
    here = store.loose()
    left, seen = list(heads), set[str]()
    while left:
        oid = left.pop()
        if oid in here and oid not in seen:
            seen.add(oid)
            kind, data = store.get(oid) or (b"broken", b"")
            yield kind, data
            left += _links(kind, data, len(oid) // 2)


def _links(kind: bytes, data: bytes, width: int) -> list[str]:
    if kind == b"commit":
        commit = parsed(data)
        return [commit.tree, *commit.parents]
    return [entry.oid for _, entry in entries_of(data, width)] if kind == b"tree" else []


def _header(kind: int, size: int) -> bytes:
    """Four bits of the size after the kind, and seven in each byte that follows."""
    first, size = kind << 4 | size & 15, size >> 4
    made = []
    while size:
        made.append(first | 128)
        first, size = size & 127, size >> 7
    return bytes([*made, first])
