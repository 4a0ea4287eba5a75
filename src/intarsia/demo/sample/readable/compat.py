"""For callers of version 0.0.3. Nobody imports this any more."""

from readable.sizes import size

humanize_bytes = size
