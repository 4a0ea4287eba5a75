"""Python's own exceptions: which two handlers can't both be meant by one exception."""

from __future__ import annotations

import builtins

from intarsia.code.languages import words

KNOWN = words(
    "ArithmeticError AssertionError AttributeError BaseException BlockingIOError BrokenPipeError BufferError"
    " ChildProcessError EOFError Exception FileExistsError FileNotFoundError FloatingPointError ImportError IndexError"
    " InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError ModuleNotFoundError"
    " NameError NotADirectoryError NotImplementedError OSError OverflowError PermissionError ProcessLookupError"
    " RecursionError ReferenceError RuntimeError StopIteration SyntaxError SystemExit TypeError UnboundLocalError"
    " UnicodeDecodeError UnicodeEncodeError UnicodeError ValueError ZeroDivisionError"
)
# Real classes are both: io.UnsupportedOperation, and what dictionaries with attributes raise.
_BOTH = ((OSError, ValueError), (AttributeError, LookupError))


def apart(one: str, other: str) -> bool:
    """Whether nothing is both, as far as is known: neither is the other's base, and no class that is common is both.

    A class of one's own may be; of two handlers that two sides add, only the order is at issue then."""
    a, b = getattr(builtins, one), getattr(builtins, other)
    if issubclass(a, b) or issubclass(b, a):
        return False
    return not any(_are(a, b, *pair) or _are(b, a, *pair) for pair in _BOTH)


def _are(a: type, b: type, one: type, other: type) -> bool:
    return issubclass(a, one) and issubclass(b, other)
