"""The symbols that the text of an issue names, by the index of the code.

The index of a large repository takes a while, so it is made beside the run; until then nothing is found.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from intarsia.errors import IntarsiaError
from intarsia.run.forecast import MOST, Predicted
from intarsia.workspace.blobs import blobs
from intarsia.workspace.repository import Repository
from intarsia.workspace.two_sides import INDEX

if TYPE_CHECKING:
    from intarsia.code.names.index import Index, Place

SOON = 2.0  # seconds to wait for an index
MEANT = 3  # a name with more definitions says little
_QUOTED = re.compile(r"`([^`\n]{1,200})`")
_NAME = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|#)[A-Za-z_$][\w$]*)*(?:\(\))?")
_TELLING = re.compile(r"[a-z0-9][A-Z]|\w_\w|\w(?:\.|::|#)\w|\(\)$")


class IndexedNames:
    def __init__(self, repository: Repository, wait: float | None = SOON) -> None:
        self.version = 0
        self._repository = repository
        self._wait = wait
        self._index: Index | None = None
        self._maker: threading.Thread | None = None

    def look(self, tip: str) -> None:
        """Learn the names of this commit, in the background if it takes long."""
        if not tip or (self._maker and self._maker.is_alive()):
            return
        self._maker = threading.Thread(target=self._make, args=[tip], name="index", daemon=True)
        self._maker.start()
        self._maker.join(self._wait)

    def _make(self, tip: str) -> None:
        from intarsia.code.names.index import Index  # and with it the grammars

        try:
            with blobs(self._repository.git, tip) as files:
                index = Index(self._repository.state / INDEX)
                index.refresh(files.ids.items(), files.read)
        except IntarsiaError:
            return  # without names there are still paths and claims to go by
        self._index, self.version = index, self.version + 1

    def named(self, text: str) -> list[Predicted]:
        index = self._index
        if index is None:
            return []
        found = {place.uri for name in _names(text) for place in _meant(index.definitions(name), text)}
        return [Predicted(uri, "exclusive", "named in its text") for uri in sorted(found)[:MOST]]


def _meant(places: list[Place], text: str) -> list[Place]:
    """Of definitions of one name, those in files that the text names too, or all if they are few."""
    close = [place for place in places if place.path in text]
    return close or (places if len(places) <= MEANT else [])


def _names(text: str) -> Iterator[str]:
    """Words that look like code: what is quoted as such, and what no other text has in it."""
    for quoted in _QUOTED.findall(text):
        yield from (_plain(word) for word in _NAME.findall(quoted))
    yield from (_plain(word) for word in _NAME.findall(_QUOTED.sub(" ", text)) if _TELLING.search(word))


def _plain(word: str) -> str:
    return re.sub(r"::|#", ".", word.removesuffix("()"))
