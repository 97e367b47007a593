"""Transactions: which token a fill shows, and that no commit loses an invalidation."""

import threading

import pytest
from cacheops import cached_as, getset, no_invalidation
from cacheops.redis import redis_client
from cacheops.transaction import queue_when_in_transaction, transaction_states
from conftest import in_thread
from django.db import OperationalError, connection, transaction
from shop.models import Article, Category
from test_keys import commands

pytestmark = pytest.mark.django_db(transaction=True)


def titles():
    return [article.title for article in Article.objects.filter(number=5).cache()]


@pytest.fixture
def article():
    return Article.objects.create(pk=1, title="old", number=5)


def names(action):
    return [text.split()[0].removeprefix("CACHEOPS.") for text in commands(action)]


def test_a_transaction_that_only_reads_takes_one_token():
    def work():
        with transaction.atomic():
            for _ in range(3):
                Category.objects.nocache().count()
            titles()

    assert names(work) == ["TOKEN", "GET", "STORE"]


def test_a_miss_gives_the_token_of_the_transaction():
    def work():
        with transaction.atomic():
            titles()
            Category.objects.nocache().count()

    # In SQLite's snapshots the first read is none of the cache's.
    assert names(work) == ["TOKEN" if connection.vendor == "sqlite" else "GET", "STORE"]


def test_a_transaction_that_writes_first_takes_none():
    def work():
        with transaction.atomic():
            Article.objects.create(number=7)

    assert names(work) == ["INVALIDATE"]


def test_a_savepoint_that_is_rolled_back_does_not_lead_to_a_fill(article):
    with transaction.atomic():
        with pytest.raises(ValueError), transaction.atomic():
            Article.objects.filter(pk=1).update(title="never")
            raise ValueError
        assert titles() == ["old"]

    assert redis_client.keys() == []


def test_a_hit_in_a_transaction(article, django_assert_num_queries):
    titles()
    with transaction.atomic():
        Category.objects.nocache().count()
        with django_assert_num_queries(0):
            assert titles() == ["old"]


def test_own_writes_are_seen_and_not_cached(article):
    with transaction.atomic():
        article.title = "new"
        article.save()
        assert titles() == ["new"]
        assert in_thread(titles) == ["old"]
    assert titles() == ["new"]


def test_transactions_by_hand_do_not_fill(article):
    connection.set_autocommit(False)
    try:
        assert titles() == ["old"]
        connection.rollback()
    finally:
        connection.set_autocommit(True)

    assert redis_client.keys() == []


def test_one_failing_callback_does_not_stop_the_others(article):
    titles()

    @queue_when_in_transaction
    def fail(using):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        fail("default")
        article.title = "new"
        article.save()

    assert titles() == ["new"]


def test_a_commit_of_which_nobody_knows_invalidates(article, monkeypatch):
    titles()
    commit = connection.commit

    def lost():
        commit()
        raise OperationalError("the connection was lost")

    with pytest.raises(OperationalError), monkeypatch.context() as patch:
        patch.setattr(connection, "commit", lost)
        with transaction.atomic():
            article.title = "new"
            article.save()

    assert not transaction_states["default"]
    assert titles() == ["new"]


def test_no_invalidation(article):
    titles()
    with no_invalidation:
        article.title = "new"
        article.save()
    with no_invalidation, transaction.atomic():
        article.delete()

    assert titles() == ["old"]


# Locks


def together(count, function):
    """Runs in so many threads at once, and answers all results."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(in_thread(function))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_one_works_and_the_others_wait():
    calls = []
    waiting = threading.Barrier(8)

    @cached_as(Article, lock=True)
    def work():
        calls.append(1)
        return "done"

    def ask():
        waiting.wait(20)
        return work()

    assert together(8, ask) == ["done"] * 8
    assert len(calls) == 1


def test_a_lock_is_given_up_when_the_work_fails():
    calls = []

    @cached_as(Article, lock=True)
    def work():
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return "done"

    with pytest.raises(ZeroDivisionError):
        work()

    assert work() == "done"
    assert work() == "done"
    assert len(calls) == 2


def test_a_lock_whose_result_is_refused_is_given_up(article):
    calls = []

    @cached_as(Article, lock=True)
    def work():
        calls.append(1)
        if len(calls) == 1:
            in_thread(lambda: Article.objects.create(number=5))
        return len(calls)

    assert work() == 1
    assert work() == 2
    assert work() == 2


def test_who_waited_too_long_works_without_the_lock(monkeypatch):
    monkeypatch.setattr(getset, "LOCK_TIMEOUT", 0.2)
    key = Article.objects.filter(number=5).cache()._cache_key()
    redis_client.execute_command("CACHEOPS.GET", key, "TOKEN", "LOCK", 60000)

    assert list(Article.objects.filter(number=5).cache(lock=True)) == []


def test_a_wait_ends_before_the_client_gives_up():
    from cacheops_redis import fills

    assert fills._longest_wait() == 1.5  # socket_timeout is 3
