"""All operations."""

from __future__ import annotations

from typing import Any

from intarsia.gateway import files, hooks, leases, messages, words
from intarsia.gateway.operation import Operation

OPERATIONS: tuple[Operation[Any, Any], ...] = (
    leases.acquire,
    leases.release,
    leases.heartbeat,
    leases.check,
    leases.wait,
    leases.look,
    files.read,
    files.edit,
    files.write,
    files.insert,
    files.import_,
    files.remove,
    files.move,
    files.commit,
    messages.send,
    messages.inbox,
    messages.wait,
    messages.ack,
    messages.ask,
    words.status,
    words.note,
    words.resolve,
    words.done,
    hooks.decide,
)
