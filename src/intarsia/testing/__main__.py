"""The model server by hand: `python -m intarsia.testing SCRIPTS.json`."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from contextlib import suppress
from pathlib import Path

from intarsia.errors import InputError
from intarsia.testing.log import Request
from intarsia.testing.server import ModelServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m intarsia.testing", description="Answers agents from scripts.")
    parser.add_argument("scripts", type=Path, help='a JSON file: {"NAME": [{"text": "…"}, …], …}')
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; a free one if not given")
    options = parser.parse_args()
    try:
        server = ModelServer(_read(options.scripts), port=options.port, on_request=_show).start()
    except (InputError, OSError) as error:
        sys.exit(f"python -m intarsia.testing: {error}")
    print(f"Listening. Claude Code: ANTHROPIC_BASE_URL={server.url}; Codex: base_url={server.url}/v1", flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    server.stop()


def _read(path: Path) -> dict[str, list[dict[str, object]]]:
    try:
        scripts: dict[str, list[dict[str, object]]] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return scripts


def _show(request: Request) -> None:
    step = f"{request.script} step {request.step}" if request.script else "not scripted"
    print(f"{request.number} {request.method} {request.path} {request.status} ({step})", flush=True)


if __name__ == "__main__":
    main()
