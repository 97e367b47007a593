"""Every write of the ORM invalidates, whether Django sends a signal for it or not, and whatever goes wrong after it."""

import django
import pytest
from cacheops import invalidate_obj
from cacheops.redis import redis_client
from cacheops.signals import cache_invalidated
from conftest import in_thread
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F, signals
from django.test import override_settings
from shop.models import Article, Category, Special, Tag
from stock.models import Book, Kept, Listed, Loud, Person, Player, Shelf, Team, Unlisted, default_shelf
from test_keys import commands

pytestmark = pytest.mark.django_db(transaction=True)
cures = pytest.mark.cures
without_updates = override_settings(CACHEOPS_MODULE={"SEE_UPDATES": False})


def names(queryset):
    return [found.name for found in queryset.order_by("pk").cache()]


def titles(**filters):
    return [article.title for article in Article.objects.filter(**filters).order_by("pk").cache()]


@pytest.fixture
def article():
    return Article.objects.create(pk=1, title="old", number=5)


# Many-to-many


@cures
@pytest.mark.parametrize("change", ["remove", "clear", "set"])
def test_both_sides_of_a_symmetrical_relation_change(change):
    a, b = Person.objects.create(name="a"), Person.objects.create(name="b")
    a.friends.add(b)
    assert names(a.friends.all()) == ["b"]
    assert names(b.friends.all()) == ["a"]

    {"remove": lambda: a.friends.remove(b), "clear": a.friends.clear, "set": lambda: a.friends.set([])}[change]()

    assert names(a.friends.all()) == []
    assert names(b.friends.all()) == []


def test_adding_to_a_symmetrical_relation_changes_both_sides():
    a, b = Person.objects.create(name="a"), Person.objects.create(name="b")
    assert names(b.friends.all()) == []

    a.friends.add(b)

    assert names(b.friends.all()) == ["a"]


@cures
@pytest.mark.parametrize("write", ["update", "delete", "raw delete"])
def test_an_automatic_through_model_that_is_written_directly(article, write):
    tags = [Tag.objects.create(name=name) for name in "ab"]
    article.tags.add(tags[0])
    through = Article.tags.through
    assert names(article.tags.all()) == ["a"]

    if write == "update":
        through.objects.update(tag=tags[1])
    elif write == "delete":
        through.objects.all().delete()
    else:
        through.objects.all()._raw_delete("default")

    assert names(article.tags.all()) == (["b"] if write == "update" else [])


def test_a_many_to_many_change_leaves_other_rows_cached(article, django_assert_num_queries):
    other = Article.objects.create(pk=2, title="other")
    tag = Tag.objects.create(name="a")
    other.tags.add(tag)
    assert names(other.tags.all()) == ["a"]

    article.tags.add(tag)
    article.tags.remove(tag)

    with django_assert_num_queries(0):
        assert names(other.tags.all()) == ["a"]


# UPDATE


@cures
@pytest.mark.parametrize("change", ["add", "set", "clear", "remove"])
def test_a_related_manager_of_a_foreign_key(change):
    team = Team.objects.create(name="t")
    inside = Player.objects.create(name="inside", team=team)
    outside = Player.objects.create(name="outside")
    assert len(Player.objects.filter(team=team).cache()) == 1

    {
        "add": lambda: team.players.add(outside),
        "set": lambda: team.players.set([outside]),
        "clear": team.players.clear,
        "remove": lambda: team.players.remove(inside),
    }[change]()

    found = Player.objects.filter(team=team)
    assert sorted(p.name for p in found.all().cache()) == sorted(p.name for p in found.all().nocache())


@cures
def test_an_order_with_respect_to():
    team = Team.objects.create(name="t")
    players = [Player.objects.create(name=name, team=team) for name in "ab"]
    assert [p.name for p in Player.objects.filter(team=team).cache()] == ["a", "b"]

    team.set_player_order([players[1].pk, players[0].pk])

    assert [p.name for p in Player.objects.filter(team=team).cache()] == ["b", "a"]


@cures
def test_updates_are_seen_by_default(article):
    assert titles(number=6) == []

    Article.objects.filter(number=5).update(number=6)

    assert titles(number=6) == ["old"]


