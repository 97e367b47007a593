"""A pytest plugin for django-cacheops' own tests with the bridge: what they take for granted of the Lua scripts."""

import threading

import pytest
import redis

# Expected to fail in 7.2, and right with the bridge: the related object's deletion is seen.
CURED = {"IssueTests::test_348"}


def pytest_collection_modifyitems(items):
    for item in items:
        if any(item.nodeid.endswith(name) for name in CURED):
            item.obj.__func__.__unittest_expecting_failure__ = False


@pytest.fixture(autouse=True)
def _waiting_is_seen(request, monkeypatch):
    """LockingTests.test_lock notices by a call of brpoplpush that the second thread is about to wait.

    With the module the wait is part of the GET: so brpoplpush does nothing but be noticed, before a GET that may wait.
    The second thread has one second to come so far; on a busy machine it gets thirty.
    """
    if request.node.name != "test_lock":
        return
    from cacheops_redis import server

    get = server.get

    def noticed_get(key, *options):
        if "WAIT" in options:
            redis.Redis.brpoplpush(None, None, None)
        return get(key, *options)

    wait = threading.Event.wait

    def patient_wait(event, timeout=None):
        return wait(event, timeout and 30 * timeout)

    monkeypatch.setattr(threading.Event, "wait", patient_wait)
    monkeypatch.setattr(redis.Redis, "brpoplpush", lambda *args, **kwargs: None)
    monkeypatch.setattr(server, "get", noticed_get)
