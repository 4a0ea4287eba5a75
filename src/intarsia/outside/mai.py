"""Projects of Mai CLI 1.x: what their files say.

Mai keeps Markdown files with Chinese field names under `.mai/`. What can't be read is listed, never guessed.
"""

# The colons of full width are Mai's.
# ruff: noqa: RUF001, RUF002

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from intarsia.clock import iso
from intarsia.errors import ConfigError, InputError, NotFound
from intarsia.kernel import issues
from intarsia.outside.rules import Rules, add_used, queue_name, read_rules

ACTOR = "mai"
LARGEST = 4 * 1024 * 1024
TITLE = 300
# A claim of Mai is no lease, so what was claimed is open again; an escalated issue stayed as it was.
STATUSES = {
    "open": "open", "待处理": "open", "进行中": "open", "claimed": "open", "in_progress": "open",
    "escalated": "open", "已升级": "open", "overdue": "open", "已超时": "open",
    "blocked": "blocked", "阻塞": "blocked", "已阻塞": "blocked",
    "完成": "closed", "已完成": "closed", "complete": "closed", "completed": "closed",
}  # fmt: skip
AMENDED = ("已修订", "amended")
CLAIMED = ("进行中", "claimed", "in_progress")

_HEADING = re.compile(r"# \[([^\]]*)\] ?(.*)")
_FIELD = re.compile(r"\*\*\s*([^*：]+?)\s*：\s*\*\*(.*)")
_TIMELINE = re.compile(r"- \[([^\]]+)\] @?([^:：]*)[:：] ?(.*)")
_DECISION = re.compile(r"^## (结论|修订记录) @ (.+)$", re.MULTILINE)
_HISTORY = re.compile(r"\[([^\]]+)\] \[([^\]]*)\] \[([^\]]*)\] (.*)")
_REFERENCE = re.compile(r"\[([^\]]+)\]")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Broken(Struct, frozen=True):
    """A file that can't be read, and why."""

    file: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


class Note(Struct, frozen=True):
    """A line of a timeline or of the history; `time` in seconds since the epoch."""

    time: float
    actor: str
    text: str
    type: str = ""
    status: str = ""


class Conclusion(Struct, frozen=True):
    mai_id: str
    kind: str
    time: float
    actor: str
    text: str


class Found(Struct, frozen=True):
    """An issue as its file tells it."""

    mai_id: str
    queue: str
    title: str
    body: str
    status: str
    said: str
    initiator: str
    handler: str
    created: float
    due: float | None
    references: list[str]
    timeline: list[Note]


class Day(Struct, frozen=True):
    """One agent's daily summary."""

    date: str
    agent: str
    text: str
    time: float


class Mai(Struct):
    """All of a project, as far as it can be read."""

    root: Path
    rules: Rules
    issues: list[Found] = field(default_factory=list)
    conclusions: list[Conclusion] = field(default_factory=list)
    history: list[Note] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    digest: str = ""


def read(directory: Path) -> Mai:
    """Raises NotFound when it is no Mai project, ConfigError when its config.json can't be used."""
    home = directory / ".mai"
    if not home.is_dir() and (directory / "config.json").is_file() and (directory / "queues").is_dir():
        home = directory
    if not (home / "config.json").is_file():
        raise NotFound(
            f"{directory} is no Mai project: there is no {home / 'config.json'}.", hint="Name the directory with .mai/."
        )
    reader = _Reader(home)
    mai = reader.mai
    reader.each("queues/*/*.md", _read_issue)
    reader.each("decisions/*.md", _read_decisions)
    reader.each("history/*.log", _read_history)
    reader.each("history/daily-*/*.md", _read_summary)
    add_used(mai.rules, dict.fromkeys(found.queue for found in mai.issues))
    mai.digest = reader.digest.hexdigest()
    return mai


