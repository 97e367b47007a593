"""Servers that cannot be used are named, with what to do about it."""

import pytest
import redis
from bridge_settings import SERVER
from cacheops import cached_as, invalidate_all, invalidate_obj
from cacheops.redis import redis_client
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import override_settings
from servers import RedisServer, free_port
from shop.models import Article, Saved

from cacheops_redis import checks, conf, server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other_server(monkeypatch):
    """Starts a server, and the bridge uses it for the rest of the test."""
    started = []

    def start(*config, **options):
        started.append(RedisServer(*config, **options))
        client = redis.Redis(port=started[-1].port)
        monkeypatch.setattr(server, "redis_client", client)
        server.forget_handshake()
        return client

    yield start
    for each in started:
        each.stop()
    server.forget_handshake()


def test_without_the_module(other_server):
    other_server(module=False)

    with pytest.raises(ImproperlyConfigured, match="does not have the cacheops module: start it with 'loadmodule"):
        list(Article.objects.cache())
    with pytest.raises(ImproperlyConfigured, match="take 'cacheops_redis' out of INSTALLED_APPS"):
        invalidate_obj(Article(pk=1))
    assert [error.id for error in checks.check_server(None)] == ["cacheops_redis.E001"]


def test_a_replica(other_server):
    other_server("--replicaof", "127.0.0.1", str(SERVER.port))

    with pytest.raises(ImproperlyConfigured, match="is a read-only replica"):
        list(Article.objects.cache())


def test_a_primary_that_becomes_a_replica_loses_no_invalidation(other_server):
    from cacheops_redis.outbox import outbox

    client = other_server()
    list(Article.objects.cache())
    client.execute_command("REPLICAOF", "127.0.0.1", SERVER.port)

    with pytest.raises(ImproperlyConfigured, match="name its primary"):
        invalidate_obj(Article(pk=1))
    assert outbox


def test_a_cluster(other_server):
    other_server("--cluster-enabled", "yes", "--cluster-port", str(free_port()))

    with pytest.raises(ImproperlyConfigured, match="is part of a cluster"):
        list(Article.objects.cache())


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ([b"version", b"0.0.1", b"grammar", 1, b"capabilities", [b"token"]], "without check, lock"),
        ([b"version", b"9.0.0", b"grammar", 2, b"capabilities", [b"token", b"check", b"lock"]], "with grammar 2"),
    ],
)
def test_another_version_of_the_module(monkeypatch, version, text):
    class Pipeline:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def execute_command(self, *command):
            pass

        def execute(self, raise_on_error):
            return [version, [b"master"], redis.ResponseError("no cluster")]

    class Client:
        def pipeline(self, transaction):
            return Pipeline()

    monkeypatch.setattr(server, "redis_client", Client())
    server.forget_handshake()
    with pytest.raises(ImproperlyConfigured, match=text):
        server.token()


def test_a_user_that_may_do_no_more_than_is_needed(other_server, monkeypatch):
    """The rules are those of docs/django.md."""
    admin = other_server()
    commands = ["get", "store", "token", "check", "invalidate", "flush", "release", "version"]
    rules = [
        "on",
        ">secret",
        "~co1:*",
        *(f"+cacheops.{command}" for command in commands),
        "+cacheops.reap",
        "+info",
    ]
    admin.execute_command("ACL", "SETUSER", "site", *rules)
    port = admin.connection_pool.connection_kwargs["port"]
    monkeypatch.setattr(server, "redis_client", redis.Redis(port=port, username="site", password="secret"))
    server.forget_handshake()

    assert Article.objects.filter(title="a").cache(lock=True).count() == 0
    Article.objects.create(title="a")
    with transaction.atomic():
        assert Article.objects.filter(title="a").cache().count() == 1
    Saved.objects.create(title="a")
    assert Saved.objects.get(title="a")
    from cacheops import cache

    cache.set("key", 1, timeout=60)
    assert cache.get("key") == 1
    invalidate_all()


def test_resp3(other_server, monkeypatch):
    started = other_server()
    client = redis.Redis(port=started.connection_pool.connection_kwargs["port"], protocol=3)
    monkeypatch.setattr(server, "redis_client", client)
    server.forget_handshake()
    Article.objects.create(title="a")

    assert Article.objects.filter(title="a").cache().count() == 1
    assert Article.objects.filter(title="a").cache().count() == 1
    Article.objects.create(title="a")
    assert Article.objects.filter(title="a").cache().count() == 2


def test_a_server_that_has_no_memory_left_does_not_fail_a_query(other_server, caplog):
    client = other_server()
    client.config_set("maxmemory", "1mb")

    assert list(Article.objects.cache()) == []
    Article.objects.create(title="a")
    assert len(Article.objects.cache()) == 1
    assert "did not store" in caplog.text


def test_a_value_that_is_too_large_is_not_stored(other_server, caplog):
    client = other_server()
    client.config_set("cacheops.max-value-bytes", "100")

    assert len(cached_as(Article)(lambda: "x" * 1000)()) == 1000
    assert "cacheops.max-value-bytes" in caplog.text


def test_a_foreign_key_in_the_way_is_a_miss(django_assert_num_queries):
    queryset = Article.objects.filter(number=5).cache()
    redis_client.set(queryset._cache_key(), "foreign")

    for _ in range(2):
        with django_assert_num_queries(1):
            assert list(queryset._clone()) == []
    assert redis_client.get(queryset._cache_key()) == b"foreign"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"KEY_PREFIX": "q:"}, "must be a text that does not begin with q or a"),
        ({"KEYPREFIX": "co:"}, "unknown keys .*known are KEY_PREFIX"),
        ({"MOVING": "both"}, "must be None, 'lua' or 'module'"),
        ({"OUTBOX_ROWS": 0}, "must be 1 or more"),
        ("co:", "must be a dict"),
    ],
)
def test_settings_that_cannot_be(given, text):
    with override_settings(CACHEOPS_MODULE=given), pytest.raises(ImproperlyConfigured, match=text):
        conf.options()
