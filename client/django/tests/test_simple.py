"""The simple cache, and that `invalidate_all()` drops what cacheops has stored and nothing else."""

import datetime

import pytest
import redis
from cacheops import CacheMiss, cache, cached, invalidate_all
from cacheops.redis import redis_client
from cacheops.simple import RedisCache
from django.template import Context, Template
from django.test import override_settings
from servers import RedisServer
from shop.models import Article

pytestmark = pytest.mark.django_db(transaction=True)


def missing(key):
    with pytest.raises(CacheMiss):
        cache.get(key)
    return True


def test_values_are_kept_for_their_time():
    cache.set("seconds", [1], timeout=60)
    cache.set("delta", "x", timeout=datetime.timedelta(minutes=1))
    cache.set("for ever", None)

    assert [cache.get("seconds"), cache.get("delta"), cache.get("for ever")] == [[1], "x", None]
    assert 0 < redis_client.pttl("co1:s:seconds") <= 60_000
    assert 0 < redis_client.pttl("co1:s:delta") <= 60_000
    assert redis_client.pttl("co1:s:for ever") == -1
    assert missing("other")


def test_a_time_that_is_none_is_an_error():
    with pytest.raises(redis.ResponseError, match="PX"):
        cache.set("key", 1, timeout=0)
    assert missing("key")


def test_functions():
    calls = []

    @cached(timeout=60)
    def function(x):
        calls.append(x)
        return x

    assert [function(1), function(1), function(2)] == [1, 1, 2]
    assert calls == [1, 2]
    function.invalidate(1)
    function.key(2).delete()
    assert [function(1), function(2)] == [1, 2]
    assert calls == [1, 2, 1, 2]


def test_invalidate_all_drops_the_simple_cache_and_no_foreign_key():
    redis_client.set("foreign", "x")
    redis_client.set("c:foreign", "x")
    calls = []
    function = cached(timeout=60)(lambda: calls.append(1))
    template = Template("{% load cacheops %}{% cached 60 'name' %}{{ word }}{% endcached %}")
    render = lambda word: template.render(Context({"word": word}))  # noqa: E731
    cache.set("key", 1)
    function()
    list(Article.objects.cache())
    assert [render("a"), render("b")] == ["a", "a"]

    invalidate_all()

    assert missing("key")
    function()
    assert calls == [1, 1]
    assert render("c") == "c"
    assert redis_client.get("foreign") == redis_client.get("c:foreign") == b"x"


def test_a_value_from_before_invalidate_all_is_not_stored():
    words = iter(["before", "after"])

    @cached(timeout=60)
    def function():
        word = next(words)
        if word == "before":
            invalidate_all()
        return word

    assert function() == "before"
    assert function() == "after"
    assert function() == "after"


def test_a_value_that_the_server_refuses_fails_no_function(caplog):
    limit = redis_client.config_get("cacheops.max-value-bytes")["cacheops.max-value-bytes"]
    redis_client.config_set("cacheops.max-value-bytes", "100")
    try:
        assert cached(timeout=60)(lambda: "x" * 1000)() == "x" * 1000
    finally:
        redis_client.config_set("cacheops.max-value-bytes", limit)
    assert "cacheops.max-value-bytes" in caplog.text


def test_a_foreign_key_in_the_way_is_a_miss():
    redis_client.set("co1:s:key", "x")

    assert missing("key")
    cache.set("key", 1)

    assert missing("key")
    assert redis_client.get("co1:s:key") == b"x"


def test_a_cache_on_another_server_needs_no_module():
    with RedisServer(module=False) as other:
        elsewhere = RedisCache(redis.Redis(port=other.port))
        elsewhere.set("key", 1, timeout=60)
        assert elsewhere.get("key") == 1
        elsewhere.delete("key")
        with pytest.raises(CacheMiss):
            elsewhere.get("key")


def test_while_a_site_moves_a_deletion_reaches_both():
    for moving in ("lua", "module"):
        with override_settings(CACHEOPS_MODULE={"MOVING": moving}):
            cache.set("key", moving)
    for moving in ("lua", "module"):
        with override_settings(CACHEOPS_MODULE={"MOVING": moving}):
            assert cache.get("key") == moving
    assert [redis_client.type("key"), redis_client.type("co1:s:key")] == [b"string", b"cacheops1"]

    with override_settings(CACHEOPS_MODULE={"MOVING": "lua"}):
        cache.delete("key")

    assert redis_client.keys() == []


def test_a_server_that_is_away_is_a_miss_where_the_settings_say_so(monkeypatch):
    from cacheops_redis import server

    def away(*command):
        raise redis.ConnectionError("away")

    monkeypatch.setattr(server, "execute", away)
    with override_settings(CACHEOPS_DEGRADE_ON_FAILURE=True), pytest.warns(RuntimeWarning):
        assert missing("key")
        cache.set("key", 1)
    with pytest.raises(redis.ConnectionError):
        cache.get("key")
