"""Two queries share an entry only if they are one; two calls, only if nobody could tell their results apart."""

import datetime
from decimal import Decimal

import django
import pytest
from cacheops import cached, cached_as
from cacheops.redis import redis_client
from cacheops.signals import cache_read
from django.db.models import Avg, CharField, Count, F, Func, IntegerField, Max, OuterRef, Prefetch, Subquery, Value
from django.db.models.functions import Cast, TruncDate, TruncMonth
from django.test import override_settings
from django.utils.safestring import SafeString
from gallery.models import Painting, Player, Team
from shop.models import Article, Category, Local

from cacheops_redis.encode import NoKey, encode

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hits():
    """How often the cache had the answer."""
    heard = []

    def hear(signal=None, sender=None, **kwargs):
        heard.append(kwargs["hit"])

    cache_read.connect(hear)
    yield lambda: heard.count(True)
    cache_read.disconnect(hear)


def both(first, second):
    """Reads the two through the cache, the second with the entry of the first there, and compares with the database."""
    first(True)
    assert second(True) == second(False)
    assert first(True) == first(False)


def rows(queryset):
    return lambda is_cached: list(queryset._clone().cache() if is_cached else queryset._clone().nocache())


def aggregated(queryset, *args, **kwargs):
    return lambda is_cached: (queryset._clone().cache() if is_cached else queryset._clone().nocache()).aggregate(
        *args, **kwargs
    )


# Parameters


def test_a_list_is_not_the_text_of_its_values():
    Article.objects.create(title="a")

    both(
        rows(Article.objects.filter(title__in=["a", "b"])),
        rows(Article.objects.filter(title__in=["a', 'b"])),
    )
    both(
        rows(Article.objects.filter(title__in=["a", "c"])),
        rows(Article.objects.filter(title__in=["a, c"])),
    )


def test_a_value_cannot_be_the_condition_of_another_query():
    Article.objects.create(title="mine", text="secret")
    visible = Article.objects.filter(visible=True)

    both(
        rows(visible.filter(title="mine").filter(text="secret")),
        rows(visible.filter(title='mine AND "shop_article"."text" = secret')),
    )
    both(
        rows(visible.filter(title='mine AND "shop_article"."text" = other')),
        rows(visible.filter(title="mine").filter(text="other")),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Value(1), Value("1", output_field=CharField())),
        (Value("1", output_field=CharField()), Value(1)),
        (Value(Decimal("1.5")), Value(1.5)),
        (Value(True), Value(1)),
        (Value(datetime.date(2026, 1, 1)), Value("2026-01-01")),
    ],
)
def test_the_type_of_a_value_counts(one, other):
    Category.objects.create(title="a")

    def types(expression):
        queryset = Category.objects.annotate(value=expression).values_list("value", flat=True)
        return lambda cached: [(type(found), found) for found in rows(queryset)(cached)]

    both(types(one), types(other))


def test_values_of_a_database_driver_have_keys(hits):
    Painting.objects.create(title="a", about={"year": 1}, image=b"x")

    for filters in ({"about": {"year": 1}}, {"about__year": 1}, {"about": {"year": "1"}}, {"about__year": "1"}):
        both(rows(Painting.objects.filter(**filters)), rows(Painting.objects.filter(**filters)))
    assert hits() == 8

    both(rows(Painting.objects.filter(image=b"x")), rows(Painting.objects.filter(image=b"y")))


# Columns


def test_the_order_of_columns_counts():
    Article.objects.create(title="a", number=5)

    both(rows(Article.objects.values_list("title", "number")), rows(Article.objects.values_list("number", "title")))
    annotated = Article.objects.annotate(more=F("number") + 1)
    both(rows(annotated.values_list("title", "more")), rows(annotated.values_list("more", "title")))
    both(rows(annotated.values("title", "more")), rows(annotated.values("title")))


