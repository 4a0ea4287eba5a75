"""Keeping an agent's own git from the branches of the tree that it shares with everybody.

Its commits would take everybody's half-done work, unproven. So its git runs a hook of ours instead of the repository's,
and that refuses every change of a ref here; in other repositories, such as those that tests make, it allows all.
"""

from __future__ import annotations

import shlex

from intarsia.workspace.repository import Repository

_HOOK = """#!/bin/sh
[ "$1" = prepared ] || exit 0
[ "$(git rev-parse --path-format=absolute --git-common-dir)" = {git_dir} ] || exit 0
echo "All agents share this tree: commit your changes, and nobody else's, with: intarsia commit -m MESSAGE" >&2
exit 1
"""


def environment(repository: Repository) -> dict[str, str]:
    """What makes git run the hook, which is written first."""
    folder = repository.state / "shared" / "hooks"
    folder.mkdir(parents=True, exist_ok=True)
    text = _HOOK.format(git_dir=shlex.quote(str(repository.git_dir)))
    hook = folder / "reference-transaction"
    if not hook.is_file() or hook.read_text(encoding="utf-8") != text:
        unfinished = hook.with_suffix(".new")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.chmod(0o755)
        unfinished.replace(hook)
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": str(folder)}
