"""`intarsia issue claim` and what follows it: working on issues without `intarsia run`."""

from __future__ import annotations

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, read_text, with_change
from intarsia.cli.identity import client
from intarsia.gateway import claims as op
from intarsia.gateway.operation import A, G, Operation

issue_id = click.argument("id")


@click.command()
@issue_id
@click.option(
    "--ttl", type=int, help="Seconds without a heartbeat that end the claim; default: 1.5 times your heartbeat."
)
@with_change
def claim(output: Output, /, id: str, ttl: int | None) -> None:
    """Take an issue to work on it; exactly one can. Claiming what you hold renews it.

    \b
    Example:
      intarsia issue claim REQ-7f3a

    Exit codes: 0 yours; 1 somebody else's (code held), or not open or not ready (code conflict).
    """
    lease = _done(output, op.claim, op.Claim(id=id, ttl=ttl)).lease
    told = f"{id} is yours until {lease.expires_at}; renew with: intarsia issue heartbeat {id}"
    output.show(told, lease=to_builtins(lease))


@click.command()
@issue_id
@click.option(
    "--ttl", type=int, help="Seconds without a heartbeat that end the claim; default: 1.5 times your heartbeat."
)
@with_change
def heartbeat(output: Output, /, id: str, ttl: int | None) -> None:
    """Say that you still work on an issue you claimed.

    \b
    Example:
      intarsia issue heartbeat REQ-7f3a
    """
    lease = _done(output, op.heartbeat, op.Claim(id=id, ttl=ttl)).lease
    output.show(f"{id} is yours until {lease.expires_at}.", lease=to_builtins(lease))


@click.command()
@issue_id
@click.argument("conclusion")
@with_change
def complete(output: Output, /, id: str, conclusion: str) -> None:
    """Finish an issue you claimed. The conclusion is kept as a decision; '-' reads it from standard input.

    \b
    Example:
      intarsia issue complete REQ-7f3a "use the streaming parser; measured in bench/parse.md"
    """
    done = _done(output, op.complete, op.Complete(id=id, conclusion=read_text(conclusion)))
    output.show(f"{id} is completed.", **to_builtins(done))


@click.command()
@issue_id
@click.argument("remark")
@with_change
def amend(output: Output, /, id: str, remark: str) -> None:
    """Add a remark to what was decided; the issue's status stays.

    \b
    Example:
      intarsia issue amend REQ-7f3a "only for files over 1 MB"
    """
    done = _done(output, op.amend, op.Amend(id=id, remark=read_text(remark)))
    output.show(f"Recorded for {id}.", **to_builtins(done))


@click.command()
@issue_id
@click.option("--note", default="", help="Why.")
@with_change
def release(output: Output, /, id: str, note: str) -> None:
    """Give an issue back that you claimed and did not finish.

    \b
    Example:
      intarsia issue release REQ-7f3a --note "needs somebody who knows the parser"
    """
    done = _done(output, op.release, op.Release(id=id, note=note))
    output.show(f"{id} is open again.", **to_builtins(done))


@click.command()
@issue_id
@click.argument("note")
@with_change
def block(output: Output, /, id: str, note: str) -> None:
    """Set an issue aside and say what blocks it; if it is claimed, only its holder can.

    \b
    Example:
      intarsia issue block REQ-7f3a "no access to the staging database"
    """
    done = _done(output, op.block, op.Block(id=id, note=note))
    output.show(f"{id} is blocked.", **to_builtins(done))


@click.command()
@issue_id
@click.option("--note", default="", help="Why it can go on.")
@with_change
def unblock(output: Output, /, id: str, note: str) -> None:
    """Make a blocked issue open again.

    \b
    Example:
      intarsia issue unblock REQ-7f3a --note "access granted"
    """
    done = _done(output, op.unblock, op.Unblock(id=id, note=note))
    output.show(f"{id} is open.", **to_builtins(done))


@click.command()
@issue_id
@click.argument("queue")
@click.option("--note", default="", help="Why.")
@with_change
def transfer(output: Output, /, id: str, queue: str, note: str) -> None:
    """Move an issue to another queue. Its SLA starts again; your claim on it ends.

    \b
    Example:
      intarsia issue transfer REQ-7f3a architect-decisions
    """
    done = _done(output, op.transfer, op.Transfer(id=id, queue=queue, note=note))
    output.show(f"{id} is in {queue}.", **to_builtins(done))


@click.command()
@issue_id
@click.option("--disagreement", required=True, help="What cannot be agreed on.")
@click.option("--position", "positions", multiple=True, required=True, help="A position; give at least two.")
@click.option("--facts", required=True, help="What is known for sure.")
@click.option("--option", "options", multiple=True, required=True, help="A way out; give at least two.")
@click.option("--queue", help="Where it goes; default: escalate_to of the issue's queue.")
@with_change
def escalate(
    output: Output,
    /,
    id: str,
    disagreement: str,
    positions: tuple[str, ...],
    facts: str,
    options: tuple[str, ...],
    queue: str | None,
) -> None:
    """Raise a disagreement about an issue as an issue of its own, linked to it. The original is not touched.

    \b
    Example:
      intarsia issue escalate REQ-7f3a --disagreement "which parser" --position "own: fast" \\
          --position "library: kept by others" --facts "own is 3x faster, bench/parse.md" \\
          --option "own, with fuzzing" --option "library, accept the speed"
    """
    given = op.Escalate(
        id=id,
        disagreement=disagreement,
        positions=list(positions),
        facts=facts,
        options=list(options),
        queue=queue,
    )
    raised = _done(output, op.escalate, given)
    output.show(f"{raised.issue.id} in {raised.issue.queue}, about {id}.", **to_builtins(raised))


def _done(output: Output, operation: Operation[G, A], given: G) -> A:
    return client(dry_run=output.dry_run).call(operation, given)
