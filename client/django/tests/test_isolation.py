"""Isolation levels mean with the cache what they mean without it."""

import pytest
from cacheops import cached_as
from conftest import in_thread
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from shop.models import Article, Category

pytestmark = pytest.mark.django_db(transaction=True)
cures = pytest.mark.cures
postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one level")


@pytest.fixture(autouse=True)
def article():
    return Article.objects.create(pk=1, title="old", number=5)


def titles():
    return [article.title for article in Article.objects.filter(number=5).cache()]


def titles_of_the_database():
    return [article.title for article in Article.objects.filter(number=5).nocache()]


def rename(title="new"):
    article = Article.objects.nocache().get(pk=1)
    article.title = title
    article.save()
    assert titles() == [title]


def begin(level="REPEATABLE READ"):
    if connection.vendor == "postgresql":
        connection.cursor().execute(f"SET TRANSACTION ISOLATION LEVEL {level}")


def take_the_snapshot():
    assert Category.objects.nocache().count() == 0


@cures
def test_an_entry_that_is_newer_than_the_snapshot():
    with transaction.atomic():
        begin()
        take_the_snapshot()
        in_thread(rename)

        assert titles() == titles_of_the_database() == ["old"]

    assert titles() == ["new"]


@cures
def test_a_hit_before_the_snapshot():
    assert titles() == ["old"]
    with transaction.atomic():
        begin()
        first = titles()
        in_thread(rename)

        assert first == titles() == titles_of_the_database()


@cures
def test_a_function_that_is_newer_than_the_snapshot():
    @cached_as(Article.objects.filter(number=5))
    def report():
        return titles_of_the_database()

    with transaction.atomic():
        begin()
        take_the_snapshot()
        in_thread(rename)
        in_thread(report)

        assert report() == ["old"]


def test_an_entry_that_is_as_old_as_the_snapshot_is_a_hit(django_assert_num_queries):
    assert titles() == ["old"]
    with transaction.atomic():
        begin()
        take_the_snapshot()
        with django_assert_num_queries(0):
            assert titles() == ["old"]


@pytest.mark.parametrize("lock", [False, True])
def test_an_entry_of_the_transaction_itself_is_a_hit(django_assert_num_queries, lock):
    queryset = Article.objects.filter(number=5)
    with transaction.atomic():
        begin()
        assert len(queryset.all().cache(lock=lock)) == 1
        with django_assert_num_queries(0):
            assert len(queryset.all().cache(lock=lock)) == 1


@postgresql
def test_at_read_committed_each_entry_is_a_hit(django_assert_num_queries):
    with transaction.atomic():
        take_the_snapshot()
        in_thread(rename)
        with django_assert_num_queries(0):
            assert titles() == ["new"]


@postgresql
@cures
@pytest.mark.parametrize("how", ["statement", "session", "driver"])
def test_at_serializable_the_database_knows_of_each_read(django_assert_num_queries, how):
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    assert titles() == ["old"]
    connection.ensure_connection()
    if how == "session":
        connection.cursor().execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    if how == "driver":
        connection.connection.set_session(isolation_level=IsolationLevel.SERIALIZABLE)
    try:
        with transaction.atomic():
            if how == "statement":
                begin("SERIALIZABLE")
            take_the_snapshot()
            with django_assert_num_queries(2):
                assert titles() == titles() == ["old"]
    finally:
        connection.close()


@postgresql
def test_a_level_of_one_transaction_is_not_that_of_the_next(django_assert_num_queries):
    assert titles() == ["old"]
    with transaction.atomic():
        begin("SERIALIZABLE")
        titles()
    with transaction.atomic(), django_assert_num_queries(0):
        assert titles() == ["old"]


@cures
def test_a_broken_transaction_raises():
    assert titles() == ["old"]
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            titles()


@cures
def test_a_transaction_by_hand_reads_what_it_has_written():
    assert titles() == ["old"]
    connection.set_autocommit(False)
    try:
        Article.objects.filter(pk=1).update(title="new")
        in_thread(lambda: titles() == ["old"])
        assert titles() == ["new"]
        connection.rollback()
        assert titles() == ["old"]
        connection.commit()
    finally:
        connection.set_autocommit(True)


@cures
@pytest.mark.parametrize("block", [False, True])
def test_a_transaction_by_hand_invalidates_when_it_ends(block):
    assert titles() == ["old"]
    connection.set_autocommit(False)
    try:
        if block:
            with transaction.atomic():
                Article.objects.filter(pk=1).update(title="new")
        else:
            Article.objects.filter(pk=1).update(title="new")
        assert in_thread(titles) == ["old"]  # stores it again, if it was invalidated
        connection.commit()
        assert in_thread(titles) == ["new"]
    finally:
        connection.set_autocommit(True)


def test_a_transaction_by_hand_that_is_rolled_back_sends_nothing():
    from test_keys import commands

    def work():
        connection.set_autocommit(False)
        try:
            Article.objects.filter(pk=1).update(title="new")
            connection.rollback()
        finally:
            connection.set_autocommit(True)

    assert commands(work) == []
