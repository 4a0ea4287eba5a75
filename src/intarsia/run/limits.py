"""What may be used up: by a session, an issue, a run, and on a day; in turns, tokens and dollars."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import get_args

from intarsia.agents import Driver, Outcome
from intarsia.config import Agent, Config, Limits
from intarsia.errors import ConfigError
from intarsia.kernel import spending
from intarsia.kernel.database import Transaction
from intarsia.kernel.sessions import Session
from intarsia.kernel.spending import Scope
from intarsia.run import prices, usage

SCOPES: tuple[Scope, ...] = get_args(Scope)
METERED = ("tokens", "cost")
ALL = ("turns", *METERED)


@dataclass(frozen=True)
class Reached:
    """A limit that is reached; `text` names it and the figure."""

    scope: Scope
    text: str

    @property
    def outcome(self) -> Outcome:
        return "issue_spent" if self.scope == "issue" else "spent"


def require_meters(config: Config, name: str, agent: Agent, driver: Driver) -> None:
    """Raise ConfigError when a limit is set that can't be kept with this agent."""
    able, limited = driver.capabilities, _set(config.limits, METERED)
    if limited and not able.usage:
        raise ConfigError(
            f"{limited[0]} can't be kept: the agent {name} does not tell what it uses.",
            hint="Take that limit out, set limits.session_turns instead, or use an agent with a driver that tells it.",
        )
    costly = _set(config.limits, ("cost",))
    if costly and not able.costs and not prices.known(agent.model, config.prices):
        what = f"of the model {agent.model!r}" if agent.model else "of its model, which has no name yet,"
        raise ConfigError(
            f"{costly[0]} can't be kept: the agent {name} does not tell its cost, and the price {what} is not known.",
            hint=price_hint(agent.model, name),
        )


def price_hint(model: str, agent: str) -> str:
    named = "" if model else f'Set agents.{agent}.model = "MODEL". '
    return (
        f'{named}Add to intarsia.toml: [prices."{model or "MODEL"}"] with input and output, dollars per million tokens.'
    )


def before_turn(tx: Transaction, config: Config, session: Session) -> Reached | None:
    """Whether a limit stands against beginning another turn of this session."""
    if _set(config.limits, ("cost",)) and session.usage.get("unpriced"):
        return _unpriced(config, session)
    return _reached(tx, config.limits, session, SCOPES, ALL)


def within_turn(tx: Transaction, config: Config, session: Session, driver: Driver) -> Reached | None:
    """Whether the turn under way has to end: by a limit of its session or issue. Those of runs and days let it end."""
    if _set(config.limits, ("cost",)) and session.usage.get("unpriced") and not driver.capabilities.costs:
        return _unpriced(config, session)
    return _reached(tx, config.limits, session, ("session", "issue"), METERED)


def of_runs(config: Config) -> bool:
    """Whether there is any limit of a run or a day."""
    return any(name.startswith(("limits.run_", "limits.day_")) for name in _set(config.limits, ALL))


def reached_by_run(tx: Transaction, config: Config, run: str) -> str:
    """Which limit of this run, or of the day, is reached; empty if none is."""
    return _over(tx, config.limits, "run", run, ALL) or _over(tx, config.limits, "day", spending.day(tx.now), ALL)


def _reached(
    tx: Transaction, limits: Limits, session: Session, scopes: Collection[Scope], kinds: Collection[str]
) -> Reached | None:
    names = {"session": session.id, "issue": session.issue, "run": session.run, "day": spending.day(tx.now)}
    for scope in scopes:
        if text := _over(tx, limits, scope, names[scope], kinds):
            return Reached(scope, text)
    return None


def _over(tx: Transaction, limits: Limits, scope: Scope, name: str, kinds: Collection[str]) -> str:
    allowed = {kind: getattr(limits, f"{scope}_{kind}") for kind in kinds}
    if not any(allowed.values()):
        return ""
    used = spending.of(tx, scope, name)
    for kind, limit in allowed.items():
        if limit and (amount := getattr(used, kind)) >= limit:
            return f"limits.{scope}_{kind} is {_amount(kind, limit)}, and {_amount(kind, amount)} are used."
    return ""


def _unpriced(config: Config, session: Session) -> Reached:
    model = ", ".join(usage.unpriced_models(session.usage))
    limit = _set(config.limits, ("cost",))[0]
    return Reached(
        "session",
        f"{limit} can't be kept: the price of {model or 'its model'} is not known. " + price_hint(model, session.agent),
    )


def _set(limits: Limits, kinds: Collection[str]) -> list[str]:
    names = [f"{scope}_{kind}" for scope in SCOPES for kind in kinds]
    return [f"limits.{name}" for name in names if getattr(limits, name)]


def _amount(kind: str, amount: float) -> str:
    if kind != "cost":
        return f"{amount:,}"
    return f"${amount:.2f}" if amount >= 1 else f"${amount:g}"
