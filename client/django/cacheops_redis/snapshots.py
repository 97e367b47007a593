"""Tokens of transactions.

In a transaction a query may answer from a snapshot that is older than the query: SQLite in WAL mode, REPEATABLE READ,
SERIALIZABLE. A token taken at the query would be younger than what it guards. So the first thing that happens in the
outermost transaction decides: before its first statement a token is taken, or its first look-up in the cache, if that
comes earlier, gives one for nothing. All fills of the transaction show that token. The isolation level is not asked.

A transaction that begins with a write takes none: it is dirty, and fills nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import redis
from cacheops.transaction import transaction_states
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from . import server, statements

TOKEN = "cacheops_redis.token"  # in the outermost context of a transaction; None: it cannot fill
PAUSE_SECONDS = 5.0  # without tokens, when the server is away

_paused_until = 0.0


def before_statement(alias: str, kind: str) -> None:
    state = transaction_states[alias]
    if not state or TOKEN in state[0] or kind == statements.NOTHING:
        return
    state[0][TOKEN] = None if kind == statements.WRITE else _take()


def missed(token: int) -> None:
    """A look-up missed and brought a token. Transactions that have not begun to read may use it."""
    for state in _open_transactions():
        state[0].setdefault(TOKEN, token)


def fill_token(token: int | None, dbs: Iterable[str]) -> int | None:
    """The token to show: the oldest of the look-up and of all open transactions. None: do not fill."""
    if token is None or any(_is_manual(alias) for alias in dbs):
        return None
    for state in _open_transactions():
        of_transaction = state[0].get(TOKEN, token)
        if of_transaction is None:
            return None
        token = min(token, of_transaction)
    return token


def _open_transactions():
    return [state for state in transaction_states._states.values() if state]


def _is_manual(alias: str) -> bool:
    """Is autocommit off by hand? Then nobody knows since when the transaction lasts."""
    connection = connections[alias or "default"]
    return connection.connection is not None and not connection.autocommit and not connection.in_atomic_block


def _take() -> int | None:
    """Whatever happens to the cache, a statement that has nothing to do with it must run."""
    global _paused_until
    if time.monotonic() < _paused_until:
        return None
    try:
        return server.token()
    except (redis.RedisError, ImproperlyConfigured):
        _paused_until = time.monotonic() + PAUSE_SECONDS
        return None
