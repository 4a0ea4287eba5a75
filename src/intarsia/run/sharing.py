"""The shared tree of a project: how its sessions hold symbols, and who is told when a person changes them."""

from __future__ import annotations

from intarsia.config import Config
from intarsia.kernel import events, leases, messages, sessions
from intarsia.kernel.database import Database, Transaction
from intarsia.kernel.overlap import Advised, Overlapping, Refused
from intarsia.kernel.sessions import Session
from intarsia.run import held
from intarsia.workspace.commits import Branch, SessionCommits
from intarsia.workspace.joining import Overlap
from intarsia.workspace.portion import Portion
from intarsia.workspace.repository import Repository
from intarsia.workspace.shared import Adopted, Asked, Needs, Shared, Tree

ACTOR = "intarsia"


def open_tree(repository: Repository, database: Database, config: Config, target: str) -> Tree:
    """The tree at the repository's root; `target` is the branch it belongs to, empty for the one checked out."""
    repository.make_state()
    content = Branch(repository, target).content
    return Tree.of(repository.root, content, lambda adopted: tell(database, adopted), config.workspace.append)


def in_tree(tree: Tree, database: Database, config: Config, session: str) -> Shared:
    """The tree as this session works in it."""
    return Shared(tree, session, arbiter(database, config, session))


def portion_of(tree: Tree, database: Database, config: Config, session: str) -> Portion:
    """What this session has in there."""
    return Portion(tree, session, arbiter(database, config, session))


def commits_of(tree: Tree, repository: Repository, target: str, session: Session) -> SessionCommits:
    return SessionCommits(tree, repository, target, session.id, session.branch or "")


def commit(portion: Portion, commits: SessionCommits, message: str) -> str:
    """Commit what a session made; raises Overlap, having made room for what the branch changed in the same place."""
    try:
        return commits.commit(message)
    except Overlap as overlap:
        said, _ = give_way(portion, commits, "overlap")
        overlap.message, overlap.hint = f"{overlap.message} {said}", "Make your change again, then commit."
        raise


def give_way(portion: Portion, commits: SessionCommits, label: str) -> tuple[str, list[str]]:
    """Take out of the tree, and archive, what the branch changed in the same place; what to tell the session, and the
    files where others have changed the same in the tree, too."""
    overlapping = commits.overlapping()
    if not overlapping:
        return "The files here hold everybody's work, and that is in them too.", []
    commits.archive(label)
    left = [path for path, newest in overlapping.items() if not portion.give_way(path, newest)]
    commits.start_over()
    gone = ", ".join(path for path in overlapping if path not in left)
    said = f"Your changes of {gone} were taken out of the tree: make them again on what is there. " if gone else ""
    return f"{said}What you had is kept as {commits.archived(label)}.", left


def arbiter(database: Database, config: Config, session: str, *, shared: bool = True) -> Asked:
    """Takes leases for a session, which last until it ends; returns what it should know, raises Overlapping."""
    asked = held.arbiter(database, config, session, shared=shared)

    def ask(needs: Needs) -> str:
        answer = asked.ask(needs, "editing")
        if isinstance(answer, Refused):
            raise Overlapping(answer)
        return answer.text if isinstance(answer, Advised) else ""

    return ask


def sweep(tree: Tree, repository: Repository, database: Database, config: Config, target: str) -> list[str]:
    """Take out of the tree, and archive, what sessions left that ended while nobody ran them; returns their ids."""
    with database.read() as tx:
        known = sorted(tree.versions.sessions())
        over = [id for id in known if not sessions.exists(tx, id) or sessions.get(tx, id).stage in sessions.ENDED]
    for id in over:
        SessionCommits(tree, repository, target, id, "").archive("end")
        portion = portion_of(tree, database, config, id)
        portion.take_back()
        portion.forget()
    return over


def tell(database: Database, adopted: Adopted) -> None:
    """Record a change that nobody asked for, and say so to those who hold what it changed."""
    names = [f"code:{adopted.path}#{symbol}" for symbol in adopted.symbols] or [f"code:{adopted.path}"]
    with database.transaction() as tx:
        events.record(tx, "adopted", actor=ACTOR, path=adopted.path, symbols=adopted.symbols)
        for holder, held in _holders(tx, names).items():
            body = f"Somebody outside changed {', '.join(held)} in the tree. Read it again before you go on."
            messages.send(tx, ACTOR, [holder], body, kind="adopted")


def _holders(tx: Transaction, names: list[str]) -> dict[str, list[str]]:
    """The living sessions that hold one of these, or something around or inside it."""
    found: dict[str, list[str]] = {}
    for name in names:
        for lease in leases.conflicting(tx, "", leases.wants({name: "exclusive"})):
            if sessions.exists(tx, lease.session) and sessions.get(tx, lease.session).stage not in sessions.ENDED:
                found.setdefault(lease.session, []).append(name)
    return found
