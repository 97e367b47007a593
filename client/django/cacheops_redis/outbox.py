"""Invalidations that could not be sent, kept until they are.

Whoever reads sends them first (`deliver`), so this process trusts no hit that they may concern. They are bounded:
past CACHEOPS_MODULE['OUTBOX_ROWS'] a table's rows become the whole table. A process that ends takes its outbox along.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import Callable

from . import server
from .conf import options
from .wire import ANY

Change = tuple  # (table, row)
Send = Callable[[Iterable[Change]], None]


class Outbox:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clock = itertools.count()
        self._changes: dict[Change, int] = {}  # when it was remembered last
        self._flush: int | None = None

    def __bool__(self) -> bool:
        return bool(self._changes) or self._flush is not None

    def __len__(self) -> int:
        return len(self._changes)

    def remember(self, changes: Iterable[Change]) -> None:
        with self._lock:
            for change in changes:
                self._changes[change] = next(self._clock)
            if len(self._changes) > options().OUTBOX_ROWS:
                self._changes = {(table, ANY): next(self._clock) for table, _row in self._changes}

    def remember_flush(self) -> None:
        with self._lock:
            self._changes.clear()
            self._flush = next(self._clock)

    def pending(self) -> tuple[dict[Change, int], int | None]:
        with self._lock:
            return dict(self._changes), self._flush

    def forget(self, changes: dict[Change, int], flush: int | None) -> None:
        """Takes out what was sent, but not what was remembered again since."""
        with self._lock:
            for change, when in changes.items():
                if self._changes.get(change) == when:
                    del self._changes[change]
            if self._flush == flush:
                self._flush = None

    def clear(self) -> None:
        with self._lock:
            self._changes.clear()
            self._flush = None


outbox = Outbox()


def deliver(changes: Iterable[Change] = (), send: Send = server.invalidate) -> None:
    """Sends changes, and those of the outbox before them. What cannot be sent is in the outbox afterwards."""
    changes = list(changes)
    try:
        if outbox:
            waiting, flush = outbox.pending()
            if flush is not None:
                server.flush()
            send([*waiting, *changes])
            outbox.forget(waiting, flush)
        else:
            send(changes)
    except BaseException:
        outbox.remember(changes)
        raise


def flush_all() -> None:
    try:
        server.flush()
    except BaseException:
        outbox.remember_flush()
        raise
    outbox.clear()
