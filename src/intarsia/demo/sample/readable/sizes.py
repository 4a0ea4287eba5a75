"""Sizes in bytes, in powers of 1024."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: int) -> str:
    """`1.5 KiB` for 1536."""
    value = float(count)
    unit = UNITS[0]
    for unit in UNITS:
        if value < 1024 or unit == UNITS[-1]:
            break
        value /= 1024
    return join(value, unit)


def join(value: float, unit: str) -> str:
    """The number with at most one digit after the point, and its unit."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return f"{text} {unit}"
