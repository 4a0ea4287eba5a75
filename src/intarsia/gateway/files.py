"""Changing files as a session: in the tree that all share, or in its own."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from intarsia.agents import environment
from intarsia.config import Agent
from intarsia.errors import Conflict, GitError, InputError, NotFound, NotReady
from intarsia.gateway.operation import Answer, Caller, Given, Site, Text, Words, operation
from intarsia.kernel import sessions
from intarsia.kernel.sessions import Session
from intarsia.run import told

if TYPE_CHECKING:
    from intarsia.workspace.edits import Edit as Change
    from intarsia.workspace.plain import Plain
    from intarsia.workspace.shared import Done, Shared, Tree
    from intarsia.workspace.worktree import Worktree

File = Annotated[Text, Meta(description="Its path from the root of the project.")]
Encoding = Annotated[
    Literal["utf-8", "base64"], Meta(description="How texts are written here: base64 where they are not UTF-8.")
]


Where = Literal["after", "before", "into"]


class Here(Given):
    here: Annotated[Text, Meta(description="The directory that paths start from, if not the root of the tree.")] = ""


class Texts(Here, kw_only=True):
    encoding: Encoding = "utf-8"


class Read(Texts, kw_only=True):
    path: File


class Contents(Answer):
    path: str
    text: str
    encoding: Encoding


class Edit(Texts, kw_only=True):
    path: File
    old: Annotated[str, Meta(description="A text that stands in the file once.")]
    new: Annotated[str, Meta(description="What to put there.")]
    all: Annotated[bool, Meta(description="Replace it wherever it stands.")] = False


class Write(Texts, kw_only=True):
    """One that is there must have been read before."""

    path: File
    text: Annotated[str, Meta(description="The whole file.")]


class Insert(Texts, kw_only=True):
    path: File
    where: Where
    symbol: Annotated[Text, Meta(description="Such as Parser.parse.")]
    text: Annotated[str, Meta(description="Indented as it is to be.")]


class Import(Texts, kw_only=True):
    path: File
    statement: Annotated[str, Meta(description="One line.")]


class Remove(Here, kw_only=True):
    path: File


class Move(Here, kw_only=True):
    path: File
    to: File


class Commit(Here, kw_only=True):
    message: Annotated[Words, Meta(description="What was done and why; the first line is the subject.")]


class Moved(Answer):
    path: str
    before: Annotated[str, Meta(description="What its path was.")]


class Touched(Answer):
    kind: str
    key: str


class Edited(Answer):
    path: str
    changes: list[Touched]
    merged: bool
    advice: str

    @classmethod
    def of(cls, done: Done) -> Edited:
        touched = [Touched(kind=one.kind, key=one.key) for one in done.changes]
        return cls(path=done.path, changes=touched, merged=done.merged, advice=done.advice)

    @property
    def said(self) -> str:
        changes = ((one.kind, one.key) for one in self.changes)
        return told.changed(self.path, changes, merged=self.merged, advice=self.advice)


class Committed(Answer):
    commit: str


@dataclass(frozen=True)
class Desk:
    """A session and where it edits; `names` knows its files, which are named from `here`. `tree`: the shared one."""

    site: Site
    session: Session
    place: Shared | Plain
    names: Tree | Plain
    here: Path
    tree: Tree | None = None

    def path(self, name: str) -> str:
        return self.names.path(name, self.here)

    def commit(self, message: str) -> str:
        """What the session changed; the id of the commit. Raises Conflict, or GitError."""
        if not message.strip():
            raise InputError("A commit needs a message.")
        if self.tree is None:
            _refuse_confined(self.site, self.session)
            return _commit_with_git(worktree_of(self.site, self.session), self.session, message)
        from intarsia.run import sharing

        repository = self.site.repository
        target = repository.target(self.site.config.land.target)
        portion = sharing.portion_of(self.tree, self.site.database, self.site.config, self.session.id)
        return sharing.commit(portion, sharing.commits_of(self.tree, repository, target, self.session), message)


def desk_of(site: Site, session: Session | None, here: Path | None = None) -> Desk:
    """`here`: where in its tree the session stands, if not at its root.

    Raises NotReady for who is no session, or has no workspace now.
    """
    if session is None:
        raise no_session()
    if session.stage in sessions.ENDED:
        raise NotReady(f"The session {session.id} has ended.")
    from intarsia.run import sharing  # and with it the grammars
    from intarsia.workspace.plain import Plain

    config, database = site.config, site.database
    if session.workspace is None and config.workspace.kind == "shared":
        tree = site.shared_tree()
        shared = sharing.in_tree(tree, database, config, session.id)
        return Desk(site, session, shared, tree, here or tree.root, tree)
    worktree = worktree_of(site, session)
    advised = sharing.arbiter(database, config, session.id, shared=False)
    plain = Plain(worktree.path, worktree.tmp, advised)
    return Desk(site, session, plain, plain, here or worktree.path)


def no_session() -> NotReady:
    return NotReady("This is for the sessions of intarsia run: here is none.", hint="Edit the file with what you like.")


def worktree_of(site: Site, session: Session) -> Worktree:
    """Raises NotReady when it has none."""
    from intarsia.workspace import pool

    if session.workspace is None:
        raise NotReady(f"The session {session.id} has no workspace.")
    return pool.worktree(site.repository, session.workspace)


def unfinished(site: Site, session: Session) -> str:
    """What the gate would say at once to a turn that ended now; empty when nothing is missing."""
    from intarsia.run.unfinished import in_shared_tree, in_worktree

    desk = desk_of(site, session)
    if desk.tree is None:
        return in_worktree(worktree_of(site, session), session.base or "")
    from intarsia.run import sharing

    target = site.repository.target(site.config.land.target)
    return in_shared_tree(sharing.commits_of(desk.tree, site.repository, target, session))


def _refuse_confined(site: Site, session: Session) -> None:
    """Hooks and filters of its repository, which it may write, would run for it outside of what confines it."""
    known = site.config.agents.get(session.agent, Agent(driver=session.driver))
    if site.config.runnable(known).confine not in ("", "off"):
        raise Conflict(
            "An agent that is confined commits with its own git.", hint="git add --all && git commit -m MESSAGE"
        )


def _commit_with_git(worktree: Worktree, session: Session, message: str) -> str:
    """In a tree of one's own, by git as it is set up there, with the project's hooks: they get nothing of ours."""
    import subprocess

    env = {
        **environment.base(),
        environment.MARKER: session.id,
        "TMPDIR": str(worktree.tmp),
        "XDG_CACHE_HOME": str(worktree.cache),
    }

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=worktree.path, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GitError(f"git {args[0]} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    git("add", "--all")
    git("commit", "--quiet", "-m", message)
    return git("rev-parse", "HEAD")


def _desk(caller: Caller, given: Here) -> Desk:
    with caller.database.transaction() as tx:
        session = caller.session(tx)
    return desk_of(caller.site, session, Path(given.here) if given.here else None)


def _apply(caller: Caller, given: Here, path: str, change: Change) -> Edited:
    desk = _desk(caller, given)
    return Edited.of(desk.place.apply(desk.path(path), change))


@operation("files/read", Read, Contents)
def read(caller: Caller, given: Read) -> Contents:
    """The text of a file as it is now."""
    desk = _desk(caller, given)
    path = desk.path(given.path)
    content = desk.place.read(path)
    if content is None:
        raise NotFound(f"There is no file {path}.")
    try:
        return Contents(path=path, text=content.decode("utf-8"), encoding="utf-8")
    except UnicodeDecodeError as error:
        if given.encoding == "utf-8":
            raise InputError(f"{path} is not UTF-8.", hint=f"intarsia read {path}") from error
    return Contents(path=path, text=base64.b64encode(content).decode(), encoding="base64")


@operation("files/edit", Edit, Edited, waits=True)
def edit(caller: Caller, given: Edit) -> Edited:
    """Replace a text of a file. What others change in the same file meanwhile is kept."""
    from intarsia.workspace.edits import exchange

    old, new = (decoded(text, given.encoding) for text in (given.old, given.new))
    return _apply(caller, given, given.path, exchange(old, new, everywhere=given.all))


@operation("files/write", Write, Edited, waits=True)
def write(caller: Caller, given: Write) -> Edited:
    """Write a whole file. What others changed since it was read is kept."""
    from intarsia.workspace.edits import Write as Whole

    return _apply(caller, given, given.path, Whole(decoded(given.text, given.encoding)))


@operation("files/insert", Insert, Edited, waits=True)
def insert(caller: Caller, given: Insert) -> Edited:
    """Insert text beside a symbol."""
    from intarsia.workspace.edits import insertion

    return _apply(caller, given, given.path, insertion(decoded(given.text, given.encoding), given.where, given.symbol))


@operation("files/import", Import, Edited, waits=True)
def import_(caller: Caller, given: Import) -> Edited:
    """Add an import line to a file, unless it has it."""
    from intarsia.workspace.edits import import_of

    return _apply(caller, given, given.path, import_of(decoded(given.statement, given.encoding)))


@operation("files/remove", Remove, Edited, waits=True)
def remove(caller: Caller, given: Remove) -> Edited:
    """Delete a file."""
    from intarsia.workspace.edits import Delete

    return _apply(caller, given, given.path, Delete())


@operation("files/move", Move, Moved, waits=True)
def move(caller: Caller, given: Move) -> Moved:
    """Give a file another name."""
    desk = _desk(caller, given)
    made, gone = desk.place.move(desk.path(given.path), desk.path(given.to))
    return Moved(path=made.path, before=gone.path)


@operation("files/commit", Commit, Committed, waits=True)
def commit(caller: Caller, given: Commit) -> Committed:
    """Commit what the session changed, and nothing of what others have in the same files."""
    return Committed(commit=_desk(caller, given).commit(given.message))


def encoded(**parts: bytes) -> dict[str, Any]:
    """These fields as texts, and how they are written."""
    try:
        return {**{name: part.decode("utf-8") for name, part in parts.items()}, "encoding": "utf-8"}
    except UnicodeDecodeError:
        return {**{name: base64.b64encode(part).decode() for name, part in parts.items()}, "encoding": "base64"}


def decoded(text: str, encoding: str) -> bytes:
    """Raises InputError for what is no base64."""
    if encoding == "utf-8":
        return text.encode("utf-8", errors="surrogateescape")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InputError(f"A text is not base64: {error}.") from error