def test_what_converts_a_column_counts():
    Article.objects.create(title="5", number=5)

    class Doubled(IntegerField):
        def from_db_value(self, value, expression, connection):
            return value * 2

    class Tripled(Func):
        template = "%(expressions)s"

        def __init__(self, *args, times=3, **kwargs):
            super().__init__(*args, **kwargs)
            self.times = times

        @property
        def convert_value(self):
            return lambda value, expression, connection: value * self.times

    def numbers(expression):
        return rows(Article.objects.annotate(n=expression).values_list("n", flat=True))

    both(
        numbers(Func(F("number"), template="%(expressions)s", output_field=IntegerField())),
        numbers(Func(F("number"), template="%(expressions)s", output_field=Doubled())),
    )
    both(
        numbers(Tripled(F("number"), output_field=IntegerField())),
        numbers(Tripled(F("number"), times=4, output_field=IntegerField())),
    )


def test_names_of_columns_count():
    Article.objects.create(title="a", number=5)

    both(
        rows(Article.objects.annotate(one=Value(1)).values("one")),
        rows(Article.objects.annotate(two=Value(1)).values("two")),
    )
    both(
        aggregated(Article.objects.all(), Max("number"), one=Max("number")),
        aggregated(Article.objects.all(), one=Max("number"), two=Max("number")),
    )


def test_deferred_and_related_columns_count():
    Article.objects.create(title="a", category=Category.objects.create(title="c"))

    def deferred(queryset):
        return lambda cached: [article.get_deferred_fields() for article in rows(queryset)(cached)]

    both(deferred(Article.objects.only("title")), deferred(Article.objects.only("number")))
    both(deferred(Article.objects.all()), deferred(Article.objects.defer("text")))

    def loaded(queryset):
        return lambda cached: [set(article._state.fields_cache) for article in rows(queryset)(cached)]

    both(loaded(Article.objects.all()), loaded(Article.objects.select_related("category")))


# Aggregates


def test_aggregates_that_differ_in_an_argument_only():
    Article.objects.create(title="1", number=5, published=datetime.datetime(2026, 5, 5, tzinfo=datetime.timezone.utc))
    Article.objects.create(title="10", number=10)
    everything = Article.objects.all()

    both(
        aggregated(everything, x=Max(Cast("title", IntegerField()))),
        aggregated(everything, x=Max(Cast("number", CharField(max_length=9)))),
    )
    both(
        aggregated(everything, x=Max(Cast("number", IntegerField()))),
        aggregated(everything, x=Max(Cast("number", CharField(max_length=9)))),
    )
    both(aggregated(everything, x=Max(TruncMonth("published"))), aggregated(everything, x=Max(TruncDate("published"))))
    assert aggregated(everything, x=Count("pk"))(True) == {"x": 2}
    assert aggregated(everything, x=Avg("number"))(True) == {"x": 7.5}


def test_an_aggregate_with_a_subquery_is_shared_and_depends_on_its_tables(hits):
    category = Category.objects.create(title="a")
    Article.objects.create(title="a", category=category, number=5)

    def greatest():
        inner = Article.objects.filter(category=OuterRef("pk")).order_by("-number").values("number")[:1]
        return Category.objects.cache().aggregate(x=Max(Subquery(inner)))

    assert greatest() == {"x": 5}
    assert greatest() == {"x": 5}
    assert hits() == 1

    Article.objects.create(title="b", category=category, number=6)

    assert greatest() == {"x": 6}


def test_the_error_of_an_aggregate_is_that_of_django():
    for args, kwargs in [
        ((F("number"),), {}),
        ((), {"x": F("number")}),
        ((), {"x": Max("no_such_field")}),
        ((), {"x": "number"}),
        (("number",), {}),
        ((Max(F("number") + 1),), {}),
        ((), {"x y": Max("number")}),
        ((), {"a": Max("number"), "b": Max("a") + F("c")}),
    ]:
        answers = []
        for queryset in (Article.objects.nocache(), Article.objects.cache()):
            try:
                answers.append(queryset.aggregate(*args, **kwargs))
            except Exception as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1]
    assert Article.objects.cache().aggregate() == {}


def test_aggregates_may_refer_to_each_other():
    Article.objects.create(number=5)

    both(
        aggregated(Article.objects.all(), a=Max("number"), b=Max("number") + 1),
        aggregated(Article.objects.all(), a=Max("number"), b=Max("number") + 2),
    )


