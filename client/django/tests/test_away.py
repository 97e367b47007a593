"""The server is away: the application behaves as with cacheops alone, and no invalidation is lost."""

import warnings

import pytest
import redis
from bridge_settings import SERVER
from cacheops import cached_as, invalidate_all, invalidate_model, invalidate_obj, no_invalidation
from cacheops.redis import redis_client
from django.db import transaction
from django.test import override_settings
from shop.models import Article, Category

pytestmark = pytest.mark.django_db(transaction=True)

degrade = override_settings(CACHEOPS_DEGRADE_ON_FAILURE=True)


@pytest.fixture
def article():
    return Article.objects.create(pk=1, title="old", number=5)


@pytest.fixture(autouse=True)
def _server_is_back():
    yield
    SERVER.restart()
    redis_client.connection_pool.disconnect()


def titles(**filters):
    return [article.title for article in Article.objects.filter(**filters).cache()]


def away():
    """Kills the server. What it holds comes back with it, alive: the worst case."""
    # By a client that waits as long as the disk takes.
    redis.Redis(port=SERVER.port).save()
    SERVER.kill()
    redis_client.connection_pool.disconnect()


def back():
    SERVER.restart("--cacheops.on-restart", "keep")
    redis_client.connection_pool.disconnect()


def rename(article):
    article.title = "new"
    article.save()


def test_entries_of_the_file_are_alive(article):
    """What the tests below rely on."""
    titles(number=5)
    away()
    with no_invalidation:
        Article.objects.filter(pk=1).update(title="new")
    back()

    assert titles(number=5) == ["old"]


def test_without_degradation_reads_and_writes_fail(article):
    away()

    with pytest.raises(redis.ConnectionError):
        titles(number=5)
    with pytest.raises(redis.ConnectionError):
        rename(article)


def test_an_invalidation_that_failed_is_sent_before_the_next_hit(article):
    assert titles(number=5) == ["old"]
    away()
    with pytest.raises(redis.ConnectionError):
        rename(article)
    back()

    assert titles(number=5) == ["new"]


def test_all_invalidations_of_a_transaction_are_remembered(article):
    Category.objects.create(pk=1, title="old")
    assert titles(number=5) == ["old"]
    assert Category.objects.filter(title="old").cache().count() == 1
    away()
    with pytest.raises(redis.ConnectionError), transaction.atomic():
        rename(article)
        rename(Category.objects.get(pk=1))
    back()

    assert titles(number=5) == ["new"]
    assert Category.objects.filter(title="old").cache().count() == 0


def test_with_degradation_the_application_goes_on(article):
    assert titles(number=5) == ["old"]
    with degrade:
        away()
        with pytest.warns(RuntimeWarning, match="The cacheops cache is unreachable!"):
            assert titles(number=5) == ["old"]
        with pytest.warns(RuntimeWarning):
            rename(article)
        with pytest.warns(RuntimeWarning):
            assert titles(number=5) == ["new"]
        with pytest.warns(RuntimeWarning):
            assert cached_as(Article)(lambda: 1)() == 1
        back()

        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            assert titles(number=5) == ["new"]


def test_uncached_statements_in_a_transaction_do_not_need_the_server(article):
    away()

    with transaction.atomic():
        assert Article.objects.nocache().count() == 1


@degrade
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_whole_model_is_remembered(article):
    assert titles(number=5) == ["old"]
    away()
    with no_invalidation:
        Article.objects.filter(pk=1).update(title="new")
    invalidate_model(Article)
    back()

    assert titles(number=5) == ["new"]


@degrade
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_everything_is_remembered(article):
    assert titles(number=5) == ["old"]
    away()
    with no_invalidation:
        Article.objects.filter(pk=1).update(title="new")
    invalidate_all()
    back()

    assert titles(number=5) == ["new"]


@degrade
@override_settings(CACHEOPS_MODULE={"OUTBOX_ROWS": 3})
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_past_its_bound_the_outbox_remembers_tables(article):
    from cacheops_redis.outbox import outbox

    assert titles(number=5) == ["old"]
    assert titles(number=77) == []
    away()
    for pk in range(2, 8):
        invalidate_obj(Article(pk=pk, number=pk))
    assert len(outbox) <= 3
    with no_invalidation:
        Article.objects.filter(pk=1).update(title="new")
    back()

    assert titles(number=5) == ["new"]
    assert not outbox


def test_the_outbox_keeps_what_is_remembered_while_it_is_sent():
    from cacheops_redis.outbox import Outbox

    outbox = Outbox()
    outbox.remember([("t", b"id=1"), ("t", b"id=2")])
    waiting, flush = outbox.pending()
    outbox.remember([("t", b"id=1")])
    outbox.forget(waiting, flush)

    assert list(outbox.pending()[0]) == [("t", b"id=1")]


def test_a_new_server_without_the_old_entries_works(article):
    assert titles(number=5) == ["old"]
    SERVER.restart()
    redis_client.connection_pool.disconnect()

    assert titles(number=5) == ["old"]
    rename(article)
    assert titles(number=5) == ["new"]
