"""Who works in a run: its agent, or the next one of its fallback chain whose account is neither paused nor closed."""

from __future__ import annotations

from dataclasses import replace

from intarsia.kernel import pauses
from intarsia.kernel.pauses import Pause
from intarsia.run.context import Context, Worker


class Staff:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._workers = (context.worker, *context.fallback)
        self._closed: dict[str, str] = {}
        self._told: dict[str, float] = {}

    def seat(self, worker: Worker) -> Context:
        """The context for a session of that worker."""
        return replace(self._context, worker=worker)

    def free(self, preferred: str = "") -> Worker | None:
        """Who can begin a turn now: `preferred`, an agent's name, if it can."""
        lasting = self._pauses()
        able = [each for each in self._workers if each.account not in lasting and each.account not in self._closed]
        return next((each for each in able if each.name == preferred), able[0] if able else None)

    def close(self, account: str, reason: str) -> None:
        """Begin nothing more with this account in this run: it has no valid login."""
        if account not in self._closed:
            self._closed[account] = reason
            self._context.reporter.notice(f"{account} is not used any more in this run. {reason}")

    def worth_waiting(self) -> bool:
        """Whether somebody will be able to work again soon enough."""
        with self._context.database.read() as tx:
            lasting, now = pauses.active(tx), tx.now
        usable = {each.account for each in self._workers} - set(self._closed)
        ends = [lasting[account].until if account in lasting else now for account in usable]
        return any(end - now <= self._context.config.run.patience for end in ends)

    def _pauses(self) -> dict[str, Pause]:
        with self._context.database.read() as tx:
            lasting = pauses.active(tx)
        for worker in self._workers:
            pause = lasting.get(worker.account)
            if pause and self._told.get(worker.account) != pause.until:
                self._told[worker.account] = pause.until
                self._context.reporter.notice(pause.text)
        return lasting