# Databases


def test_a_database_is_a_part_of_the_key_unless_the_profile_says_otherwise():
    keys = [Article.objects.using(using).cache()._cache_key() for using in ("default", "other")]
    assert keys[0] != keys[1]

    with override_settings(CACHEOPS_DEFAULTS={"db_agnostic": True, "timeout": 600}):
        from cacheops.conf import prepare_profiles

        prepare_profiles.memory.clear()
        Article.objects.all()
        keys = [Article.objects.using(using)._cacheprofile["db_agnostic"] for using in ("default", "other")]
        prepare_profiles.memory.clear()
    assert keys == [True, True]


def test_what_is_got_locally_is_of_one_database_and_one_kind():
    Local.objects.create(pk=1, number=5)

    assert Local.objects.get(pk=1).number == 5
    assert Local.objects.values("number").get(pk=1) == {"number": 5}
    assert Local.objects.annotate(more=F("number") + 1).get(pk=1).more == 6
    assert Local.objects.only("pk").get(pk=1).get_deferred_fields() == {"number"}
    with pytest.raises(Local.DoesNotExist):
        Local.objects.exclude(pk=1).get(pk=1)


# Functions


def test_two_functions_in_one_line_are_two():
    one, two = cached_as(Article)(lambda: "one"), cached_as(Article)(lambda: "two")

    assert [one(), two()] == ["one", "two"]
    assert [one(), two()] == ["one", "two"]


@pytest.mark.parametrize("decorator", [cached_as(Article), cached(timeout=60)])
def test_a_closure_is_told_by_what_it_closes_over(decorator):
    def make(number, unknown):
        @decorator
        def function():
            calls.append(number)
            return number, unknown.__class__.__name__

        return function

    calls = []
    assert make(1, object())() == (1, "object")
    assert make(2, object())() == (2, "object")
    function = make(1, make)
    assert [function(), function()] == [(1, "function")] * 2
    assert len(calls) == 3


@pytest.mark.parametrize("decorator", [cached_as(Article), cached(timeout=60)])
def test_a_default_value_counts(decorator):
    plain = [decorator(lambda number=number: number) for number in (1, 2)]
    named = [decorator(lambda *, number=number: number) for number in (1, 2)]

    for functions in (plain, named) * 2:
        assert [function() for function in functions] == [1, 2]


@pytest.mark.parametrize("decorator", [cached_as(Article), cached(timeout=60)])
def test_the_type_of_an_argument_counts(decorator):
    @decorator
    def function(*args, **kwargs):
        return [(type(one).__name__, one) for one in (*args, *kwargs.values())]

    for args in [(1,), ("1",), (True,), (1.0,), (Decimal(1),), (Decimal("1.0"),), ((1,),), ([1],), (None,), ("None",)]:
        expected = [(type(one).__name__, one) for one in args]
        assert function(*args) == expected
        assert function(*args) == expected
    assert function(a=1) == [("int", 1)]
    assert function({1: 2}) != function({"1": 2})
    assert function("a", "b") != function("a', 'b")
    assert function(SafeString("a")) == [("SafeString", "a")]
    assert function("a") == [("str", "a")]


@pytest.mark.parametrize("decorator", [cached_as(Article), cached(timeout=60)])
def test_a_method_is_of_its_object(decorator):
    class Report:
        def __init__(self, year):
            self.year = year

        @decorator
        def total(self):
            return self.year

    class Named(Report):
        def __str__(self):
            return "a report"

    for _ in range(2):
        for kind in (Report, Named):
            for year in (2025, 2026):
                assert kind(year).total() == year  # its address may be that of the last one


@pytest.mark.parametrize("decorator", [cached_as(Article), cached(timeout=60)])
def test_instances_that_are_not_saved_are_not_shared(decorator):
    @decorator
    def function(article):
        return article.title

    one, two = Article(title="one"), Article(title="two")

    assert [function(one), function(two)] == ["one", "two"]
    assert function(Article(pk=7, title="three")) == "three"
    assert function(Article(pk=7, title="four")) == "four"
    assert redis_client.keys() == []


