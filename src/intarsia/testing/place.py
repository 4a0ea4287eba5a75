"""Where a conversation is in its script, read from the conversation alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

MARKER = re.compile(r"\[\[script:([\w.-]+)\]\]")

Author = Literal["user", "model", "tool"]


class Said(NamedTuple):
    """A message or item of a conversation, in the words of no vendor."""

    author: Author
    content: Any


class Place(NamedTuple):
    script: str
    step: int


def find(conversation: Sequence[Said]) -> Place | None:
    """The script that the user named last, and how many answers of the model stand after it was first named."""
    place = None
    before: Author = "user"
    for said in conversation:
        name = _named(said)
        if name is not None and (place is None or place.script != name):
            place = Place(name, 0)
        elif said.author == "model" and before != "model" and place is not None:
            place = Place(place.script, place.step + 1)
        before = said.author
    return place


def _named(said: Said) -> str | None:
    if said.author != "user":
        return None
    names = [name for text in texts(said.content) for name in MARKER.findall(text)]
    return names[-1] if names else None


def texts(content: Any) -> Iterator[str]:
    """All strings anywhere in plain data."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from texts(value)
