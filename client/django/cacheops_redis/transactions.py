"""What is added to `cacheops.transaction`: tokens before the first statement, and commits that lose no invalidation."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

from cacheops.transaction import AtomicMixIn, TransactionState, transaction_states
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.transaction import get_connection

from . import isolation, snapshots, statements, writes
from .invalidation import queue_by_hand, run_queued, take_by_hand
from .statements import WRITE, words

logger = logging.getLogger("cacheops_redis")

_upstream_enter = AtomicMixIn.__enter__
_upstream_exit = AtomicMixIn.__exit__
_django_attribute = CursorWrapper.__getattr__

# Attributes of cursors by which no statement is run.
_HARMLESS = words(
    """
    arraysize cancel close closed connection description fetchall fetchmany fetchone itersize lastrowid mogrify name
    nextset query rowcount rownumber scroll scrollable setinputsizes setoutputsize statusmessage tzinfo_factory
    withhold bindnames getimplicitresults prefetchrows rowfactory outputtypehandler inputtypehandler warning_count
    pgresult format adapters row_factory
    """
)


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
    connection = get_connection(self.using)
    if depth == 0 and state and not connection.commit_on_exit:
        # Inside a transaction by hand: its end is not that of the block.
        queue_by_hand(connection).extend(state[0]["cbs"])
        state[0]["cbs"] = []
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


def ending(end: Callable, rolls_back: bool = False) -> Callable:
    """A method of a connection that ends a transaction by hand, with which its invalidations are sent.

    They are sent, too, where it fails or is only likely to have ended something: that does no harm.
    """

    @functools.wraps(end)
    def wrapper(self: BaseDatabaseWrapper, *args, **kwargs):
        try:
            result = end(self, *args, **kwargs)
        except BaseException:
            _send_behind_failure(take_by_hand(self))
            raise
        queued = take_by_hand(self)
        if queued and not rolls_back:
            run_queued(queued)
        return result

    return wrapper


def _send_behind_failure(queued: list) -> None:
    try:
        run_queued(queued)
    except Exception:
        logger.exception("invalidations could not be sent, behind another failure; they follow before the next hit")


def execute(self, sql, params=None):
    _before_statement(self, sql)
    with writes.raw(sql, self):
        return self._no_monkey.execute(self, sql, params)


def executemany(self, sql, param_list):
    _before_statement(self, sql)
    with writes.raw(sql, self):
        return self._no_monkey.executemany(self, sql, param_list)


def callproc(self, *args, **kwargs):
    _before_statement(self, None)
    return self._no_monkey.callproc(self, *args, **kwargs)


def cursor_attribute(self, name):
    """What the driver's cursor has besides, such as `copy()` or `executescript()`, goes past `execute()`."""
    if name not in _HARMLESS:
        _before_statement(self, None)
    return _django_attribute(self, name)


def _before_statement(cursor, sql) -> None:
    """A transaction is dirty from before the statement, so whatever fails after it does not leave it clean."""
    alias = cursor.db.alias
    isolation.before_statement(cursor.db, sql)
    state = transaction_states[alias]
    if not state:
        return
    kind = WRITE if sql is None else statements.kind(sql, cursor.db.vendor, cursor.cursor)
    snapshots.before_statement(alias, kind)
    if kind == WRITE:
        state.mark_dirty()
