"""All operations."""

from __future__ import annotations

from typing import Any

from intarsia.gateway import calls, claims, files, hooks, issues, leases, messages, words
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
    issues.new,
    issues.find,
    issues.ready,
    issues.show,
    issues.close,
    issues.reopen,
    issues.depend,
    issues.undepend,
    issues.dependencies,
    claims.claim,
    claims.heartbeat,
    claims.complete,
    claims.amend,
    claims.release,
    claims.block,
    claims.unblock,
    claims.transfer,
    claims.escalate,
    calls.start,
    calls.wait,
    calls.give_back,
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
