"""`intarsia code`: what intarsia knows of source text."""

from __future__ import annotations

import click

from intarsia.cli.lazy import LazyGroup

COMMANDS = {
    "outline": "intarsia.cli.code_outline:outline",
    "touched": "intarsia.cli.code_outline:touched",
    "merge": "intarsia.cli.code_merge:merge",
    "index": "intarsia.cli.code_index:index",
    "who": "intarsia.cli.code_index:who",
    "conflicts": "intarsia.cli.code_index:conflicts",
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def code() -> None:
    """Look at source text as intarsia does: by symbol.

    \b
    Example:
      intarsia code outline src/parser.py
      intarsia code who Parser.parse
    """
