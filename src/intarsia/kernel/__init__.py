"""Issues, sessions, leases, messages and events on one database.

The modules are plain functions that take a transaction first, so that one transaction can change several of them.
"""

from intarsia.kernel.database import Database, Transaction

__all__ = ["Database", "Transaction"]
