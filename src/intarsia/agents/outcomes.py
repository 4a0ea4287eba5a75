"""How a turn ended, by what a program says of the error that ended it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from intarsia.agents import Outcome

STATUS: Mapping[int | None, Outcome] = {
    401: "auth",
    403: "auth",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
_WORDS: tuple[tuple[str, Outcome], ...] = (
    (r"overloaded|over capacity|high demand|temporarily unavailable", "overloaded"),
    (
        r"rate.?limit|quota|usage limit|too many requests|resource.?exhausted|insufficient.?(credit|fund)",
        "rate_limited",
    ),
    (r"unauthori[sz]ed|authenticat|invalid.{0,10}api.?key|not logged in|log ?in (first|required)", "auth"),
    (r"content.?filter|content.?policy|safety|refus", "refused"),
    (r"max(imum)?.?(output.?)?tokens|truncated|output.{0,20}length", "truncated"),
    (r"context.?(window|length)|prompt is too long", "exhausted"),
    (r"\b[45]\d\d\b|api.?error|fetch failed|connection|econn|socket|network|stream|terminated", "api_error"),
)


def of_error(text: str, status: int | None = None) -> Outcome:
    """The outcome that an error stands for; `failed` when nothing says that the model's server has to do with it."""
    for number in [status, *map(int, re.findall(r"\b[45]\d\d\b", text))]:
        if number in STATUS:
            return STATUS[number]
    return next((outcome for words, outcome in _WORDS if re.search(words, text, re.IGNORECASE)), "failed")
