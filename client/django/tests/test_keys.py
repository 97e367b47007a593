"""Keys, commands, and what the application sees of them."""

import pickle

import pytest
from cacheops import cached_as, invalidate_all, invalidate_model, no_invalidation, reap_conjs
from cacheops.redis import redis_client
from cacheops.signals import cache_invalidated, cache_read
from django.core.management import call_command
from django.db import connection, transaction
from django.template import Context, Template
from django.test import override_settings
from servers import wait_until
from shop.models import Article, Category, Passport, Saved

pytestmark = pytest.mark.django_db(transaction=True)


def explain(queryset):
    reply = redis_client.execute_command("CACHEOPS.EXPLAIN", queryset._cache_key())
    if isinstance(reply, list):  # RESP2
        reply = dict(zip(reply[::2], reply[1::2]))
    return reply


def conditions(queryset):
    list(queryset)
    found = explain(queryset)[b"conditions"]
    return dict(zip(found[::2], found[1::2]))


def commands(action):
    """The commands of the module that an action sends."""
    connection.ensure_connection()  # it begins with statements of its own
    with redis_client.monitor() as monitor:
        action()
        redis_client.echo("end")
        sent = []
        for command in monitor.listen():
            if command["command"] == "ECHO end":
                return [text for text in sent if text.startswith("CACHEOPS.")]
            sent.append(command["command"])


def test_an_entry_has_a_key_of_its_own():
    queryset = Article.objects.filter(number=5).cache()
    list(queryset)

    (key,) = redis_client.keys()
    assert key.decode() == queryset._cache_key()
    assert key.startswith(b"co1:q:")
    assert redis_client.type(key) == b"cacheops1"


@override_settings(CACHEOPS_PREFIX=lambda query: "tenant:", CACHEOPS_MODULE={"KEY_PREFIX": "m:"})
def test_prefixes_of_keys_and_tables():
    queryset = Article.objects.filter(number=5).cache()

    assert conditions(queryset) == {b"tenant:shop_article": b"number=5"}
    assert queryset._cache_key().startswith("tenant:m:q:")
    with override_settings(CACHEOPS_PREFIX=lambda query: "other:"):
        Article.objects.create(number=5)
    assert explain(queryset)[b"state"] == b"alive"
    Article.objects.create(number=5)
    assert (explain(queryset) or {b"state": b"dead"})[b"state"] == b"dead"


@override_settings(CACHEOPS_PREFIX=lambda query: f"{query.table}:")
def test_a_prefix_may_be_made_of_the_table():
    assert Article.objects.filter(number=5).cache().count() == 0
    Article.objects.create(number=5)
    assert Article.objects.filter(number=5).cache().count() == 1


def test_conditions_name_columns():
    assert conditions(Passport.objects.filter(number=5, article=3).cache()) == {b"shop_passport": b"article_id=3&nr=5"}
    assert conditions(Article.objects.filter(category__title="a").cache()) == {
        b"shop_article": b"*",
        b"shop_category": b"title=a",
    }
    assert conditions(Article.objects.filter(category__id=3).filter(number__in=[1, None, 2]).cache()) == {
        b"shop_article": b"category_id=3&number=1|category_id=3&number=2"
    }


def test_long_lists_stay_granular(django_assert_num_queries):
    queryset = Article.objects.filter(number__in=range(50)).cache()
    list(queryset._clone())

    Article.objects.create(number=50)

    with django_assert_num_queries(0):
        list(queryset._clone())
    with override_settings(CACHEOPS_LONG_DISJUNCTION=8):
        assert conditions(Article.objects.filter(number__in=range(8)).cache()) == {b"shop_article": b"*"}


def test_a_queryset_can_be_pickled_after_a_hit():
    queryset = Article.objects.filter(number=5).cache()
    list(queryset._clone())
    list(queryset)

    copy = pickle.loads(pickle.dumps(queryset))

    assert list(copy) == []
    assert copy._cond_dnfs == {"shop_article": [{"number": 5}]}


def test_keys_of_the_lua_scripts_are_left_alone():
    redis_client.set("q:1", "x")
    redis_client.sadd("conj:shop_article:number=5", "q:1")

    Article.objects.create(number=5)
    invalidate_model(Article)
    invalidate_all()

    assert sorted(redis_client.keys()) == [b"conj:shop_article:number=5", b"q:1"]


def test_the_whole_database_is_emptied_if_asked():
    redis_client.set("foreign", "x")
    with override_settings(CACHEOPS_MODULE={"FLUSHDB": True}):
        invalidate_all()

    assert redis_client.keys() == []


def test_a_hit_is_one_command_and_a_miss_two():
    queryset = Article.objects.filter(number=5).cache()

    miss = commands(lambda: list(queryset._clone()))
    hit = commands(lambda: list(queryset._clone()))

    assert [text.split()[0] for text in miss] == ["CACHEOPS.GET", "CACHEOPS.STORE"]
    assert " TOKEN " in miss[1]
    assert [text.split()[0] for text in hit] == ["CACHEOPS.GET"]


def test_a_save_is_one_command():
    article = Article.objects.create(number=5)
    article.number = 6

    (command,) = commands(article.save)

    assert command.startswith("CACHEOPS.INVALIDATE ON shop_article")
    assert command.count("|") == 1