class _Reader:
    """Reads plain files below one directory; keeps what went wrong, and a digest of all it read."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.digest = hashlib.sha256()
        config = home / "config.json"
        self.mai = Mai(home, read_rules(config, self._text_of(config), home.resolve().parent.name))

    def each(self, pattern: str, read: Callable[[Mai, Path, str], None]) -> None:
        for path in sorted(self.home.glob(pattern)):
            text = self._text(path)
            if text is None:
                continue
            try:
                read(self.mai, path, text)
            except _Unreadable as error:
                self._broken(path, str(error))

    def _text(self, path: Path) -> str | None:
        try:
            return self._decoded(path)
        except (OSError, _Unreadable) as error:
            self._broken(path, str(error))
            return None

    def _text_of(self, path: Path) -> str:
        try:
            return self._decoded(path)
        except (OSError, _Unreadable) as error:
            raise ConfigError(f"{path} can't be read: {error}.") from error

    def _decoded(self, path: Path) -> str:
        content = self._content(path)
        self.digest.update(f"{path.relative_to(self.home)}\0{len(content)}\0".encode() + content)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _Unreadable("it is not UTF-8") from error
        if "\0" in text:
            raise _Unreadable("it holds NUL bytes")
        return text.replace("\r\n", "\n")

    def _content(self, path: Path) -> bytes:
        inside = path.parent.resolve().is_relative_to(self.home.resolve())
        if not inside or path.is_symlink():
            raise _Unreadable("it is a symbolic link, or behind one that leads elsewhere")
        kind = path.lstat()
        if not stat.S_ISREG(kind.st_mode) or kind.st_size > LARGEST:
            raise _Unreadable(f"it is no file of at most {LARGEST // 1024**2} MiB")
        return path.read_bytes()

    def _broken(self, path: Path, reason: str) -> None:
        self.mai.broken.append(Broken(str(path.relative_to(self.home)), reason))


class _Unreadable(Exception):
    """Why a file is not what Mai writes."""


def _read_issue(mai: Mai, path: Path, text: str) -> None:
    head, found, rest = text.partition("\n---")
    lines = head.split("\n")
    heading = _HEADING.fullmatch(lines[0])
    if heading is None or not found:
        raise _Unreadable("it is empty" if not text.strip() else "it is no issue: '# [ID] title', fields, '---'")
    mai_id, title = heading[1].strip(), " ".join(heading[2].split())
    if mai_id != path.stem:
        raise _Unreadable(f"it is the file of {path.stem}, but says [{mai_id}]")
    if not title:
        raise _Unreadable("it has no title")
    try:
        issues.check_id(mai_id)
    except InputError as error:
        raise _Unreadable(error.message) from error
    fields = _fields(lines[1:])
    created = _time(fields, "创建时间")
    if created is None:
        raise _Unreadable("it does not say when it was created (创建时间)")
    said = _said(fields.get("状态", ""))
    body, timeline = _sections(rest.partition("\n")[2], title, created)
    mai.issues.append(
        Found(
            mai_id=mai_id,
            queue=queue_name(mai.rules, path.parent.name),
            title=title if len(title) <= TITLE else title[: TITLE - 1] + "…",
            body=body if len(title) <= TITLE else f"{title}\n\n{body}",
            status=said if said in AMENDED else STATUSES[said],
            said=said,
            initiator=fields.get("发起方", "").removeprefix("@"),
            handler=fields.get("处理方", "").removeprefix("@"),
            created=created,
            due=_time(fields, "SLA 截止"),
            references=_references(fields),
            timeline=timeline,
        )
    )


def _fields(lines: Sequence[str]) -> dict[str, str]:
    """The lines `**name：** value`. One that is there twice was forged, as by a title of several lines."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line.strip():
            continue
        found = _FIELD.fullmatch(line.strip())
        if found is None:
            raise _Unreadable(f"its head holds a line that is no field: {line.strip()[:60]!r}")
        name = found[1].strip()
        if name in fields:
            raise _Unreadable(f"it says {name} twice")
        fields[name] = found[2].strip()
    return fields


def _said(status: str) -> str:
    """The status without the picture before it; raises _Unreadable for one that is not known."""
    for candidate in (status, status.partition(" ")[2].strip()):
        if candidate in STATUSES or candidate in AMENDED:
            return candidate
    raise _Unreadable(f"its status {status!r} is not known" if status else "it has no status (状态)")


def _time(fields: Mapping[str, str], name: str) -> float | None:
    """Seconds since the epoch; None if it is empty. Times without a zone are this machine's."""
    value = fields.get(name, "")
    return _seconds(value, name) if value else None