@cures
def test_an_update_of_a_child_and_its_parent_table():
    special = Special.objects.create(title="old", number=5, discount=0)
    assert titles(title="new") == []
    assert Special.objects.filter(discount=1).cache().count() == 0

    Special.objects.filter(pk=special.pk).update(title="new", discount=1)

    assert titles(title="new") == ["new"]
    assert Special.objects.filter(discount=1).cache().count() == 1


@without_updates
def test_an_update_is_not_sent_where_the_setting_says_so(article):
    assert titles(number=6) == []

    assert commands(lambda: Article.objects.filter(number=5).update(number=6)) == []


@without_updates
def test_the_setting_does_not_hide_saves_deletions_and_relations(article):
    category, tag = Category.objects.create(title="c"), Tag.objects.create(name="t")
    assert titles(number=5) == ["old"]
    article.title, article.category = "new", category
    article.save()
    assert titles(number=5) == ["new"]

    assert titles(category__isnull=True) == []
    category.delete()
    assert titles(category__isnull=True) == ["new"]

    assert names(article.tags.all()) == []
    article.tags.add(tag)
    assert names(article.tags.all()) == ["t"]

    article.refresh_from_db()
    article.delete()
    assert titles(number=5) == []


def test_an_update_that_changes_no_row_sends_nothing(article):
    assert commands(lambda: Article.objects.filter(number=77).update(number=6)) == []
    assert commands(lambda: Article.objects.filter(number=77).delete()) == []


def test_a_long_list_of_keys_leaves_other_rows_cached(django_assert_num_queries):
    articles = Article.objects.bulk_create([Article(pk=pk, number=1) for pk in range(1, 301)])
    Article.objects.cache().get(pk=300)

    for article in articles:
        article.number = 2
    Article.objects.bulk_update(articles[:250], ["number"])
    Article.objects.filter(pk__in=range(1, 250)).delete()

    with django_assert_num_queries(0):
        Article.objects.cache().get(pk=300)


@cures
def test_a_model_without_a_profile_that_a_query_joins():
    unlisted = Unlisted.objects.create(name="a")
    Listed.objects.create(title="x", unlisted=unlisted)
    queryset = Listed.objects.filter(unlisted__name="b")
    assert queryset.cache().count() == 0

    unlisted.name = "b"
    unlisted.save()

    assert queryset.cache().count() == 1


@cures
def test_a_historical_model_of_a_migration(article):
    from django.db.migrations.state import ProjectState

    historical = ProjectState.from_apps(Article._meta.apps).apps.get_model("shop", "Article")
    assert titles(number=5) == ["old"]

    historical.objects.filter(pk=1).update(title="new")

    assert titles(number=5) == ["new"]


@cures
def test_flush_empties_the_tables(article):
    assert titles(number=5) == ["old"]

    call_command("flush", interactive=False, verbosity=0)

    assert titles(number=5) == []


# Raw SQL


@cures
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE shop_article SET title = 'new'",
        'update "shop_article" set title = %s',
        "  WITH x AS (SELECT 1) UPDATE shop_article SET title = 'new'",
        b"UPDATE shop_article SET title = 'new'",
    ],
)
def test_raw_sql_concerns_the_tables_that_it_names(article, sql):
    if isinstance(sql, bytes) and connection.vendor == "sqlite":
        pytest.skip("its statements are texts")
    assert titles(number=5) == ["old"]
    with connection.cursor() as cursor:
        cursor.execute(sql, ["new"] if "%s" in str(sql) else None)
    assert titles(number=5) == ["new"]


def test_raw_sql_leaves_other_tables_cached(article, django_assert_num_queries):
    assert titles(number=5) == ["old"]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM shop_tag")
        cursor.executemany("INSERT INTO shop_tag (name) VALUES (%s)", [("shop_article",)])
        cursor.execute("SELECT count(*) FROM shop_article")
    with django_assert_num_queries(0):
        assert titles(number=5) == ["old"]


@cures
def test_raw_sql_in_a_transaction_invalidates_with_its_commit(article):
    assert titles(number=5) == ["old"]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany("UPDATE shop_article SET title = %s", [("new",)])
        assert in_thread(lambda: titles(number=5)) == ["old"]
    assert titles(number=5) == ["new"]


