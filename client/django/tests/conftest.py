"""Fixtures, and what lets two threads meet at one point of a query."""

import shutil
import threading

import pytest
from bridge_settings import BRIDGE, SERVER


def pytest_collection_modifyitems(items):
    if not BRIDGE:
        for item in items:
            if item.get_closest_marker("cures"):
                item.add_marker(pytest.mark.xfail(strict=True, reason="what the bridge cures"))


def pytest_unconfigure(config):
    from django.conf import settings

    SERVER.stop()
    shutil.rmtree(settings.DATABASES["default"].get("DIRECTORY", "/nonexistent"), ignore_errors=True)


@pytest.fixture(scope="session")
def server():
    return SERVER


@pytest.fixture(scope="session", autouse=True)
def _write_ahead_log():
    from django.db.backends.signals import connection_created

    def on(connection, **kwargs):
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA journal_mode=WAL")
                cursor.execute("PRAGMA synchronous=OFF")

    connection_created.connect(on, weak=False)


@pytest.fixture(autouse=True)
def _clean(request, db_is_transactional):
    from cacheops import query
    from cacheops.redis import redis_client
    from cacheops.transaction import transaction_states

    redis_client.flushdb()
    transaction_states._states.clear()
    query._local_get_cache.clear()
    yield
    if BRIDGE:
        from cacheops_redis import invalidation, server, snapshots
        from cacheops_redis.outbox import outbox

        outbox.clear()
        server.forget_handshake()
        snapshots._paused_until = invalidation._paused_until = 0.0


@pytest.fixture
def db_is_transactional(request):
    if request.node.get_closest_marker("django_db"):
        request.getfixturevalue("transactional_db")


def in_thread(function):
    """Runs in another thread, which has a connection of its own, and answers what the function does."""
    from django.db import connections

    result, failure = [], []

    def run():
        try:
            result.append(function())
        except BaseException as error:
            failure.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the other thread hangs"
    if failure:
        raise failure[0]
    return result[0]


class during_first_query:
    """Something that another thread does after the first statement has read, and before its rows are stored."""

    def __init__(self, function):
        self.function = function
        self.done = False

    def __call__(self, execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if not self.done:
            self.done = True
            in_thread(self.function)
        return result

    def __enter__(self):
        from django.db import connection

        self.wrapper = connection.execute_wrapper(self)
        self.wrapper.__enter__()
        return self

    def __exit__(self, *exc):
        self.wrapper.__exit__(*exc)
        assert self.done, "there was no statement"
