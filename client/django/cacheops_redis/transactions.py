"""What is added to `cacheops.transaction`: tokens before the first statement, and commits that lose no invalidation."""

from __future__ import annotations

from cacheops.transaction import AtomicMixIn, CursorWrapperMixin, TransactionState, transaction_states
from django.db import InterfaceError, OperationalError

from . import snapshots
from .invalidation import run_queued

_upstream_exit = AtomicMixIn.__exit__
_upstream_execute = CursorWrapperMixin.execute
_upstream_executemany = CursorWrapperMixin.executemany
_upstream_callproc = CursorWrapperMixin.callproc


def commit(self: TransactionState) -> None:
    context = self.pop()
    if self:  # a savepoint
        self[-1]["cbs"] += context["cbs"]
        self[-1]["dirty"] = self[-1]["dirty"] or context["dirty"]
    else:
        run_queued(context["cbs"])


def atomic_exit(self, exc_type, exc_value, traceback):
    state = transaction_states[self.using]
    queued = list(state[0]["cbs"]) if len(state) == 1 and exc_type is None else []
    try:
        return _upstream_exit(self, exc_type, exc_value, traceback)
    except (OperationalError, InterfaceError):
        # The connection may have broken after the commit. To invalidate for nothing does no harm.
        run_queued(queued)
        raise


def execute(self, sql, params=None):
    snapshots.before_statement(self.db.alias, sql)
    return _upstream_execute(self, sql, params)


def executemany(self, sql, param_list):
    snapshots.before_statement(self.db.alias, sql)
    return _upstream_executemany(self, sql, param_list)


def callproc(self, procname, params=None):
    snapshots.before_statement(self.db.alias, None)
    return _upstream_callproc(self, procname, params)
