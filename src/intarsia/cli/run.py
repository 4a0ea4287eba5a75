"""`intarsia run`: the main job."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from intarsia.cli.common import Output, Project, open_project, table, with_output
from intarsia.errors import Conflict
from intarsia.gateway.operation import Site
from intarsia.kernel import issues
from intarsia.run.progress import JsonReporter, PlainReporter, Reporter

if TYPE_CHECKING:
    from intarsia.run.context import Context


@click.command(short_help="Let agents work, and land what is proven.")
@click.option(
    "--agent",
    "-a",
    help="An agent of intarsia.toml, or 'claude: MODEL', 'codex: MODEL', 'command: PROGRAM ARGS…', 'script: FILE'.",
)
@click.option("--env", multiple=True, metavar="NAME", help="A variable that agents may see, such as a key; repeatable.")
@click.option("--agents", "-n", type=click.IntRange(1, 256), help="How many work at the same time.")
@click.option("--issue", "only", multiple=True, metavar="ID", help="Only this issue; may be given several times.")
@click.option("--max-issues", type=click.IntRange(1), help="Stop after starting so many.")
@click.option("--target", help="The branch to land on.")
@click.option("--watch", is_flag=True, help="Stay, and take new issues as they come.")
@click.option("--dry-run", is_flag=True, help="Show what would be worked on, in order; change nothing.")
@click.option("--plan", "show_plan", is_flag=True, help="Show what can be worked on side by side; change nothing.")
@with_output
def run(
    output: Output,
    /,
    only: tuple[str, ...],
    max_issues: int | None,
    watch: bool,
    dry_run: bool,
    show_plan: bool,
    **flags: Any,
) -> int:
    """Let agents work on what is ready, judge their work, and land what is proven.

    Goes on until nothing is ready and nothing runs; what an earlier run left unfinished is continued first. Ctrl-C once
    finishes what runs, twice stops the agents so that the next run resumes them, three times kills.

    \b
    Example:
      intarsia run --agent claude --agents 4 --env ANTHROPIC_API_KEY
      intarsia run --agent 'command: my-agent --task {prompt_file}'
      intarsia run --issue ia-7f3a --json
      intarsia run --plan --agents 8

    Exit codes: 0 all done or nothing to do; 1 an issue failed, is blocked, parked or left for a limit; 2 usage,
    configuration or environment; 130 interrupted twice. With --json: one JSON object per line, the summary last.
    """
    settings = {
        "run.agent": flags["agent"],
        "run.agents": flags["agents"],
        "run.env": list(flags["env"]) or None,
        "land.target": flags["target"],
    }
    project = open_project(settings)
    from intarsia.run import start

    undecided = (dry_run or show_plan) and not project.config.run.agent and not project.config.agents
    agent = "" if undecided else start.choose_agent(project.config)[0]
    queues = project.config.queues_of(agent)
    with project.database.read() as tx:
        for issue_id in only:
            if (queue := issues.get(tx, issue_id).queue) not in queues:
                raise Conflict(
                    f"{issue_id} is in queue {queue}, which {agent} does not work on.", hint="See: intarsia queue list"
                )
        ready = issues.ready(tx, only, queues)
    if show_plan:
        return _show_plan(output, project, queues, only)
    if dry_run:
        rows = [[i.id, f"P{i.priority}", i.title] for i in ready]
        output.show(table(rows) or "Nothing is ready.", issues=[i.as_json() for i in ready])
        return 0

    from intarsia.run.scheduler import Scheduler, Scope

    reporter = _reporter(output)
    try:
        context = start.context(project.repository, project.database, project.config, reporter)
        with _gateway(context):
            return Scheduler(context, Scope(only, max_issues, watch)).run().exit_code
    finally:
        reporter.close()


@contextmanager
def _gateway(context: Context) -> Iterator[None]:
    """Agents can talk back: by tools, and over HTTP where that is installed; raises NotReady where it has to be."""
    from intarsia.gateway import server, tools

    site = Site(context.repository, context.database, context.config, context.tree)
    context.tools = lambda session: tools.for_session(site, session, context.reporter, context.stopping.is_set)
    settings = context.config.gateway
    if settings.start == "required":
        server.require()
    if settings.start == "off" or not server.installed():
        yield
        return
    with server.Server(site, context.reporter, port=settings.port) as running:
        context.url = running.url
        yield


def _show_plan(output: Output, project: Project, queues: Collection[str], only: Collection[str]) -> int:
    from intarsia.run import dispatch, rounds

    plan = dispatch.plan(project.repository, project.database, project.config, queues, only)
    output.show(rounds.text_of(plan, table), **plan.as_json())
    return 0


def _reporter(output: Output) -> Reporter:
    if output.json:
        return JsonReporter()
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from intarsia.run.live import LiveReporter

        return LiveReporter()
    return PlainReporter()
