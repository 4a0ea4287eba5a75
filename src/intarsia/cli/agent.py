"""`intarsia agent`: the agents that intarsia runs, and people and foreign agents that take part."""

from __future__ import annotations

from dataclasses import asdict

import click

from intarsia.cli.common import Output, actor, open_project, table, with_change, with_output
from intarsia.cli.identity import caller, store_secret, stored_secret
from intarsia.clock import iso
from intarsia.kernel import members, pauses, sessions


@click.group(short_help="Try agents; join as one; see who has joined.")
def agent() -> None:
    """Look at the agents that intarsia can run, and try them.

    Or take part without being run by intarsia: join once, then claim issues and hold leases.

    \b
    Example:
      intarsia agent test claude
      intarsia agent join alice
    """


@agent.command()
@click.argument("name")
@with_change
def join(output: Output, /, name: str) -> None:
    """Register NAME, and keep its secret in a file that only you can read.

    With several agents on one machine, each says who it is by INTARSIA_AGENT=NAME.

    \b
    Example:
      intarsia agent join alice
    """
    members.check_name(name)
    project = open_project(dry_run=output.dry_run)
    # One that is there is of a try that was interrupted, or of another database, where it goes on to be used.
    secret = stored_secret(project.repository, name) or sessions.new_secret()
    with project.database.transaction() as tx:
        member = members.join(tx, name, secret)
        if not output.dry_run:
            store_secret(project.repository, name, secret)
    output.show(f"{name} has joined.", agent=member.as_json())


@agent.command()
@with_output
def whoami(output: Output, /) -> None:
    """Say as whom this environment would claim and lock.

    \b
    Example:
      INTARSIA_AGENT=alice intarsia agent whoami
    """
    project = open_project()
    with project.database.transaction() as tx:
        name = caller(project, tx)
    output.show(name, agent=name)


@agent.command()
@click.argument("name")
@with_change
def resume(output: Output, /, name: str) -> None:
    """Use NAME again now: an agent, or an account, that is paused as its vendor let it wait.

    \b
    Example:
      intarsia agent resume claude
    """
    project = open_project(dry_run=output.dry_run)
    from intarsia.run.context import account_of

    chosen = project.config.agents.get(name)
    account = account_of(chosen) if chosen else name
    with project.database.transaction() as tx:
        lifted = pauses.lift(tx, account, actor())
    output.show(f"{account} is used again.", account=account, pause=lifted.as_json())


@agent.command(name="list")
@with_output
def list_(output: Output, /) -> None:
    """List the agents that intarsia can run here, and who has joined.

    \b
    Example:
      intarsia agent list
    """
    project = open_project()
    with project.database.read() as tx:
        found = members.everybody(tx)
    from intarsia.run.start import known_agents

    agents = known_agents(project.config, project.repository.root)
    rows = [[name, f"run by intarsia: {agent.driver}", agent.model] for name, agent in agents.items()]
    rows += [[member.name, f"joined {iso(member.joined)}", f"seen {iso(member.seen)}"] for member in found]
    output.show(
        table(rows)
        or "No agents. Install intarsia[claude] or intarsia[codex], add one under [agents] in intarsia.toml,"
        " or do: intarsia agent join NAME",
        agents=[m.as_json() for m in found],
        configured=[{"name": name, "driver": agent.driver, "model": agent.model} for name, agent in agents.items()],
    )


@agent.command()
@click.argument("name")
@with_output
def show(output: Output, /, name: str) -> None:
    """Show what the agent NAME is, what it can do, and what is weaker about it.

    \b
    Example:
      intarsia agent show claude
    """
    project = open_project({"run.agent": name})
    from intarsia.agents import drivers
    from intarsia.run.start import choose_agent

    name, chosen = choose_agent(project.config)
    driver = drivers.make(project.config.runnable(chosen), project.repository.root)
    able = driver.capabilities
    facts = {"name": name, "driver": driver.name, "model": chosen.model, "version": driver.version()}
    lines = [f"{key}: {value}" for key, value in facts.items() if value]
    can = {text: getattr(able, key) for key, text in _CAN.items()}
    lines += [f"{'✓' if yes else '-'} {text}" for text, yes in can.items()]
    lines += [f"! {sentence}" for sentence in able.weaker]
    output.show("\n".join(lines), agent={**facts, "capabilities": asdict(able)})


_CAN = {
    "asks_edits": "asks before it changes a file",
    "asks_shell": "asks before it runs a command that could write",
    "resumes": "goes on with a conversation, also after a crash",
    "stays": "goes on in the same process where a follow-up comes soon",
    "adopts": "outlives its supervisor, and is taken over",
    "tools": "can call our tools",
    "objects": "can be sent back to work when it wants to end its turn",
    "usage": "tells what it used",
}


@agent.command()
@click.argument("name")
@click.option("--note", default="", metavar="TEXT", help="Put before each prompt; {step} is the name of the step.")
@with_output
def test(output: Output, /, name: str, note: str) -> int:
    """Try the agent NAME in a scratch repository: an edit, a refused edit, a refused command, a commit, a resumption.

    This asks its model for real, a few short answers.

    \b
    Example:
      intarsia agent test claude

    Exit codes: 0 all is as it should be; 1 something is not; 2 it can't be started.
    """
    project = open_project({"run.agent": name})
    from intarsia.agents import drivers, environment
    from intarsia.run.selfcheck import SelfCheck
    from intarsia.run.start import choose_agent

    name, chosen = choose_agent(project.config)
    driver = drivers.make(project.config.runnable(chosen), project.repository.root)
    driver.check()
    env = environment.base([*project.config.run.env, *chosen.env])
    wall = project.config.limits.wall if chosen.wall is None else chosen.wall
    check = SelfCheck(driver, env, project.repository.require_identity(), wall=wall, note=note)
    findings = []
    for finding in check.run():
        findings.append(finding)
        if not output.json:
            click.echo(f"{'-' if finding.ok is None else '✓' if finding.ok else '✗'} {finding.step}: {finding.detail}")
    output.show("", agent=name, version=driver.version(), findings=[asdict(finding) for finding in findings])
    return 1 if any(finding.ok is False for finding in findings) else 0
