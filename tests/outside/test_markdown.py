"""Whatever others write, it stands in our Markdown as text: no heading, link, table or fence of its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from intarsia.outside.markdown import facts, fenced, file_name, inline, table

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
MARKS = st.text(st.sampled_from("`~#*_[]()<>|&!-=+\\ \n\r\tab1.:/\u2028\u202e\x1b"), max_size=60)
TEXTS = st.one_of(MARKS, st.text(st.characters(exclude_categories=["Cs"]), max_size=60))


def headings(tokens: list[Token]) -> list[str]:
    return [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]


def plain(token: Token) -> str:
    """What a reader sees of a line; fails for anything but text."""
    assert token.children is not None
    assert {child.type for child in token.children} <= {"text", "text_special"}, token.content
    return "".join(child.content for child in token.children)


def visible(text: str) -> str:
    shown = "".join(char if char.isprintable() or char in "\u200c\u200d" else " " for char in text)
    return " ".join(shown.split())


@given(TEXTS)
def test_a_title_stays_on_its_line_and_reads_as_it_was_written(text: str) -> None:
    tokens = PARSER.parse(f"# ia-1: {inline(text)}\n\nThe end.\n")
    assert [token.type for token in tokens] == [
        *("heading_open", "inline", "heading_close"),
        *("paragraph_open", "inline", "paragraph_close"),
    ]
    assert plain(tokens[1]) == f"ia-1: {visible(text)}".strip()


@given(TEXTS)
def test_a_cell_stays_in_its_cell(text: str) -> None:
    page = f"{facts({'one': inline(text) or '-', 'two': 'b'})}\n\n{table(('a', 'b'), [['x', inline(text)]])}\n"
    tokens = PARSER.parse(page)
    cells = [plain(tokens[n + 1]) for n, token in enumerate(tokens) if token.type == "td_open"]
    assert cells == ["one", visible(text) or "-", "two", "b", "x", visible(text)]


@given(TEXTS)
@example("```\n## Notes\n")
@example("a\n`````\n## Notes\n~~~\n")
@example("    ```\r## Notes")
def test_a_body_stays_in_its_fence(text: str) -> None:
    tokens = PARSER.parse(f"## Body\n\n{fenced(text)}\n\n## Notes\n")
    assert headings(tokens) == ["Body", "Notes"]
    (fence,) = [token for token in tokens if token.type == "fence"]
    lines = re.sub(r"\r\n?", "\n", text).strip("\n")
    seen = "".join(char if char in "\n\t" or (char >= " " and char != "\x7f") else "\ufffd" for char in lines)
    assert fence.content == f"{seen}\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), unique=True, max_size=8))
def test_file_names_are_safe_and_differ(names: list[str]) -> None:
    files = [file_name(name) for name in names]
    assert len(set(files)) == len(files)
    for name in files:
        assert re.fullmatch(r"[A-Za-z0-9_~][A-Za-z0-9._~-]{0,200}", name), name


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ".", "", ".git", "a/b", "-rf", "a" * 500])
def test_file_names_lead_nowhere_else(name: str) -> None:
    file = file_name(name)
    assert "/" not in file
    assert not file.startswith((".", "-"))
    assert len(file) < 200


def test_usual_names_are_kept() -> None:
    assert file_name("ia-7f3a") == "ia-7f3a.md"
    assert file_name("2026-11-20") == "2026-11-20.md"
    assert inline("snake_case and a.b(c)") == "snake_case and a.b(c)"
