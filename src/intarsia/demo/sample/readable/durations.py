"""Durations in seconds."""

UNITS = (
    ("h", 3600),
    ("min", 60),
    ("s", 1),
)


def duration(seconds: int) -> str:
    """`1 h 30 min` for 5400."""
    parts = []
    for name, length in UNITS:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts) or "0 s"
