"""What becomes of a session whose agent did not end its turn well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intarsia.agents import Outcome

Then = Literal["park", "again", "follow up", "fail", "block"]


@dataclass(frozen=True)
class Handling:
    """`said` completes "The agent …".

    park: nobody's work is to blame, so the session is set aside, and the issue loses no attempt. again: bad luck, so
    another session may try, a few times. follow up: the same conversation goes on. fail: as `run.attempts` say. block:
    a person has to look.
    """

    said: str
    then: Then


HANDLING: dict[Outcome, Handling] = {
    "refused": Handling("declined to work on this", "block"),
    "truncated": Handling("was cut off", "follow up"),
    "exhausted": Handling("came to its own limit", "fail"),
    "api_error": Handling("lost its model", "again"),
    "auth": Handling("has no valid login", "park"),
    "rate_limited": Handling("has used up what its account may use for now", "park"),
    "overloaded": Handling("found its model overloaded", "park"),
    "unguarded": Handling("was not started, as it could not be guarded", "fail"),
    "failed": Handling("failed", "fail"),
    "killed": Handling("was killed", "again"),
    "timeout": Handling("took too long", "fail"),
    "idle": Handling("hung", "fail"),
    "flooded": Handling("printed too much", "fail"),
    "spent": Handling("used up what a session may", "fail"),
    "issue_spent": Handling("used up what its issue may", "block"),
}