def test_raw_sql_does_not_need_the_server(article, monkeypatch):
    import redis

    from cacheops_redis import server

    def away(*command):
        raise redis.ConnectionError("away")

    assert titles(number=5) == ["old"]
    with monkeypatch.context() as patch, connection.cursor() as cursor:
        patch.setattr(server, "execute", away)
        cursor.execute("UPDATE shop_article SET title = 'new'")

    assert titles(number=5) == ["new"]


# Saves


def test_a_save_sends_the_old_and_the_new_row(article):
    article.number = 6

    (command,) = commands(article.save)

    rows = command.removeprefix("CACHEOPS.INVALIDATE ON shop_article ").split("|")
    assert ["&number=5&" in rows[0], "&number=6&" in rows[1], len(rows)] == [True, True, 2]


def test_a_save_keeps_unrelated_results(article, django_assert_num_queries):
    assert titles(number=7) == []
    Special.objects.create(pk=2, title="special", number=8)
    special = Special.objects.get(pk=2)
    assert titles(number=7) == []

    article.number = 6
    article.save()
    special.title = "new"
    special.save()

    with django_assert_num_queries(0):
        assert titles(number=7) == []


def test_the_old_row_is_not_made_into_an_instance():
    """Model.from_db, __init__ and post_init are code of the application that Django's save() does not run."""
    loud = Loud.objects.create(title="a")
    Loud.made = 0

    loud.title = "b"
    loud.save()

    assert Loud.made == 0


@cures
def test_a_write_of_the_same_row_in_pre_save(article):
    """The row that save() replaces is the one that a handler has written, not the one before it."""

    def write_first(sender, instance, **kwargs):
        Article.objects.filter(pk=1).update(number=6)
        assert titles(number=6) == ["old"]

    signals.pre_save.connect(write_first, sender=Article)
    try:
        article.number = 7
        article.save()
    finally:
        signals.pre_save.disconnect(write_first, sender=Article)

    assert titles(number=6) == []


def test_a_post_save_handler_reads_the_new_row(article):
    seen = []

    def read(sender, **kwargs):
        seen.append(titles(number=5))

    assert titles(number=5) == ["old"]
    signals.post_save.connect(read, sender=Article)
    try:
        article.title = "new"
        article.save()
    finally:
        signals.post_save.disconnect(read, sender=Article)

    assert seen == [["new"]]


# Deletions


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django 4.2 computes it itself")
def test_a_default_that_no_row_needs_is_not_computed():
    shelf = Shelf.objects.create(name="empty")
    default_shelf.calls = 0

    shelf.delete()

    assert default_shelf.calls == 0
    assert Shelf.objects.nocache().count() == 0


@cures
def test_rows_that_a_deletion_sets_to_their_default():
    shelf = Shelf.objects.create(name="s")
    Book.objects.create(title="b", shelf=shelf)
    default = default_shelf()
    assert Book.objects.filter(shelf=default).cache().count() == 0
    assert Book.objects.filter(shelf=shelf).cache().count() == 1

    with without_updates:
        shelf.delete()

    assert Book.objects.filter(shelf=default).cache().count() == 1


@cures
def test_an_instance_whose_row_has_changed_since_it_was_read(article):
    Article.objects.filter(pk=1).update(number=6)
    redis_client.flushdb()
    assert titles(number=6) == ["old"]
    assert article.number == 5

    article.delete()

    assert titles(number=6) == []


def test_a_deletion_keeps_unrelated_results(article, django_assert_num_queries):
    assert titles(number=7) == []
    Special.objects.create(pk=2, title="special", number=8)
    assert titles(number=7) == []

    article.delete()
    Special.objects.nocache().get(pk=2).delete()
    Article.objects.filter(number=5).delete()

    with django_assert_num_queries(0):
        assert titles(number=7) == []


# What goes wrong after a write


class Weird:
    def __reduce__(self):
        raise TypeError("cannot be pickled")


def kept(pk):
    return Kept.objects.cache().get(pk=pk).title


@cures
def test_an_instance_that_cannot_be_pickled():
    instance = Kept.objects.create(title="old")
    assert kept(instance.pk) == "old"

    instance.title, instance.weird = "new", Weird()
    instance.save()

    assert kept(instance.pk) == "new"


