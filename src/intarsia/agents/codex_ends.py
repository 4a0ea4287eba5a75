"""How a turn of Codex ended, by what its app server says of it."""

from __future__ import annotations

from collections.abc import Mapping

from intarsia.agents import Outcome, TurnEnd
from intarsia.agents.outcomes import STATUS
from intarsia.agents.wire import Json

DECLINED = "Its model's last answer had words that Codex does not show, which are those of one that declines."


class Answers:
    """Whether the model's last answer was one that Codex leaves out: it was paid for, and nothing came of it."""

    def __init__(self) -> None:
        self._came = False
        self._words = False
        self._total: Json = {}
        self.declined = False

    def note(self, item: Json) -> None:
        """Something begins that came of an answer, or made it necessary."""
        if item["type"] not in ("userMessage", "reasoning"):
            self._came, self._words = True, item["type"] == "agentMessage"

    def paid(self, used: Json) -> None:
        """An answer is over, unless this was told before."""
        if used["total"] == self._total:
            return
        last = used.get("last") or {}
        shown = (last.get("outputTokens") or 0) - (last.get("reasoningOutputTokens") or 0)
        self.declined = shown > 0 and not self._came and not self._words
        self._came, self._total = False, used["total"]


def end_of(turn: Json, last_words: str, *, declined: bool = False) -> TurnEnd:
    if turn.get("status") == "completed" and not turn.get("error"):
        return TurnEnd("refused", DECLINED, last_words) if declined else TurnEnd("completed", "", last_words)
    error = turn.get("error") or {}
    message = message_of(error) or f"Its turn is {turn.get('status')}."
    return TurnEnd(_outcome(error, message), message, last_words)


def _outcome(error: Json, message: str) -> Outcome:
    if "content_filter" in message:
        return "refused"
    if "max_output_tokens" in message:
        return "truncated"
    info = error.get("codexErrorInfo")
    if isinstance(info, str):
        return _KINDS.get(info, "api_error")
    statuses = [kind.get("httpStatusCode") for kind in (info or {}).values() if isinstance(kind, Mapping)]
    return STATUS.get(statuses[0], "api_error") if statuses else "failed"


_KINDS: dict[str, Outcome] = {
    "usageLimitExceeded": "rate_limited",
    "rateLimitExceeded": "rate_limited",
    "flexUnavailable": "overloaded",
    "serverOverloaded": "overloaded",
    "unauthorized": "auth",
    "cyberPolicy": "refused",
    "misalignmentPolicyViolation": "refused",
    "contextWindowExceeded": "exhausted",
    "sessionBudgetExceeded": "exhausted",
    "tooManyDenials": "exhausted",
    "sandboxError": "failed",
}


def message_of(error: Json) -> str:
    return " ".join(str(error[key]) for key in ("message", "additionalDetails") if error.get(key))
