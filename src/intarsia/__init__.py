"""Run a team of coding agents on one codebase and land only proven work."""

__version__ = "0.1.0"
