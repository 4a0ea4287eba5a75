"""What this Python makes of a text, without a word to the user."""

from __future__ import annotations

import ast
import warnings


def syntax(data: bytes) -> ast.Module | None:
    """The tree, or None for what this Python does not take for Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def error_line(data: bytes) -> int:
    """The line of the first error, or 0; stricter than parsing: also finds an argument that is named twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(data, "<combined>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return error.lineno or 1
        except (ValueError, RecursionError, MemoryError):
            return 1
    return 0
