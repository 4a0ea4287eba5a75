"""What tokens cost. A price of yours wins; then what the vendor's program says; then the table in `prices.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

import msgspec

from intarsia.agents import Usage
from intarsia.config import Price

MILLION = 1_000_000
DATE = re.compile(r"-(\d{8}|\d{4}-\d\d-\d\d)$")


def cost(figure: Usage, own: Mapping[str, Price], model: str = "") -> float | None:
    """Dollars; None where nobody knows. `model` is the one that figures are of which name none."""
    parts = figure.parts or (figure,)
    prices = [_own(part.model or model, own) for part in parts]
    if figure.cost is not None and not any(prices):
        return figure.cost
    costs = [_cost(part, price, model) for part, price in zip(parts, prices, strict=True)]
    return None if None in costs else sum(filter(None, costs))


def known(model: str, own: Mapping[str, Price]) -> bool:
    return (_own(model, own) or _builtin(model)) is not None


def _cost(part: Usage, own: Price | None, model: str) -> float | None:
    if own is None and part.cost is not None:
        return part.cost
    price = own or _builtin(part.model or model)
    return _priced(part, price) if price else None


def _priced(used: Usage, price: Price) -> float:
    fresh = used.input - used.cached - used.written
    cached = price.input if price.cached is None else price.cached
    written = price.input if price.written is None else price.written
    dollars = fresh * price.input + used.cached * cached + used.written * written + used.output * price.output
    return dollars / MILLION


def _own(model: str, own: Mapping[str, Price]) -> Price | None:
    """Vendors put dates behind the names of their models; a price for the name without it is for all of them."""
    return own.get(model) or own.get(DATE.sub("", model))


def _builtin(model: str) -> Price | None:
    return _own(model, table().prices)


@dataclass(frozen=True)
class Table:
    """What comes with intarsia: when it was collected, and of each model where its price was found."""

    collected: date
    prices: Mapping[str, Price]
    sources: Mapping[str, str]


@cache
def table() -> Table:
    from importlib.resources import files  # and with it much that most commands do not need

    entries = tomllib.loads(files("intarsia.run").joinpath("prices.toml").read_text("utf-8"))
    collected, places = entries.pop("collected"), entries.pop("sources")
    prices: dict[str, Price] = {}
    sources: dict[str, str] = {}
    for name, entry in entries.items():
        names = [name, *entry.pop("also", [])]
        sources |= dict.fromkeys(names, places[entry.pop("source")])
        prices |= dict.fromkeys(names, msgspec.convert(entry, Price))
    return Table(collected, prices, sources)