@cures
def test_a_serializer_that_fails(monkeypatch):
    from cacheops.conf import settings

    instance = Kept.objects.create(title="old")
    assert kept(instance.pk) == "old"

    class Failing:
        loads = staticmethod(settings.CACHEOPS_SERIALIZER.loads)

        @staticmethod
        def dumps(data):
            raise ValueError("no")

    instance.title = "new"
    with override_settings(CACHEOPS_SERIALIZER=Failing):
        instance.save()

    assert kept(instance.pk) == "new"


@cures
def test_a_receiver_that_fails_does_not_keep_the_second_row_from_going_out(article):
    def fail(sender, **kwargs):
        raise ZeroDivisionError

    assert titles(number=6) == []
    cache_invalidated.connect(fail)
    try:
        article.number = 6
        with pytest.raises(ZeroDivisionError):
            article.save()
    finally:
        cache_invalidated.disconnect(fail)

    assert titles(number=6) == ["old"]


@cures
@pytest.mark.parametrize("where", ["update", "save", "create"])
def test_a_statement_that_was_run_and_then_failed(article, where):
    """An instrumentation of the application's that raises once the database has done it."""
    assert titles(number=6) == []

    def run_and_fail(execute, sql, params, many, context):
        execute(sql, params, many, context)
        if not sql.startswith("SELECT"):
            raise ZeroDivisionError

    article.number = 6
    with pytest.raises(ZeroDivisionError), connection.execute_wrapper(run_and_fail):
        if where == "update":
            Article.objects.filter(number=5).update(number=6)
        elif where == "save":
            article.save()
        else:
            Article.objects.create(pk=2, number=6)

    assert len(titles(number=6)) == Article.objects.filter(number=6).nocache().count() == 1


@cures
def test_a_value_that_its_field_cannot_prepare(article):
    assert titles(number=5) == ["old"]
    in_thread(lambda: Article.objects.filter(pk=1)._raw_delete("default"))

    article.day = "no date"
    invalidate_obj(article)

    assert titles(number=5) == []


@cures
def test_an_atomic_block_that_could_not_begin(article, monkeypatch):
    """It leaves nothing behind in which later invalidations would wait for a commit that never comes."""
    from django.db import OperationalError

    assert titles(number=5) == ["old"]

    def fail(*args, **kwargs):
        raise OperationalError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "set_autocommit", fail)
        with pytest.raises(OperationalError), transaction.atomic():
            pass

    article.title = "new"
    article.save()
    assert in_thread(lambda: titles(number=5)) == ["new"]


def test_a_commit_that_is_interrupted(article, monkeypatch):
    from cacheops.transaction import transaction_states

    assert titles(number=5) == ["old"]
    commit = connection.commit

    def interrupted():
        commit()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr(connection, "commit", interrupted)
        with transaction.atomic():
            article.title = "new"
            article.save()

    assert not transaction_states["default"]
    assert in_thread(lambda: titles(number=5)) == ["new"]


@cures
def test_a_callback_that_fails_after_the_commit(article):
    from django.db import DatabaseError

    def fail():
        raise DatabaseError("of the callback")

    assert titles(number=5) == ["old"]
    with pytest.raises(DatabaseError, match="of the callback"), transaction.atomic():
        transaction.on_commit(fail)
        article.title = "new"
        article.save()

    article.title = "newer"
    article.save()
    assert in_thread(lambda: titles(number=5)) == ["newer"]


# cache_on_save


def test_cache_on_save_sends_no_script():
    instance = Kept.objects.create(title="a")
    sent = []

    def work():
        instance.title = "b"
        instance.save()

    sent = commands(work)

    assert [text.split()[0] for text in sent] == ["CACHEOPS.INVALIDATE", "CACHEOPS.GET", "CACHEOPS.STORE"]


def test_cache_on_save_stores_what_the_database_holds(django_assert_num_queries):
    instance = Kept(title="a", number="5")
    instance.extra = "of this instance only"
    instance.save()
    instance.number = F("number") + 1
    instance.save()

    with django_assert_num_queries(0):
        found = Kept.objects.get(pk=instance.pk)
    assert found.number == 6
    assert not hasattr(found, "extra")
