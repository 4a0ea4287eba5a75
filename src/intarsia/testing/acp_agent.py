"""An agent that speaks the Agent Client Protocol, from a script: `python -m intarsia.testing.acp_agent FILE`.

    {"agent": {"mode": "ask", "reject": "end"},
     "greet": [{"edit": "hi.txt", "text": "Hi"}, {"shell": "git add . && git commit -qm Greet"}, {"say": "Done."}]}

A prompt names its script by `[[script:NAME]]`, else it is the first; a later prompt goes on where the last one ended.

    {"say": TEXT}                       a few words of the model
    {"edit": PATH, "text": TEXT}        write a file by itself, after asking; {"delete": PATH} likewise
    {"shell": COMMAND}                  run a command by itself, after asking
    {"step": {…}}                       ask for this call of a tool, and do nothing
    {"write": PATH, "text": TEXT}       have the client write a file; {"read": PATH}; {"terminal": COMMAND}
    {"tool": NAME, "input": {…}}        call a tool of the server `intarsia` that the client named
    {"mode": MODE}, {"notify": {…}}     change its mode; tell any update
    {"raw": TEXT}, {"flood": BYTES}     print that
    {"end": REASON, "result": {…}}      end the turn so; without one it ends with `end_turn`
    {"error": {…}}                      fail the turn so
    {"hang": true}, {"exit": CODE}, {"signal": NUMBER}

`"unasked": true` beside an edit or a command: it does not ask; `"anyway": true`: it does what was refused;
`"kind": KIND`: it says that it is of that kind. Under `agent` it is told what it is like:

    modes, mode     the modes it has, and the one it begins in; `stuck`: it does not change it
    options         it has the mode, and these settings, as options of its sessions
    reject          after a no: "go on" (if not said), "end" its turn, or "cancel" it
    choices         the kinds of answers that it offers
    key             the variable without which it has no login; `logs_in`: it has to be told so by `authenticate`
    version, loads  of the protocol; whether it loads sessions
    late            updates that it tells only after it has loaded one

What it hears is added to the file in `ACP_HEARD`, if there is that variable.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]

CHOICES = ("allow_always", "allow_once", "reject_once", "reject_always")
MODES = ("ask", "auto")
MARKER = re.compile(r"\[\[script:([\w.-]+)\]\]")
AUTH_REQUIRED = -32000


class Over(Exception):
    """The turn ends here."""

    def __init__(self, reason: str, result: Mapping[str, Any] | None = None) -> None:
        self.result = {"stopReason": reason, **(result or {})}


class Failure(Exception):
    def __init__(self, error: Json) -> None:
        self.error = error


class ScriptedAgent:
    def __init__(self, scripts: Mapping[str, Any]) -> None:
        self.like: Json = dict(scripts.get("agent") or {})
        self._scripts = {name: list(steps) for name, steps in scripts.items() if name != "agent"}
        self._steps: list[Json] = next(iter(self._scripts.values()), [])
        self._name = ""
        self._mode = self.like.get("mode", "ask")
        self._options: dict[str, str] = dict(self.like.get("options") or {})
        self._logged_in = not self.like.get("logs_in")
        self._cwd = Path()
        self._session = ""
        self._server: Json | None = None
        self._number = 0
        self._heard = os.environ.get("ACP_HEARD")

    def serve(self) -> None:
        while (message := self._hear()) is not None:
            if "method" in message and "id" in message:
                try:
                    self._send({"id": message["id"], "result": self._answer(message["method"], message["params"])})
                    self._tell_late(message["method"])
                except Failure as failure:
                    self._send({"id": message["id"], "error": failure.error})

    def _tell_late(self, method: str) -> None:
        for update in self.like.get("late", ()) if method == "session/load" else ():
            time.sleep(0.1)
            self._update(update)

    # What the client wants.

    def _answer(self, method: str, params: Json) -> Json:
        match method:
            case "initialize":
                able = {"loadSession": self.like.get("loads", True)}
                return {"protocolVersion": self.like.get("version", 1), "agentCapabilities": able, "authMethods": []}
            case "authenticate":
                self._logged_in = True
                return {}
            case "session/new":
                return self._open(params, f"acp-{os.getpid()}-{time.monotonic_ns()}")
            case "session/load" if str(params["sessionId"]).startswith("acp-"):
                self._session = params["sessionId"]
                self._update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "Earlier."}})
                opened = self._open(params, params["sessionId"])
                return {key: value for key, value in opened.items() if key != "sessionId"}
            case "session/set_mode":
                self._set("mode", params["modeId"])
                return {}
            case "session/set_config_option":
                self._set(params["configId"], params["value"])
                return {"configOptions": self._config()}
            case "session/prompt":
                return self._play("".join(part.get("text", "") for part in params["prompt"]))
        raise Failure({"code": -32602, "message": f"There is no {method} of that."})

    def _open(self, params: Json, id: str) -> Json:
        if not self._logged_in or (self.like.get("key") and self.like["key"] not in os.environ):
            raise Failure({"code": AUTH_REQUIRED, "message": "Authentication required"})
        self._cwd, self._session = Path(params["cwd"]), id
        self._server = next(iter(params["mcpServers"]), None)
        modes = [{"id": mode, "name": mode} for mode in self.like.get("modes", MODES)]
        if not modes:
            return {"sessionId": id}
        if self._options:
            return {"sessionId": id, "configOptions": self._config()}
        return {"sessionId": id, "modes": {"currentModeId": self._mode, "availableModes": modes}}

    def _config(self) -> list[Json]:
        choices = {"mode": self._mode, **self._options}
        return [
            {"type": "select", "id": id, "name": id, "currentValue": value, "options": [{"value": value, "name": id}]}
            for id, value in choices.items()
        ]

    def _set(self, id: str, value: str) -> None:
        if self.like.get("stuck"):
            return
        if id == "mode":
            if value not in self.like.get("modes", MODES):
                raise Failure({"code": -32602, "message": f"There is no mode {value}."})
            self._mode = value
        else:
            self._options[id] = value

    # A turn.

    def _play(self, prompt: str) -> Json:
        names = MARKER.findall(prompt)
        if names and names[-1] != self._name:
            self._name = names[-1]
            self._steps = list(self._scripts.get(self._name, []))
        try:
            while self._steps:
                self._do(self._steps.pop(0))
        except Over as over:
            return over.result
        return {"stopReason": "end_turn"}

    def _do(self, step: Json) -> None:
        match step:
            case {"say": text}:
                self._update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
            case {"edit": path, "text": text}:
                place = self._cwd / path
                old = place.read_text() if place.exists() else None
                diff: Json = {"type": "diff", "path": str(place), "oldText": old, "newText": text}
                call: Json = {
                    "title": f"Edit {path}",
                    "kind": "edit",
                    "content": [diff],
                    "locations": [{"path": str(place)}],
                }
                self._act(step, call, lambda: _write(place, text))
            case {"delete": path}:
                place = self._cwd / path
                self._act(
                    step,
                    {"title": f"Delete {path}", "kind": "delete", "locations": [{"path": str(place)}]},
                    place.unlink,
                )
            case {"shell": command}:
                call = {"title": f"Run {command}", "kind": "execute", "rawInput": {"command": command}}
                self._act(step, call, lambda: self._run(command))
            case {"step": call}:
                self._act(step, {"title": "A step", **call}, lambda: None)
            case {"write": path, "text": text}:
                self._told(self._ask("fs/write_text_file", path=str(self._cwd / path), content=text))
            case {"read": path}:
                self._told(self._ask("fs/read_text_file", path=str(self._cwd / path)))
            case {"terminal": command}:
                self._in_terminal(command)
            case {"tool": name}:
                self._told(self._call_tool(name, step.get("input") or {}))
            case {"mode": mode}:
                self._mode = mode
                self._update({"sessionUpdate": "current_mode_update", "currentModeId": mode})
            case {"notify": update}:
                self._update(update)
            case _:
                self._fail_or_end(step)

    def _fail_or_end(self, step: Json) -> None:
        match step:
            case {"raw": text}:
                print(text, flush=True)
            case {"flood": size}:
                for _ in range(size // 1000):
                    print("x" * 999, flush=True)
            case {"end": reason}:
                raise Over(reason, step.get("result"))
            case {"error": error}:
                raise Failure(error)
            case {"hang": True}:
                sys.stdin.read()
            case {"exit": code}:
                sys.exit(code)
            case {"signal": number}:
                os.kill(os.getpid(), number)
                time.sleep(60)

    def _act(self, step: Json, call: Json, act: Any) -> None:
        self._number += 1
        id = f"call-{self._number}"
        call = {**call, **({"kind": step["kind"]} if "kind" in step else {}), "toolCallId": id}
        self._update({"sessionUpdate": "tool_call", "status": "pending", **call})
        allowed = bool(step.get("unasked")) or self._permitted(call)
        if allowed or step.get("anyway"):
            act()
        status = "completed" if allowed or step.get("anyway") else "failed"
        self._update({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status})
        if not allowed and self.like.get("reject", "go on") != "go on":
            raise Over("cancelled" if self.like["reject"] == "cancel" else "end_turn")

    def _permitted(self, call: Json) -> bool:
        choices = self.like.get("choices", CHOICES)
        options = [{"optionId": f"id-{kind}", "name": kind, "kind": kind} for kind in choices]
        outcome = self._ask("session/request_permission", toolCall=call, options=options)["result"]["outcome"]
        chosen = outcome.get("optionId", "")
        if chosen.endswith("always"):
            sys.exit(91)  # nobody may say that
        return bool(chosen == "id-allow_once")

    def _in_terminal(self, command: str) -> None:
        made = self._ask("terminal/create", command=command, cwd=str(self._cwd), env=[{"name": "A", "value": "b"}])
        self._told(made)
        if "result" in made:
            id = made["result"]["terminalId"]
            ended = self._ask("terminal/wait_for_exit", terminalId=id)["result"]
            output = self._ask("terminal/output", terminalId=id)["result"]["output"]
            self._ask("terminal/release", terminalId=id)
            self._do({"say": f"{output.strip()} ({ended['exitCode']})\n"})

    def _told(self, answer: Json) -> None:
        """What an answer says becomes its words, so that it can be seen what it was."""
        said = answer["error"]["message"] if "error" in answer else json.dumps(answer["result"])
        self._do({"say": said + "\n"})

    def _call_tool(self, name: str, given: Json) -> Json:
        if self._server is None:
            return {"error": {"message": "There is no server."}}
        argv = [self._server["command"], *self._server["args"]]
        begin = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": given}}
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write((json.dumps(begin) + "\n" + json.dumps(call) + "\n").encode())
            server.stdin.flush()
            answers = [json.loads(server.stdout.readline()) for _ in range(2)]
            server.stdin.close()
        answer: Json = answers[1]
        return answer

    def _run(self, command: str) -> None:
        subprocess.run(["/bin/sh", "-c", command], cwd=self._cwd, stdin=subprocess.DEVNULL, stdout=2, check=False)

    # The wire.

    def _ask(self, method: str, **params: Any) -> Json:
        """Ask the client, and wait for its answer."""
        self._number += 1
        id = f"ask-{self._number}"
        self._send({"id": id, "method": method, "params": {"sessionId": self._session, **params}})
        while (message := self._hear()) is not None:
            if message.get("id") == id and "method" not in message:
                return message
        sys.exit(0)

    def _update(self, update: Json) -> None:
        self._send({"method": "session/update", "params": {"sessionId": self._session, "update": update}})

    def _send(self, message: Json) -> None:
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

    def _hear(self) -> Json | None:
        line = sys.stdin.readline()
        if self._heard:
            with Path(self._heard).open("a", encoding="utf-8") as log:
                log.write(line)
        message: Json | None = json.loads(line) if line else None
        return message


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    ScriptedAgent(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).serve()
