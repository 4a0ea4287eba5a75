"""What a session used up: vendors tell it for a whole conversation again and again, so each figure is counted once."""

from __future__ import annotations

from typing import Any

from intarsia.agents import Usage

COUNTED = ("input", "cached", "output")


def with_figure(recorded: dict[str, Any], figure: Usage) -> dict[str, Any]:
    """The record with this figure in it: the totals, and below `scopes` what they are made of."""
    figures = {"input": figure.input, "cached": figure.cached, "output": figure.output, "cost": figure.cost}
    scopes = {**recorded.get("scopes", {}), figure.scope: figures}
    scopes = {scope: used for scope, used in scopes.items() if any(used.values())}
    totals: dict[str, Any] = {name: sum(used[name] for used in scopes.values()) for name in COUNTED}
    known = [used["cost"] for used in scopes.values() if used["cost"] is not None]
    return {**totals, "cost": round(sum(known), 6) if known else None, "scopes": scopes}
