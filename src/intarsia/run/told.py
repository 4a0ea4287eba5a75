"""What agents and people are told of a change that was made."""

from __future__ import annotations

from collections.abc import Iterable


def changed(path: str, changes: Iterable[tuple[str, str]], *, merged: bool, advice: str) -> str:
    """`changes` are kinds and keys; `merged`: others have changed the file too."""
    named = (f"{key} ({kind})" if key else kind for kind, key in changes)
    kept = " Others have changed the file too; that is kept." if merged else ""
    return f"{path}: {', '.join(dict.fromkeys(named)) or 'nothing changed'}.{kept} {advice}".strip()
