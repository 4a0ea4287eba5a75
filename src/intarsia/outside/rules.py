"""What a Mai project's config.json says about queues and agents, in the words of intarsia.toml."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from intarsia.config import Agent, Config, Queue
from intarsia.errors import ConfigError
from intarsia.kernel.issues import ID_PATTERN

LONGEST = 1e7
HEARTBEAT = 17
ESCALATIONS = "architect-reviews-designer"
# What Mai fills in for the queues it knows: handler, minutes of SLA, prefix.
QUEUES: dict[str, tuple[str, float | None, str]] = {
    "programmer-questions": ("designer", 120, "REQ"),
    "architect-decisions": ("architect", 120, "REQ"),
    "techartist-reviews": ("designer", 240, "REQ"),
    "narrative-reports": ("designer", 240, "REQ"),
    "architect-reviews-designer": ("designer", 120, "REQ"),
    "quick-fix-requests": ("programmer", 60, "FIX"),
    "designer-blockers": ("designer", None, "BLK"),
}
AGENTS = {"programmer": 17, "designer": 29, "architect": 43, "techartist": 47, "narrative": 61}


class Rules(Struct):
    """`named` says how each of Mai's queues is called here; `remarks` what could not be kept as it is."""

    name: str
    named: dict[str, str] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    daily: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_rules(path: Path, text: str, name: str) -> Rules:
    """Raises ConfigError for what is not as Mai writes it; `name` is used where the file has none."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}", hint="Repair it; nothing was imported.") from error
    config = _Settings(path, raw, "the file")
    rules = Rules(str(config.raw.get("name") or name))
    for name, queue in config.tables("queues"):
        rules.queues[queue_name(rules, name)] = _queue(rules, name, queue)
    for name, agent in config.tables("agents"):
        default = AGENTS.get(name, HEARTBEAT)
        minutes = agent.number("heartbeat_minutes", default)
        rules.agents[name] = Agent(heartbeat=_limited(rules, f"agents.{name}", default if minutes is None else minutes))
    rules.daily = list(dict.fromkeys(name for name in config.words("daily_summary_order") if name))
    for name in (*(queue.handler for queue in rules.queues.values()), *rules.daily):
        if name and name not in rules.agents:
            rules.agents[name] = Agent(heartbeat=AGENTS.get(name, HEARTBEAT) * 60)
    return rules


def add_used(rules: Rules, used: Iterable[str]) -> None:
    """Queues that only exist as directories; and nothing escalates to a queue that is not there."""
    for queue in used:
        if queue not in rules.queues:
            handler, minutes, prefix = QUEUES.get(queue, ("", None, "ia"))
            rules.queues[queue] = Queue(handler=handler, sla=int(minutes or 0), prefix=prefix)
            rules.remarks.append(f"The queue {queue} is not in config.json, but has issues.")
    if ESCALATIONS not in rules.queues:
        for rule in rules.queues.values():
            rule.escalate_to = ""


def settings(rules: Rules) -> str:
    """The tables of `intarsia.toml` that say the same; checked to be valid."""
    lines: list[str] = []
    for name, queue in rules.queues.items():
        lines += [f"[queues.{_key(name)}]", *_toml_lines(queue, Queue()), ""]
    for name, agent in rules.agents.items():
        lines += [f"[agents.{_key(name)}]", f"heartbeat = {agent.heartbeat}", ""]
    if rules.daily:
        lines += ["[daily]", f"order = [{', '.join(map(_toml, rules.daily))}]", ""]
    text = "\n".join(lines)
    _check_settings(text)
    return text


class _Settings:
    """A table of config.json, whose values are of the type that is asked for, or a ConfigError says which is not."""

    def __init__(self, path: Path, raw: Any, at: str) -> None:
        self._path = path
        self._at = at
        if not isinstance(raw, dict):
            raise self._wrong(at, "an object", raw)
        self.raw = raw

    def tables(self, key: str) -> list[tuple[str, _Settings]]:
        inner = _Settings(self._path, {} if self.raw.get(key) is None else self.raw[key], key)
        return [(name, _Settings(self._path, value, f"{key}.{name}")) for name, value in inner.raw.items()]

    def number(self, key: str, default: float | None) -> float | None:
        value = self.raw.get(key, default)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LONGEST):
            return value
        raise self._wrong(f"{self._at}.{key}", "a number", value)

    def word(self, key: str, default: str) -> str:
        value = self.raw.get(key, default)
        if value is None or isinstance(value, str):
            return (value or "").strip().removeprefix("@")
        raise self._wrong(f"{self._at}.{key}", "a text", value)

    def words(self, key: str) -> list[str]:
        value = [] if self.raw.get(key) is None else self.raw[key]
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return [item.strip().removeprefix("@") for item in value]
        raise self._wrong(key, "a list of texts", value)

    def _wrong(self, at: str, wanted: str, value: Any) -> ConfigError:
        return ConfigError(
            f"{self._path}: {at} must be {wanted}, not {str(value)[:60]!r}.", hint="Repair it; nothing was imported."
        )


def _queue(rules: Rules, name: str, table: _Settings) -> Queue:
    """Today's names win over the legacy `owner` and `sla_hours`, and both over Mai's defaults."""
    handler, minutes, prefix = QUEUES.get(name, ("", None, ""))
    handler = table.word("handler", table.word("owner", handler))
    legacy = table.number("sla_hours", None)
    if legacy is not None:
        minutes = legacy * 60
    elif "sla_hours" in table.raw:
        minutes = None
    minutes = table.number("sla_minutes", minutes)
    given = table.word("prefix", prefix)
    if given and not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,7}", given):
        rules.remarks.append(f"queues.{name}: the prefix {given!r} can't be used; new ids begin with 'ia'.")
        given = ""
    sla = 0 if minutes is None or minutes <= 0 else math.ceil(minutes)
    escalate_to = ESCALATIONS if name in QUEUES and name != ESCALATIONS else ""
    return Queue(handler=handler, sla=sla, prefix=given or "ia", escalate_to=escalate_to)


def queue_name(rules: Rules, name: str) -> str:
    """Queues are named like issues here, and no two of them become one."""
    if name not in rules.named:
        chosen = name if ID_PATTERN.fullmatch(name) and name not in rules.named.values() else _safe(name)
        while chosen in rules.named.values():
            chosen += "-2"
        if chosen != name:
            rules.remarks.append(f"The queue {name!r} is named {chosen} here.")
        rules.named[name] = chosen
    return rules.named[name]


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+|\.\.+|^[^A-Za-z0-9]+", "-", name).strip("-.")[:40] or "queue"


def _limited(rules: Rules, key: str, minutes: float) -> int:
    seconds = min(57_600, max(1, round(minutes * 60)))
    if seconds != round(minutes * 60):
        rules.remarks.append(f"{key}: a heartbeat of {minutes} min became {seconds} s.")
    return seconds


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(text: str) -> str:
    """A basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_lines(queue: Queue, default: Queue) -> list[str]:
    values = {"handler": _toml(queue.handler), "sla": str(queue.sla), "prefix": _toml(queue.prefix)}
    values["escalate_to"] = _toml(queue.escalate_to)
    return [f"{key} = {value}" for key, value in values.items() if getattr(queue, key) != getattr(default, key)]


def _check_settings(text: str) -> None:
    try:
        msgspec.convert(tomllib.loads(text), Config)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"The settings of this Mai project can't be written as intarsia.toml: {error}") from error
