"""Which statements may have written. What is not known to be a read counts as a write."""

import pytest
from cacheops.redis import redis_client
from cacheops.transaction import transaction_states
from conftest import in_thread
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, Lower, Substr, TruncMonth
from shop.models import Article, Category, Special, Tag

from cacheops_redis import statements
from cacheops_redis.statements import NOTHING, READ, WRITE

pytestmark = pytest.mark.django_db(transaction=True)
postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="a function of the database's")


def kind(sql, vendor=None):
    return statements.kind(sql, vendor or connection.vendor, None)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select count(*) from shop_article",
        "SELECT a.title, b.id FROM shop_article a JOIN shop_category AS b ON a.category_id = b.id WHERE a.id IN (%s)",
        'SELECT "shop_article"."id", LOWER("shop_article"."title") AS "low" FROM "shop_article" ORDER BY "low" DESC;',
        "SELECT `shop_article`.`id` FROM `shop_article` LIMIT 5",
        "WITH x AS (SELECT id FROM shop_article) SELECT max(id) FROM x",
        "SELECT 'insert into t; bump()' FROM shop_article -- delete",
        "SELECT replace(title, 'a', 'b') FROM shop_article /* update */",
        "SELECT CAST(title AS varchar(100)), number * -1.5e3 FROM shop_article WHERE title LIKE 'a%%'",
        "(SELECT id FROM shop_article) UNION ALL (SELECT id FROM shop_tag)",
        b"SELECT id FROM shop_article",
    ],
)
@pytest.mark.parametrize("vendor", ["sqlite", "postgresql", "mysql"])
def test_reads(sql, vendor):
    if vendor == "mysql" and '"' in str(sql):
        return  # texts, there
    assert kind(sql, vendor) == READ


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT bump()",
        "SELECT id FROM shop_article WHERE id = bump()",
        "SELECT id FROM shop_article ORDER BY public.bump(id)",
        'SELECT "bump"(1)',
        "SELECT lower(bump(title)) FROM shop_article",
        "SELECT a.bump FROM shop_article a",  # a function of the row, in PostgreSQL
        "SELECT * FROM a_view_that_calls_bump",
        "SELECT id FROM shop_article JOIN LATERAL bump(id) AS x ON true",
        "SELECT nextval('s')",
        "SELECT set_config('a', 'b', true)",
        "SELECT id INTO copied FROM shop_article",
        "SELECT id FROM shop_article FOR UPDATE",
        "WITH x AS (DELETE FROM shop_article RETURNING id) SELECT id FROM x",
        "WITH x AS (SELECT 1) UPDATE shop_article SET title = 'a'",
        "WITH x AS (SELECT 1) UPDATE ONLY shop_article SET title = 'a'",
        "WITH x AS (SELECT 1) DELETE FROM shop_article",
        "WITH x AS (SELECT 1) INSERT INTO shop_article SELECT id FROM shop_tag",
        "SELECT 1; DELETE FROM shop_article",
        "INSERT INTO shop_article (id) VALUES (1)",
        "  update shop_article set id = 1",
        "REPLACE INTO shop_article (id) VALUES (1)",
        "MERGE INTO shop_article USING x ON true WHEN MATCHED THEN DELETE",
        "CALL bump()",
        "DO $$ BEGIN DELETE FROM shop_article; END $$",
        "COPY shop_article FROM STDIN",
        "EXECUTE prepared",
        "EXPLAIN ANALYZE DELETE FROM shop_article",
        "SELECT id FROM shop_article /*! , bump() */",
        "SELECT 1--bump()",
        "SELECT 1bump(id) FROM shop_article",
        "SELECT [id's], bump(), [id's] FROM shop_article",
        "SELECT 1 --it's\n, bump() --'",
        "SELECT 1 /*/**/'*/, bump() --'",
        "SELECT 1 # it's\n, bump() -- '",
        "SELECT 1 -- it's\r, bump() --'",
        "SELECT E'\\' || bump() || E'\\'",
        "SELECT '\\' || bump() || '\\'",
        "VACUUM",
        "",
        None,
        42,
    ],
)
@pytest.mark.parametrize("vendor", ["sqlite", "postgresql", "mysql"])
def test_what_is_not_known_to_be_a_read(sql, vendor):
    if sql == "SELECT '\\' || bump() || '\\'" and vendor == "mysql":
        return  # one text, there
    if sql == "SELECT E'\\' || bump() || E'\\'" and vendor == "postgresql":
        return
    assert kind(sql, vendor) == WRITE


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "SAVEPOINT s1",
        "RELEASE SAVEPOINT s1",
        "ROLLBACK TO SAVEPOINT s1",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    ],
)
def test_statements_that_see_no_data(sql):
    assert kind(sql) == NOTHING
    assert kind("SET x = bump()") == WRITE


