"""From the first word with an agent of the Agent Client Protocol to a session that is sure to ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import intarsia
from intarsia.agents import Turn
from intarsia.agents.acp_agents import AcpAgent
from intarsia.agents.asking import Aside
from intarsia.agents.calls import Calls
from intarsia.agents.wire import Json

VERSION = 1
AUTH_REQUIRED = -32000
QUIET, TICK, LONGEST = 0.5, 0.05, 30.0


class Opening:
    """`ready` gets the id of a session that asks; else `refuse` gets why there is none, or `fail` which call failed."""

    def __init__(
        self,
        turn: Turn,
        about: AcpAgent,
        servers: Sequence[Json],
        *,
        model: str,
        call: Calls,
        aside: Aside,
        ready: Callable[[str], None],
        refuse: Callable[[str], None],
        fail: Callable[[str, Json], None],
    ) -> None:
        self._turn, self._about, self._model = turn, about, model
        self._call, self._aside = call, aside
        self._ready, self._refuse, self._fail = ready, refuse, fail
        self._place: Json = {"cwd": str(turn.workspace), "mcpServers": list(servers)}
        self._session = ""
        self._settings: dict[str, str] = {}
        self._heard = 0.0

    def begin(self) -> None:
        about = self._about
        offered = {
            "fs": {"readTextFile": about.reads, "writeTextFile": about.writes},
            "terminal": about.terminals,
        }
        client = {"name": "intarsia", "title": "intarsia", "version": intarsia.__version__}
        hello = {"protocolVersion": VERSION, "clientCapabilities": offered, "clientInfo": client}
        self._call("initialize", hello, self._connected)

    def note(self) -> None:
        """It told something of what was before."""
        self._heard = time.monotonic()

    def _connected(self, agent: Json) -> None:
        if agent.get("protocolVersion") != VERSION:
            return self._refuse(f"it speaks version {agent.get('protocolVersion')} of the protocol, not {VERSION}")
        loads = (agent.get("agentCapabilities") or {}).get("loadSession")
        known = self._turn.conversation if loads and self._about.resumes else ""
        return self._load() if known else self._open_new()

    def _load(self) -> None:
        id = self._turn.conversation

        def loaded(opened: Json) -> None:
            self.note()
            self._aside.do(self._wait_for_quiet, lambda _: self._opened({**opened, "sessionId": id}))

        self._call("session/load", {"sessionId": id, **self._place}, loaded, lambda error: self._open_new())

    def _wait_for_quiet(self) -> None:
        """Some still tell what was in a conversation when it is loaded; that must not be taken for what they do now."""
        latest = time.monotonic() + LONGEST
        while time.monotonic() < min(self._heard + QUIET, latest) and not self._aside.over():
            time.sleep(TICK)

    def _open_new(self, *, may_log_in: bool = True) -> None:
        def otherwise(error: Json) -> None:
            method = next((m for key, m in self._about.methods.items() if self._turn.env.get(key)), "")
            if error.get("code") == AUTH_REQUIRED and method and may_log_in:
                self._call("authenticate", {"methodId": method}, lambda _: self._open_new(may_log_in=False))
            else:
                self._fail("session/new", error)

        self._call("session/new", self._place, self._opened, otherwise)

    def _opened(self, opened: Json) -> None:
        self._session = str(opened.get("sessionId"))
        self._settings = settings(opened)
        wanted = dict(self._about.settings)
        if not wanted and "mode" in self._settings:
            return self._refuse(f"nobody knows which of its modes asks; it is in {self._settings['mode']}")
        if self._model:
            wanted["model"] = self._model
        options = {str(one.get("id")) for one in opened.get("configOptions") or ()}
        return self._settle([*wanted.items()], options)

    def _settle(self, wanted: Sequence[tuple[str, str]], options: set[str]) -> None:
        """Set one after another, and see each of them set."""
        if not wanted:
            return self._ready(self._session)
        (id, value), *rest = wanted
        if id not in self._settings:
            return self._refuse(f"it has no setting {id}, which has to be {value}")
        if self._settings[id] == value:
            return self._settle(rest, options)

        def then(changed: Json) -> None:
            self._settings |= settings(changed) if id in options else {id: value}
            if self._settings[id] != value:
                return self._refuse(f"its {id} stays {self._settings[id]}, though it has to be {value}")
            return self._settle(rest, options)

        def otherwise(error: Json) -> None:
            self._refuse(f"its {id} can't be set to {value}: {said(error)}")

        if id in options:
            change: Json = {"sessionId": self._session, "configId": id, "value": value}
            return self._call("session/set_config_option", change, then, otherwise)
        method, name = {"mode": ("session/set_mode", "modeId"), "model": ("session/set_model", "modelId")}[id]
        return self._call(method, {"sessionId": self._session, name: value}, then, otherwise)


def settings(told: Mapping[str, Any]) -> dict[str, str]:
    """What is set, by the name of the setting: its options, else its modes and models."""
    modes, models = told.get("modes") or {}, told.get("models") or {}
    found = {"mode": modes.get("currentModeId"), "model": models.get("currentModelId")}
    found |= {str(one.get("id")): one.get("currentValue") for one in told.get("configOptions") or ()}
    return {id: str(value) for id, value in found.items() if value is not None}


def said(error: Mapping[str, Any]) -> str:
    """What a failed call says of it."""
    data = error.get("data")
    details = data.get("details") or data.get("message") if isinstance(data, dict) else data
    return " ".join(dict.fromkeys(str(part) for part in (error.get("message"), details) if part))