def _seconds(value: str, name: str = "time") -> float:
    try:
        seconds = datetime.fromisoformat(value.strip()).timestamp()
        iso(seconds)
    except (ValueError, OverflowError, OSError) as error:
        raise _Unreadable(f"its {name} {value[:40]!r} is no time") from error
    return seconds


def _references(fields: Mapping[str, str]) -> list[str]:
    found = _REFERENCE.findall(fields.get("关联 Issue", ""))
    blocker = fields.get("escalated_blocker_id", "")
    return [*dict.fromkeys([*found, *([blocker] if blocker else [])])]


def _sections(text: str, title: str, created: float) -> tuple[str, list[Note]]:
    """What is wanted, and the timeline: the last section of its name, as a description may have headings of its own."""
    before, found, timeline = text.rpartition("\n## 处理记录")
    if not found:
        before, timeline = text, ""
    description, _, context = before.strip().removeprefix("## 问题描述").rpartition("\n## 关联上下文")
    if not description:
        description, context = context, ""
    description, context = description.strip(), context.strip()
    if description == title:
        description = ""
    if context:
        description = f"{description}\n\n## 关联上下文\n\n{context}".strip()
    return description, list(_timeline(timeline, created))


def _timeline(text: str, created: float) -> Iterator[Note]:
    """Each line is an entry; one that is none goes on with the entry before."""
    entries: list[tuple[float, str, str]] = []
    for line in text.strip("\n").split("\n"):
        found = _TIMELINE.fullmatch(line)
        if found is not None:
            entries.append((_seconds(found[1]), found[2].strip(), found[3]))
        elif entries:
            entries[-1] = (*entries[-1][:2], f"{entries[-1][2]}\n{line}")
        elif line.strip():
            entries.append((created, "", line.strip()))
    for time, actor, said in entries:
        if said.strip():
            yield Note(time, actor or ACTOR, said.strip())


def _read_decisions(mai: Mai, path: Path, text: str) -> None:
    parts = _DECISION.split(text)
    if len(parts) == 1:
        raise _Unreadable("it is empty" if not text.strip() else "it holds no conclusion (## 结论 @ TIME)")
    found = []
    for word, time, block in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        conclusion = word == "结论"
        said, actor = ("结论", "处理人") if conclusion else ("备注", "修订人")
        kind = "conclusion" if conclusion else "amendment"
        found.append(
            Conclusion(
                path.stem, kind, _seconds(time), _value(block, actor) or ACTOR, _value(block, said) or "(no text)"
            )
        )
    mai.conclusions += found


def _value(block: str, name: str) -> str:
    """The text after `**name：**`, which may have several lines, up to the next of our fields."""
    found = re.search(
        rf"^\*\*{name}：\*\*(.*?)(?=^\*\*(?:结论|处理人|修订人|备注|状态)：\*\*|\Z)", block, re.MULTILINE | re.DOTALL
    )
    return found[1].strip() if found else ""


def _read_history(mai: Mai, path: Path, text: str) -> None:
    if not _DAY.fullmatch(path.stem):
        raise _Unreadable("its name is no date")
    entries: list[tuple[re.Match[str], list[str]]] = []
    for line in text.split("\n"):
        found = _HISTORY.fullmatch(line)
        if found is not None:
            entries.append((found, [found[4]]))
        elif entries:
            entries[-1][1].append(line)
        elif line.strip():
            raise _Unreadable(f"its first line is no entry: {line[:60]!r}")
    mai.history += [_history_note(mai, found, "\n".join(lines).strip()) for found, lines in entries]


def _history_note(mai: Mai, found: re.Match[str], said: str) -> Note:
    ended = re.fullmatch(r"(.*) \[([^\]\n]*)\]", said, re.DOTALL)
    text, status = (ended[1], ended[2]) if ended else (said, "")
    actor = next((name for name in mai.rules.agents if name.upper() == found[2]), found[2].lower())
    return Note(_seconds(found[1]), actor or ACTOR, text, found[3], status)


def _read_summary(mai: Mai, path: Path, text: str) -> None:
    date = path.parent.name.removeprefix("daily-")
    try:
        valid = datetime.fromisoformat(date).date().isoformat() == date
    except ValueError:
        valid = False
    if not valid:
        raise _Unreadable("its directory is no date")
    if text.strip():
        mai.days.append(Day(date, path.stem, text.strip(), path.stat().st_mtime))