def test_queries_of_the_orm_are_reads():
    inner = Article.objects.filter(category=OuterRef("pk"))
    queries = [
        Article.objects.filter(Q(title__icontains="a%_") | ~Q(tags__name__startswith="b"), day__year=2026),
        Article.objects.annotate(month=TruncMonth("published")).values("month").annotate(n=Count("pk"), s=Sum("price")),
        Article.objects.annotate(low=Lower(Substr("title", 1, 2)), c=Coalesce("number", 0)).order_by("low", "-c")[3:7],
        Article.objects.filter(title__contains=F("text")).exclude(pk__in=[1, 2]).distinct(),
        Article.objects.filter(number__in=range(50)).select_related("category").prefetch_related("tags"),
        Category.objects.annotate(n=Subquery(inner.order_by("-pk").values("number")[:1]), e=Exists(inner)),
        Category.objects.filter(articles__tags__articles__category__title="x"),
        Article.objects.filter(number=1).union(Article.objects.filter(number=2), all=True),
        Special.objects.filter(title="a").order_by("published"),
        Article.objects.filter(text__regex="a+", lasts__gt=F("lasts")),
    ]
    statements_seen = []

    def note(execute, sql, params, many, context):
        statements_seen.append((kind(sql), sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        for queryset in queries:
            list(queryset.nocache())
        queries[1].nocache().count()
        Article.objects.nocache().aggregate(Sum("number"), Count("tags", distinct=True))
        Article.objects.nocache().filter(tags__name="x").exists()

    assert [sql for found, sql in statements_seen if found == WRITE] == []


# In a transaction


def titles():
    return [article.title for article in Article.objects.filter(number=5).cache()]


@pytest.fixture
def bump(transactional_db):
    """A function that writes, known by no name."""
    Article.objects.create(pk=1, title="old", number=5)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION bump() RETURNS int LANGUAGE sql AS "
            "$$ UPDATE shop_article SET title = 'never'; SELECT 1 $$"
        )
        cursor.execute(
            "CREATE OR REPLACE PROCEDURE bump_it() LANGUAGE sql AS $$ UPDATE shop_article SET title = 'never' $$"
        )
        cursor.execute("CREATE OR REPLACE VIEW bumping AS SELECT bump() AS b")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW bumping")
        cursor.execute("DROP FUNCTION bump()")
        cursor.execute("DROP PROCEDURE bump_it()")


def copy(cursor):
    import io

    row = "9\tcopied\t5\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t00000000-0000-0000-0000-000000000007\tt\tx\t\\N\n"
    columns = "id,title,number,price,weight,published,day,at,lasts,code,visible,text,category_id"
    cursor.copy_expert(f"COPY shop_article ({columns}) FROM STDIN", io.StringIO(row))


@postgresql
@pytest.mark.cures
@pytest.mark.parametrize(
    "write",
    [
        lambda cursor: cursor.execute("SELECT bump()"),
        lambda cursor: cursor.execute(b"SELECT bump()"),
        lambda cursor: cursor.execute("SELECT id FROM shop_article WHERE id = bump()"),
        lambda cursor: cursor.execute("SELECT * FROM bumping"),
        lambda cursor: cursor.execute("CALL bump_it()"),
        lambda cursor: cursor.execute("DO $$ BEGIN PERFORM bump(); END $$"),
        copy,
        lambda cursor: list(Article.objects.raw("SELECT id, bump() FROM shop_article")),
        lambda cursor: list(Article.objects.extra(select={"b": "bump()"}).nocache()),
    ],
)
def test_uncommitted_rows_are_not_stored(bump, write):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        with connection.cursor() as cursor:
            write(cursor)
        assert "never" in titles() or "copied" in titles()
        raise ZeroDivisionError

    assert in_thread(titles) == ["old"]


@pytest.mark.cures
@pytest.mark.skipif(connection.vendor != "sqlite", reason="REPLACE is of SQLite and MySQL")
def test_uncommitted_rows_of_a_replace_are_not_stored():
    Article.objects.create(pk=1, title="old", number=5)
    rest = "price, weight, published, day, at, lasts, code, visible, text, category_id"
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                f"REPLACE INTO shop_article (id, title, number, {rest}) "
                f"SELECT id, 'never', number, {rest} FROM shop_article"
            )
        assert titles() == ["never"]
        raise ZeroDivisionError

    assert in_thread(titles) == ["old"]


