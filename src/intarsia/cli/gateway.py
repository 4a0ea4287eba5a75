"""`intarsia gateway` and `intarsia mcp`: the ways in for agents that talk HTTP or the Model Context Protocol."""

from __future__ import annotations

import signal
import threading

import click

from intarsia.cli.common import Output, open_project, with_output
from intarsia.cli.identity import client, site_of


class Printer:
    """Shows what agents say on standard error."""

    def activity(self, session: str, text: str) -> None:
        click.echo(f"{session}: {text}", err=True)

    def notice(self, text: str) -> None:
        click.echo(text, err=True)


@click.command(short_help="Serve agents that talk HTTP.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: gateway.port; 0: any free one.")
@click.option("--expose", is_flag=True, help="Listen also where other machines can reach it. There is no encryption.")
@with_output
def gateway(output: Output, /, host: str, port: int | None, expose: bool) -> None:
    """Serve until Ctrl-C: JSON below /v1 (described in /v1/openapi.json), and MCP at /mcp.

    `intarsia run` does it by itself for its own agents. Who calls sends its secret as a bearer: a session's
    INTARSIA_SECRET, or that of a member (intarsia agent join). Other than on loopback, whoever sees the traffic sees
    the secrets: put an encrypting proxy before it.

    \b
    Example:
      intarsia gateway --port 8700

    Exit codes: 2 the extra intarsia[gateway] is not installed, or the port can't be had; 130 ended by Ctrl-C.
    """
    from intarsia.gateway import server

    server.require()
    project = open_project()
    port = project.config.gateway.port if port is None else port
    with server.Server(site_of(project), Printer(), host=host, port=port, exposed=expose) as running:
        output.show(f"Listening on {running.url}", url=running.url)
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
        ended.wait()


@click.command(short_help="For agents: our tools over the Model Context Protocol.")
@with_output
def mcp(output: Output, /) -> None:
    """For agents: offer lock, edit, status, note, message, resolve, done and ask over standard input and output.

    As whom is said by the environment: INTARSIA_SESSION and INTARSIA_SECRET, or INTARSIA_AGENT=NAME. With INTARSIA_URL
    it asks the gateway there, else the database.

    \b
    Example:
      claude mcp add intarsia -- intarsia mcp

    Exit codes: 0 the client hung up; 2 the extra intarsia[gateway] is not installed, or nobody has joined here.
    """
    from intarsia.gateway import server, tools

    server.require()
    asks = client()
    asks.prove()
    from intarsia.gateway import mcp_server

    mcp_server.over_stdio(tools.made(asks.call))
