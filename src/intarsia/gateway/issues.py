"""Units of work: what `intarsia issue` does, but for the claims of members."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from intarsia.config import Config, Queue
from intarsia.errors import Conflict, InputError
from intarsia.gateway.operation import Answer, Caller, Given, Text, Words, operation
from intarsia.kernel import decisions, issues, leases, sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.issues import Issue as Found

Id = Annotated[Text, Meta(description="The id of an issue, such as ia-7f3a.")]
Ids = Annotated[list[Text], Meta(max_length=1000)]
Type = Literal["task", "bug", "feature", "chore", "epic"]
Status = Literal["open", "in_progress", "blocked", "deferred", "closed"]
Dependency = Literal["blocks", "parent-child", "related", "discovered-from"]
Priority = Annotated[int, Meta(description="0 is the most urgent.", extra_json_schema={"minimum": 0, "maximum": 4})]
Note = Annotated[Text, Meta(description="Why.")]


class Issue(Answer):
    id: str
    title: str
    body: str
    acceptance: str
    type: Type
    priority: int
    status: Status
    queue: str
    labels: list[str]
    assignee: str | None
    claims: list[str]
    parent: str | None
    external: str | None
    resolution: str | None
    attempts: int
    not_before: str | None
    due: str | None
    created: str | None
    updated: str | None
    closed: str | None
    needs: list[str]

    @classmethod
    def of(cls, found: Found) -> Issue:
        return cls(**found.as_json())


class One(Answer):
    issue: Issue

    @classmethod
    def of(cls, found: Found) -> One:
        return cls(issue=Issue.of(found))


class Several(Answer):
    issues: list[Issue]

    @classmethod
    def of(cls, found: list[Found]) -> Several:
        return cls(issues=[Issue.of(one) for one in found])


class New(Given):
    title: Annotated[Words, Meta(description="One line.")]
    body: Annotated[Text, Meta(description="What is wanted.")] = ""
    acceptance: Annotated[Text, Meta(description="How to tell that it is done.")] = ""
    type: Type = "task"
    priority: Annotated[
        int, Meta(description="0 is the most urgent.", extra_json_schema={"minimum": 0, "maximum": 4})
    ] = 2
    queue: Text = "default"
    labels: Ids = []
    claims: Annotated[list[Text], Meta(max_length=1000, description="Resources it expects to write.")] = []
    parent: Annotated[Text | None, Meta(description="The epic or issue it belongs to.")] = None
    needs: Annotated[list[Text], Meta(max_length=1000, description="Issues that must be closed before it.")] = []
    blocks: Annotated[list[Text], Meta(max_length=1000, description="Issues that wait for it.")] = []
    external: Annotated[Text | None, Meta(description="Its name in another tracker.")] = None
    id: Annotated[Text | None, Meta(description="Made, unless given.")] = None


class Find(Given):
    statuses: Annotated[list[Status], Meta(max_length=5, description="Default: all but closed.")] = []
    label: Text | None = None
    all: Annotated[bool, Meta(description="Closed ones too.")] = False


class Ready(Given):
    """All of them."""


class Show(Given):
    id: Id


class Edge(Answer):
    """`issue` waits for, belongs to or refers to `target`."""

    issue: str
    target: str
    kind: Dependency


class Decision(Answer):
    id: int
    issue: str
    actor: str
    kind: decisions.Kind
    text: str
    time: str | None


class Shown(Answer):
    issue: Issue
    dependencies: list[Edge]
    notes: list[str]
    decisions: list[Decision]
    sessions: list[dict[str, Any]]


class Close(Given):
    id: Id
    reason: Annotated[Text, Meta(description="Recorded as its resolution.")] = "done"


class Reopen(Given):
    id: Id
    note: Note = ""


class Depend(Given):
    id: Id
    on: Id
    kind: Dependency = "blocks"


class Undepend(Given):
    id: Id
    on: Id


class Edges(Answer):
    id: str
    dependencies: list[Edge]


@operation("issues/new", New, One)
def new(caller: Caller, given: New) -> One:
    """Create an issue."""
    settings = queue_of(caller.site.config, given.queue)
    values = {name: getattr(given, name) for name in given.__struct_fields__}
    draft = issues.Draft(**values, prefix=settings.prefix, sla=settings.sla)
    with caller.database.transaction() as tx:
        return One.of(issues.create(tx, draft, caller.identify(tx)))


@operation("issues/list", Find, Several)
def find(caller: Caller, given: Find) -> Several:
    """List issues, most urgent first."""
    every = issues.STATUSES if given.all else [status for status in issues.STATUSES if status != "closed"]
    with caller.database.read() as tx:
        return Several.of(issues.find(tx, statuses=given.statuses or every, label=given.label))


@operation("issues/ready", Ready, Several)
def ready(caller: Caller, given: Ready) -> Several:
    """List what could be worked on now, in the order it will be."""
    with caller.database.read() as tx:
        return Several.of(issues.ready(tx))


@operation("issues/show", Show, Shown)
def show(caller: Caller, given: Show) -> Shown:
    """Show an issue with its dependencies, notes, decisions and sessions, the newest first."""
    with caller.database.read() as tx:
        return Shown(
            issue=Issue.of(issues.get(tx, given.id)),
            dependencies=_edges(tx, given.id),
            notes=issues.notes(tx, given.id),
            decisions=[Decision(**one.as_json()) for one in decisions.of(tx, given.id)],
            sessions=[one.as_json() for one in sessions.find(tx, issue=given.id)],
        )


@operation("issues/close", Close, One)
def close(caller: Caller, given: Close) -> One:
    """Close an issue by hand; one that somebody works on is not."""
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        _refuse_if_worked_on(tx, given.id)
        sessions.cancel_parked(tx, given.id, me)
        return One.of(issues.close(tx, given.id, given.reason, me))


@operation("issues/reopen", Reopen, One)
def reopen(caller: Caller, given: Reopen) -> One:
    """Make a closed or blocked issue open again, so that the next run takes it."""
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        _refuse_if_worked_on(tx, given.id)
        sessions.cancel_parked(tx, given.id, me)
        return One.of(issues.reopen(tx, given.id, me, given.note))


@operation("issues/depend", Depend, Edges)
def depend(caller: Caller, given: Depend) -> Edges:
    """Say that an issue waits for another (blocks), is its child (parent-child), or refers to it."""
    with caller.database.transaction() as tx:
        issues.add_dependency(tx, given.id, given.on, given.kind, caller.identify(tx))
        return Edges(id=given.id, dependencies=_edges(tx, given.id))


@operation("issues/undepend", Undepend, Edges)
def undepend(caller: Caller, given: Undepend) -> Edges:
    """Forget that an issue depends on another."""
    with caller.database.transaction() as tx:
        issues.remove_dependency(tx, given.id, given.on, caller.identify(tx))
        return Edges(id=given.id, dependencies=_edges(tx, given.id))


@operation("issues/dependencies", Show, Edges)
def dependencies(caller: Caller, given: Show) -> Edges:
    """List what an issue waits for and what waits for it."""
    with caller.database.read() as tx:
        issues.get(tx, given.id)
        return Edges(id=given.id, dependencies=_edges(tx, given.id))


def queue_of(config: Config, name: str) -> Queue:
    """The settings of a queue; raises InputError that names those there are."""
    if name == "default":
        return config.queues.get(name, Queue())
    if name not in config.queues:
        known = ", ".join(["default", *config.queues])
        raise InputError(f"There is no queue {name!r} (known: {known}).", hint="Add [queues.NAME] to intarsia.toml.")
    return config.queues[name]


def _edges(tx: Transaction, issue: str) -> list[Edge]:
    return [Edge(**edge) for edge in issues.dependencies(tx, issue)]  # type: ignore[arg-type]


def _refuse_if_worked_on(tx: Transaction, issue_id: str) -> None:
    for session in sessions.find(tx, issue=issue_id, stages=sessions.ACTIVE):
        raise Conflict(
            f"{issue_id} is being worked on by session {session.id}.",
            hint="Wait for it, or stop the run (Ctrl-C twice) first.",
        )
    for lease in leases.on(tx, issues.get(tx, issue_id).resource):
        held = leases.held_error(lease)
        held.hint = (
            f"{lease.session} completes or releases it; or take it: intarsia lock force-release {lease.resource}"
        )
        raise held