def test_a_transaction_is_one_command():
    def work():
        with transaction.atomic():
            category = Category.objects.create(title="a")
            for number in range(20):
                Article.objects.create(number=number, category=category)

    (command,) = commands(work)

    assert command.count("|") == 19


def test_a_transaction_that_is_rolled_back_sends_nothing():
    def work():
        with pytest.raises(ValueError), transaction.atomic():
            Article.objects.create(number=5)
            raise ValueError

    assert commands(work) == []


def test_a_model_costs_one_command():
    assert commands(lambda: invalidate_model(Article)) == ["CACHEOPS.INVALIDATE ON shop_article *"]


def test_thousands_of_rows_are_several_commands():
    articles = [Article(number=number) for number in range(1200)]

    assert len(commands(lambda: Article.objects.bulk_create(articles))) == 3


def test_signals():
    heard = []

    def hear(signal=None, sender=None, **kwargs):
        heard.append((sender, kwargs))

    Category.objects.create(pk=1, title="old")
    cache_read.connect(hear)
    cache_invalidated.connect(hear)
    try:
        category = Category.objects.cache().get(pk=1)
        category.title = "new"
        category.save()
        invalidate_model(Category)
        invalidate_all()
    finally:
        cache_read.disconnect(hear)
        cache_invalidated.disconnect(hear)

    assert heard == [
        (Category, {"func": None, "hit": False}),
        (Category, {"obj_dict": {"id": 1, "title": "old"}}),
        (Category, {"obj_dict": {"id": 1, "title": "new"}}),
        (Category, {"obj_dict": None}),
        (None, {"obj_dict": None}),
    ]


def test_templates():
    template = Template("{% load cacheops %}{% cached_as articles 60 'name' %}{{ articles.count }}{% endcached_as %}")
    render = lambda: template.render(Context({"articles": Article.objects.filter(number=5)}))  # noqa: E731
    assert render() == "0"

    Article.objects.create(number=5)

    assert render() == "1"


def test_commands_of_management():
    article = Article.objects.create(pk=1, number=5)
    queryset = Article.objects.filter(number=5).cache()
    for label in ("all", "shop", "shop.Article", "shop.Article.1"):
        list(queryset._clone())
        with no_invalidation:
            Article.objects.filter(pk=article.pk).update(title=label)
        call_command("invalidate", label)
        assert queryset._clone().get().title == label


def test_reaping():
    for number in range(100):
        list(Article.objects.filter(number=number).cache())
    invalidate_model(Article)

    call_command("reapconjs", "--chunk-size", "10", "--min-conj-set-size", "1")

    wait_until(lambda: redis_client.info("cacheops")["cacheops_dead"] == 0, "the end of the dead")
    assert reap_conjs(dry_run=True) == (0, 0)


def test_cache_on_save(django_assert_num_queries):
    saved = Saved.objects.create(title="a")
    with django_assert_num_queries(0):
        assert Saved.objects.get(pk=saved.pk).title == "a"

    saved.title = "b"
    saved.save()

    with django_assert_num_queries(0):
        assert Saved.objects.get(pk=saved.pk).title == "b"


def test_cache_on_save_stores_what_the_database_computes(django_assert_num_queries):
    from django.db.models import F

    saved = Saved.objects.create(title="a", number=1)
    saved.number = F("number") + 1
    saved.save()

    with django_assert_num_queries(0):
        assert Saved.objects.get(pk=saved.pk).number == 2


def test_nested_functions_have_tokens_of_their_own():
    Article.objects.create(pk=1, number=5, title="old")

    @cached_as(Category)
    def inner():
        return 1

    @cached_as(Article.objects.filter(number=5))
    def outer(depth=1):
        inner()
        if depth:
            outer(depth - 1)
        return [a.title for a in Article.objects.filter(number=5).cache()]

    assert outer() == ["old"]
    assert commands(outer) and "STORE" not in "".join(commands(outer))


def test_a_fill_without_a_look_up_is_not_stored():
    queryset = Article.objects.filter(number=5).cache()

    queryset._cache_results(queryset._cache_key(), [])

    assert redis_client.keys() == []


@pytest.mark.parametrize("served", ["lua", "module"])
def test_while_a_site_moves_both_are_invalidated(served, django_assert_num_queries):
    Article.objects.create(pk=1, number=5, title="old")
    titles = lambda: [a.title for a in Article.objects.filter(number=5).cache()]  # noqa: E731
    for moving in ("lua", "module"):
        with override_settings(CACHEOPS_MODULE={"MOVING": moving}):
            assert titles() == ["old"]
            with django_assert_num_queries(0):
                assert titles() == ["old"]
    assert {key.partition(b":")[0] for key in redis_client.scan_iter()} == {b"co1", b"conj", b"q", b"schemes"}

    with override_settings(CACHEOPS_MODULE={"MOVING": served}):
        article = Article.objects.get(pk=1)
        article.title = "new"
        article.save()

    for moving in ("lua", "module"):
        with override_settings(CACHEOPS_MODULE={"MOVING": moving}):
            assert titles() == ["new"]
