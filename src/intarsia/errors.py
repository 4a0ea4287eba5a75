"""Every error intarsia raises on purpose, with its exit code and, where there is one, its cure.

IntarsiaError              1
├── UsageError             2   a command or its options make no sense together
├── ConfigError            2   intarsia.toml, an INTARSIA_… variable or a flag is wrong
├── NotReady               2   the machine or the repository is not ready
│   └── DatabaseError      2   the database can't be opened, read or written
├── InputError             4   a value handed in is wrong
│   └── NotFound           4   the thing named does not exist
├── Conflict               1   the state of things does not allow it now
│   ├── Held               1   somebody else holds the resource
│   ├── NotHolder          1   the caller does not hold what it wants to change
│   └── StaleLease         1   the lease that protects this write is over
├── GitError               1   git said no
└── Aborted                3   the run can't go on
"""

from __future__ import annotations

from typing import Any


class IntarsiaError(Exception):
    """Base of the tree: one sentence for people, `hint` for the cure, `code` for programs."""

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data

    def as_json(self) -> dict[str, Any]:
        return {"ok": False, "code": self.code, "message": self.message, "hint": self.hint, **self.data}


class UsageError(IntarsiaError):
    code = "usage"
    exit_code = 2


class ConfigError(IntarsiaError):
    code = "config"
    exit_code = 2


class NotReady(IntarsiaError):
    """The machine or the repository lacks something; nothing was changed."""

    code = "not_ready"
    exit_code = 2


class DatabaseError(NotReady):
    code = "database"


class InputError(IntarsiaError):
    code = "bad_input"
    exit_code = 4


class NotFound(InputError):
    code = "not_found"


class Conflict(IntarsiaError):
    code = "conflict"


class Held(Conflict):
    """`data` says which resource, who holds it, since when and until when."""

    code = "held"


class NotHolder(Conflict):
    code = "not_holder"


class StaleLease(Conflict):
    code = "stale_lease"


class GitError(IntarsiaError):
    code = "git"


class Aborted(IntarsiaError):
    code = "aborted"
    exit_code = 3