def test_a_sample_that_is_not_saved_is_not_shared():
    for title in ("one", "two"):
        assert cached_as(Article(title=title))(lambda title: title)(title) == title

    functions = [cached_as(Article(title=title))(lambda: calls.append(1)) for title in ("one", "two")]
    calls = []
    for function in functions * 2:
        function()
    assert len(calls) == 4


def test_an_instance_stands_for_its_row():
    article = Article.objects.create(title="one")
    calls = []

    @cached_as(Article)
    def function(article):
        calls.append(article)
        return article.title

    function(article)
    function(Article.objects.nocache().get(pk=article.pk))

    assert len(calls) == 1


def test_what_has_an_address_has_no_bytes():
    class Unknown:
        pass

    for value in (object(), Unknown(), [Unknown()], {"a": Unknown()}, lambda: 1, iter([]), Article()):
        with pytest.raises(NoKey):
            encode(value)


def test_bytes_are_of_one_value_only():
    values = [
        None, True, False, 0, 1, -1, 10, "", "0", "1", b"", b"1", 0.0, -0.0, 1.0, Decimal("1"), Decimal("1.0"),
        (), (1,), (1, 2), ((1,), 2), (1, (2,)), [], [1], {}, {1: 2}, {"1": 2}, {1: "2"}, {2: 1}, set(), {1},
        frozenset(),
        "1:a", ("1:", "a"), ("1", ":a"), SafeString("1"), datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1),
        datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), datetime.time(1), datetime.timedelta(1), int, str,
    ]  # fmt: skip

    assert len({encode(value) for value in values}) == len(values)
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})


# Owners


def test_rows_of_a_related_manager_have_the_owner_that_asks():
    Player.objects.create(team=Team.objects.create(name="old"), name="p")
    one, other = Team.objects.get(), Team.objects.nocache().get()
    other.name = "changed in memory"

    for team in (one, other):
        (player,) = team.players.cache()
        assert player.team is team
    assert [player.team is other for player in other.players.filter(name="p").cache()] == [True]
    assert other.players.cache().get().team is other
    assert other.players.cache().first().team is other


def test_the_first_of_what_was_prefetched(django_assert_num_queries):
    team = Team.objects.create(name="old")
    for name in ("a", "b"):
        Player.objects.create(team=team, name=name)
    prefetched = Prefetch("players", Player.objects.filter(name="b").order_by("name"))
    (team,) = Team.objects.prefetch_related(prefetched)

    with django_assert_num_queries(0):
        assert team.players.first().name == "b"


def test_rows_without_an_owner_do_not_get_that_of_others():
    team = Team.objects.create(name="old")
    Player.objects.create(team=team, name="p")
    list(team.players.cache())

    (player,) = Player.objects.filter(team=team).cache()

    assert "team" not in player._state.fields_cache


@pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes are new in Django 6.1")
def test_rows_fetch_as_their_queryset_says(django_assert_num_queries):
    from django.core.exceptions import FieldFetchBlocked
    from django.db.models import FETCH_PEERS, FETCH_RAISE

    team = Team.objects.create(name="reds")
    for name in ("a", "b", "c"):
        Player.objects.create(team=team, name=name)
    players = Player.objects.order_by("pk")
    list(players.cache())  # the entry is of another mode

    for _ in range(2):
        with pytest.raises(FieldFetchBlocked):
            _ = players.fetch_mode(FETCH_RAISE).cache()[0].team
        found = list(players.fetch_mode(FETCH_PEERS).defer("number").cache())
        with django_assert_num_queries(1):
            assert [one.number for one in found] == [0, 0, 0]
        found = list(players.fetch_mode(FETCH_PEERS).select_related("team").cache())
        with pytest.raises(FieldFetchBlocked):
            _ = players.fetch_mode(FETCH_RAISE).only("name").cache()[0].number
        assert found[0].team._state.fetch_mode is FETCH_PEERS
        assert len(found[0].team._state.peers) == 3