def test_a_raw_read_leaves_the_transaction_clean(django_assert_num_queries):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM shop_article")
        assert not transaction_states["default"].is_dirty()
        assert titles() == []
        with django_assert_num_queries(0):
            assert titles() == []


def test_functions_that_the_settings_name_are_reads(settings):
    assert kind("SELECT distance(1, 2)") == WRITE
    settings.CACHEOPS_MODULE = {"READ_FUNCTIONS": ["distance"]}
    assert kind("SELECT distance(1, 2)") == READ


@postgresql
@pytest.mark.cures
def test_sql_objects_of_psycopg():
    from django.db.backends.postgresql.psycopg_any import sql

    Article.objects.create(pk=1, title="old", number=5)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(sql.Identifier("id"), sql.Identifier("shop_article")))
        assert cursor.fetchall() == [(1,)]
        assert not transaction_states["default"].is_dirty()
        cursor.execute(sql.SQL("UPDATE {} SET title = 'new'").format(sql.Identifier("shop_article")))
        assert transaction_states["default"].is_dirty()


def test_an_object_that_is_no_text_at_all():
    class Strange:
        def as_string(self, context):
            raise ZeroDivisionError

    with transaction.atomic(), connection.cursor() as cursor:
        with pytest.raises(Exception, match=r"."):
            cursor.execute(Strange())
        connection.needs_rollback = False
        assert transaction_states["default"].is_dirty()
        transaction.set_rollback(True)


def test_other_methods_of_a_cursor_count_as_writes():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone()[0] == 1
        assert cursor.description and cursor.rowcount is not None
        assert not transaction_states["default"].is_dirty()
        assert cursor.callproc if connection.vendor == "postgresql" else cursor.executescript
        if connection.vendor == "sqlite":
            assert transaction_states["default"].is_dirty()


def test_a_failing_statement_leaves_no_clean_transaction():
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), connection.execute_wrapper(run_and_fail), connection.cursor() as cursor:
            cursor.execute("UPDATE shop_article SET number = 6")
        assert transaction_states["default"].is_dirty()


def run_and_fail(execute, sql, params, many, context):
    execute(sql, params, many, context)
    raise ZeroDivisionError


def test_a_transaction_that_only_saves_keeps_its_token():
    with transaction.atomic():
        with transaction.atomic():
            pass
        assert titles() == []
    assert len(redis_client.keys()) == 1
    assert Tag.objects.nocache().count() == 0
