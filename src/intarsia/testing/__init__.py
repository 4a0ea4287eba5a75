"""A scripted stand-in for the models behind coding agents, so that the real agent programs can be tested.

    scripts = {
        "greet": [
            {"tools": [{"name": "Write", "input": {"file_path": "hello.txt", "content": "Hello\\n"}}]},
            {"text": "Done."},
        ]
    }
    with ModelServer(scripts) as server:
        env = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "dummy", "PATH": os.environ["PATH"]}
        subprocess.run(["claude", "-p", "[[script:greet]]"], env=env, check=True)
    assert [request.step for request in server.requests if request.script] == [0, 1]

It listens on loopback only, and speaks Anthropic Messages and Gemini (at `url`), and OpenAI Responses and Chat
Completions (at `url` + "/v1"). A prompt names its script with `[[script:NAME]]`; which step is next is read from the
conversation itself, so resumed, retried and concurrent sessions need nothing on the server's side. `Step` says what a
step can do. By hand: `python -m intarsia.testing SCRIPTS.json`. Needs the extra `intarsia[testing]`.
"""

from intarsia.testing.log import Request
from intarsia.testing.script import Step, ToolCall, Usage
from intarsia.testing.server import ModelServer

__all__ = ["ModelServer", "Request", "Step", "ToolCall", "Usage"]
