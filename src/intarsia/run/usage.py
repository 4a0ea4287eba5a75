"""What a session used up: vendors tell it for a whole conversation again and again, so each figure is counted once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intarsia.agents import Usage
from intarsia.config import Price
from intarsia.run import prices

COUNTED = ("input", "cached", "output")


def with_figure(
    recorded: Mapping[str, Any], figure: Usage, own: Mapping[str, Price] | None = None, model: str = ""
) -> dict[str, Any]:
    """The record with this figure in it: the totals, and below `scopes` what they are made of.

    `unpriced` counts the tokens of which nobody knows what they cost; without any others, `cost` is None. `own` are the
    user's prices, `model` is the one that is used where the figure does not say it.
    """
    figures: dict[str, Any] = {"input": figure.input, "cached": figure.cached, "output": figure.output}
    if any(figures.values()) or figure.cost:
        figures |= {"cost": prices.cost(figure, own or {}, model), "model": figure.model or model}
    scopes = {**recorded.get("scopes", {}), figure.scope: figures}
    scopes = {scope: used for scope, used in scopes.items() if "cost" in used}
    totals: dict[str, Any] = {name: sum(used[name] for used in scopes.values()) for name in COUNTED}
    known = [used["cost"] for used in scopes.values() if used["cost"] is not None]
    unpriced = sum(used["input"] + used["output"] for used in scopes.values() if used["cost"] is None)
    cost = round(sum(known), 6) if known else None
    return {**recorded, **totals, "cost": cost, "unpriced": unpriced, "scopes": scopes}


def with_turn(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The record with one more turn, which begins now."""
    return {**recorded, "turns": recorded.get("turns", 0) + 1}


def unpriced_models(recorded: Mapping[str, Any]) -> list[str]:
    scopes = recorded.get("scopes", {}).values()
    return sorted({str(used.get("model") or "") for used in scopes if used["cost"] is None})


def shown(used: Mapping[str, Any]) -> str:
    """In one line, for people; a cost of which a part is not known ends with a question mark."""
    if not any(used.get(name) for name in ("turns", "input", "output", "cost")):
        return "nothing yet"
    turns = used.get("turns") or 0
    words = [f"{turns} {'turn' if turns == 1 else 'turns'}"] if turns else []
    if used.get("input") or used.get("output"):
        cached = f" ({used['cached']:,} from a cache)" if used.get("cached") else ""
        words.append(f"{used['input']:,} tokens read{cached}, {used['output']:,} written")
    return ", ".join([*words, *cost_shown(used)])


def cost_shown(used: Mapping[str, Any]) -> list[str]:
    cost, unpriced = used.get("cost"), used.get("unpriced")
    if not cost and unpriced:
        return ["$?"]
    if cost is None:
        return []
    digits = 2 if cost >= 1 else 4
    return [f"${cost:.{digits}f}{' + ?' if unpriced else ''}"]
