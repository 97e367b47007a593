"""What is added to `cacheops.transaction`: tokens before the first statement, and commits that lose no invalidation."""

from __future__ import annotations

import logging

from cacheops.transaction import AtomicMixIn, CursorWrapperMixin, TransactionState, transaction_states

from . import snapshots
from .invalidation import run_queued

logger = logging.getLogger("cacheops_redis")

_upstream_enter = AtomicMixIn.__enter__
_upstream_exit = AtomicMixIn.__exit__
_upstream_execute = CursorWrapperMixin.execute
_upstream_executemany = CursorWrapperMixin.executemany
_upstream_callproc = CursorWrapperMixin.callproc


def commit(self: TransactionState) -> None:
    if not self:
        return  # sent already, when the block ended
    context = self.pop()
    context["ended"] = True
    if self:  # a savepoint
        self[-1]["cbs"] += context["cbs"]
        self[-1]["dirty"] = self[-1]["dirty"] or context["dirty"]
    else:
        run_queued(context["cbs"])


def rollback(self: TransactionState) -> None:
    if self:  # otherwise the commit was done, and a callback of the application failed after it
        self.pop()


def atomic_enter(self):
    """A block that could not begin leaves no level behind, in which later invalidations would wait for ever."""
    state = transaction_states[self.using]
    depth = len(state)
    try:
        return _upstream_enter(self)
    except BaseException:
        del state[depth:]
        raise


def atomic_exit(self, exc_type, exc_value, traceback):
    state = transaction_states[self.using]
    depth = max(len(state) - 1, 0)
    outermost = state[0] if depth == 0 and state and exc_type is None else None
    try:
        return _upstream_exit(self, exc_type, exc_value, traceback)
    except BaseException:
        # The connection may have broken after the commit, or the process been interrupted. To invalidate for nothing
        # does no harm.
        if outermost is not None and "ended" not in outermost:
            _send_behind_failure(outermost["cbs"])
        raise
    finally:
        del state[depth:]


def _send_behind_failure(queued: list) -> None:
    try:
        run_queued(queued)
    except Exception:
        logger.exception("invalidations could not be sent, behind another failure; they follow before the next hit")


def execute(self, sql, params=None):
    snapshots.before_statement(self.db.alias, sql)
    return _upstream_execute(self, sql, params)


def executemany(self, sql, param_list):
    snapshots.before_statement(self.db.alias, sql)
    return _upstream_executemany(self, sql, param_list)


def callproc(self, procname, params=None):
    snapshots.before_statement(self.db.alias, None)
    return _upstream_callproc(self, procname, params)
