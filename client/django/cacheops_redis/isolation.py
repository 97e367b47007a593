"""What an isolation level promises holds with the cache as without it.

A hit is a result as of now. In a transaction that reads from a snapshot it may be newer than the rest that the
transaction sees, so there an entry is taken only if it is as old as the snapshot and still alive: nothing has changed
what it holds in between. The first read goes to the database and takes the snapshot; what the transaction has stored
itself is as good. At SERIALIZABLE the database must know of each read, to refuse what is not serializable: there is
no hit at all. Nor is there one in a transaction that the database has broken off, where Django raises, and in a
transaction by hand, of which it is not known when it began and what it has written.
"""

from __future__ import annotations

import logging
from typing import Any

from cacheops.transaction import transaction_states
from django.db import connections

logger = logging.getLogger("cacheops_redis")

LATEST, SNAPSHOT, SERIALIZABLE = "latest", "snapshot", "serializable"

LEVEL = "cacheops_redis.level"  # in the outermost context of a transaction
_REMEMBERED = "_cacheops_isolation"  # of a DatabaseWrapper: what its connection was when it was asked
_LEVELS = {
    "read uncommitted": LATEST,
    "read committed": LATEST,
    "repeatable read": SNAPSHOT,
    "serializable": SERIALIZABLE,
}


def level(alias: str) -> str:
    """Of the open transaction."""
    context = transaction_states[alias][0]
    if LEVEL not in context:
        context[LEVEL] = _ask(connections[alias])
    return context[LEVEL]


def before_statement(connection: Any, sql: Any) -> None:
    """A statement may change the level, of this transaction or of the connection."""
    if isinstance(sql, str) and len(sql) < 500 and "isolation" in sql.lower():
        connection.__dict__.pop(_REMEMBERED, None)
        state = transaction_states[connection.alias]
        if state:
            state[0][LEVEL] = _named(sql)


def is_by_hand(connection: Any) -> bool:
    """Is autocommit off by hand? Then it is not known since when the transaction lasts."""
    return connection.connection is not None and not connection.autocommit and not connection.in_atomic_block


def _named(sql: str) -> str:
    """The weakest assumption about a statement that names a level."""
    words = " ".join(sql.lower().replace("-", " ").replace("_", " ").split())
    found = {kind for name, kind in _LEVELS.items() if name in words}
    return found.pop() if len(found) == 1 else SERIALIZABLE


def _ask(connection: Any) -> str:
    if connection.vendor == "sqlite":
        return SNAPSHOT
    driver = connection.connection
    try:
        now = (id(driver), getattr(driver, "isolation_level", None))
        if connection.__dict__.get(_REMEMBERED, (None,))[0] != now:
            connection.__dict__[_REMEMBERED] = now, _asked(connection, driver)
        return connection.__dict__[_REMEMBERED][1]
    except Exception as error:  # of the driver
        logger.warning(
            "the isolation level of %r is not known, its transactions take no hits: %s", connection.alias, error
        )
        return SERIALIZABLE


def _asked(connection: Any, driver: Any) -> str:
    if connection.vendor == "postgresql":
        # By a cursor of the driver's: it is no statement of the application's, and takes no snapshot.
        with driver.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            return _LEVELS.get(cursor.fetchone()[0], SERIALIZABLE)
    if connection.vendor == "mysql":
        with driver.cursor() as cursor:
            cursor.execute("SELECT @@SESSION.transaction_isolation")
            return _LEVELS.get(cursor.fetchone()[0].lower().replace("-", " "), SERIALIZABLE)
    if connection.vendor == "oracle":
        return LATEST  # unless a statement of the transaction says otherwise
    return SERIALIZABLE
