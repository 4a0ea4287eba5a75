"""Numbers as people say them."""

__version__ = "0.1.0"
