"""Tokens of transactions.

In a transaction a query may answer from a snapshot that is older than the query: SQLite in WAL mode, REPEATABLE READ,
SERIALIZABLE. A token taken at the query would be younger than what it guards. So the first thing that happens in the
outermost transaction decides: before its first statement a token is taken, or its first look-up in the cache, if that
comes earlier, gives one for nothing. All fills of the transaction show that token, at each isolation level; the level
decides which entries it may take (`isolation`).

A transaction that begins with a write takes none: it is dirty, and fills nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import redis
from cacheops.transaction import transaction_states
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

from . import isolation, server, statements

TOKEN = "cacheops_redis.token"  # in the outermost context of a transaction; None: it cannot fill
BEGUN = "cacheops_redis.begun"  # a statement has seen data, so the database has a snapshot
OWN = "cacheops_redis.own"  # versions of entries that the transaction has stored
PAUSE_SECONDS = 5.0  # without tokens, when the server is away

_paused_until = 0.0


def before_statement(alias: str, kind: str) -> None:
    state = transaction_states[alias]
    if not state or kind == statements.NOTHING:
        return
    if TOKEN not in state[0]:
        state[0][TOKEN] = None if kind == statements.WRITE else _take()
    state[0][BEGUN] = True


def missed(token: int) -> None:
    """A look-up missed and brought a token. Transactions that have not begun to read may use it."""
    for state in _open_transactions():
        state[0].setdefault(TOKEN, token)


class Acceptable:
    """Which entries a look-up may take, where not every one is right. Made before the look-up."""

    def __init__(self, token: int | None, none: bool, own: set[int]):
        self.token = token  # for the fill
        self.none = none
        self._own = own

    def is_met_by(self, version: int) -> bool:
        return version in self._own or (self.token is not None and version <= self.token)


def acceptable() -> Acceptable | None:
    """None: every entry is right."""
    if any(isolation.is_by_hand(connection) for connection in connections.all(initialized_only=True)):
        return Acceptable(None, True, set())
    token, none, own, bound = None, False, set(), False
    for alias, state in list(transaction_states._states.items()):
        if not state:
            continue
        broken = connections[alias].needs_rollback
        level = isolation.SERIALIZABLE if broken else isolation.level(alias)
        if level == isolation.LATEST:
            continue
        if TOKEN not in state[0]:
            state[0][TOKEN] = _take()
        of_transaction = state[0][TOKEN]
        none = none or level == isolation.SERIALIZABLE or BEGUN not in state[0] or of_transaction is None
        token = of_transaction if not bound or of_transaction is None else token and min(token, of_transaction)
        own |= state[0].get(OWN, set())
        bound = True
    return Acceptable(token, none, own) if bound else None


def stored(version: int) -> None:
    """An entry that the open transactions have stored themselves."""
    for state in _open_transactions():
        state[0].setdefault(OWN, set()).add(version)


def fill_token(token: int | None, dbs: Iterable[str]) -> int | None:
    """The token to show: the oldest of the look-up and of all open transactions. None: do not fill."""
    if token is None or any(isolation.is_by_hand(connections[alias or DEFAULT_DB_ALIAS]) for alias in dbs):
        return None
    for state in _open_transactions():
        of_transaction = state[0].get(TOKEN, token)
        if of_transaction is None:
            return None
        token = min(token, of_transaction)
    return token


def _open_transactions():
    return [state for state in transaction_states._states.values() if state]


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
