"""What a result depends on: all that the compiled statement reads. What no write can tell of is not cached."""

import datetime
from types import SimpleNamespace

import django
import pytest
from cacheops import cached_as
from cacheops.redis import redis_client
from cacheops.signals import cache_read
from django.core.management import call_command
from django.db import connection, migrations, models
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ModelState
from django.db.models import (
    Case,
    Count,
    Exists,
    ExpressionWrapper,
    FilteredRelation,
    Func,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Coalesce, Lower, Now, Random
from django.test import override_settings
from django.test.utils import register_lookup
from django.utils.functional import lazystr
from gallery.models import Frame, Painting, Player, Roster, Team
from shop.models import Article, Category, Special

from cacheops_redis import conditions, lexing, sqltext
from cacheops_redis.compiled import MARK

pytestmark = pytest.mark.django_db(transaction=True)


def names(queryset):
    return [one.name for one in queryset._clone().cache()]


def is_cached(queryset):
    """Is the second of two reads a hit?"""
    hits = []

    def hear(signal=None, sender=None, **kwargs):
        hits.append(kwargs["hit"])

    list(queryset._clone().cache())
    cache_read.connect(hear)
    try:
        list(queryset._clone().cache())
    finally:
        cache_read.disconnect(hear)
    return hits == [True]


@pytest.fixture
def team():
    return Team.objects.create(name="reds")


@pytest.fixture
def player(team):
    return Player.objects.create(team=team, name="a", number=1)


# Joins that are made when the statement is compiled


def test_order_by_a_table_that_multiplies_the_rows(team, player):
    teams = Team.objects.filter(name="reds").order_by("players__name")
    assert names(teams) == ["reds"]

    Player.objects.create(team=team, name="b")

    assert names(teams) == ["reds", "reds"]


def test_order_by_another_table(team, player):
    players = Player.objects.filter(number=1).order_by("team__name")
    other = Player.objects.create(team=Team.objects.create(name="blues"), name="b", number=1)
    assert names(players) == ["b", "a"]

    other.team.name = "zebras"
    other.team.save()

    assert names(players) == ["a", "b"]


def test_what_select_related_shows(team, player):
    players = Player.objects.filter(number=1).select_related("team", "mentor")
    assert [one.team.name for one in players._clone().cache()] == ["reds"]

    team.name = "blues"
    team.save()

    assert [one.team.name for one in players._clone().cache()] == ["blues"]


def test_select_related_of_the_same_table(team, player):
    Player.objects.create(team=team, name="pupil", mentor=player, number=2)
    pupils = Player.objects.filter(number=2).select_related("mentor")
    assert [one.mentor.name for one in pupils._clone().cache()] == ["a"]

    player.name = "changed"
    player.save()

    assert [one.mentor.name for one in pupils._clone().cache()] == ["changed"]


def test_the_order_of_a_slice_in_a_subquery(team, player):
    Player.objects.create(team=Team.objects.create(name="blues"), name="b", number=1)
    first = Player.objects.filter(number=1).order_by("team__name")[:1]
    chosen = Player.objects.filter(pk__in=first)
    assert names(chosen) == ["b"]

    team.name = "amber"
    team.save()

    assert names(chosen) == ["a"]


def test_the_order_of_a_slice_in_an_annotation(team, player):
    Player.objects.create(team=team, name="pupil", mentor=player, number=2)
    inner = Player.objects.filter(team=OuterRef("pk"), number__in=[1, 2]).order_by("mentor__name", "name")
    teams = Team.objects.annotate(first=Subquery(inner.values("name")[:1]))
    before = [one.first for one in teams._clone().nocache()]
    assert [one.first for one in teams._clone().cache()] == before

    Player.objects.filter(pk=player.pk).invalidated_update(name=None)

    assert [one.first for one in teams._clone().cache()] == [one.first for one in teams._clone().nocache()]


def test_a_query_in_an_order(team, player):
    inner = Player.objects.filter(team=OuterRef("pk")).order_by("-number").values("number")[:1]
    teams = Team.objects.order_by(Subquery(inner), "pk")
    Player.objects.create(team=Team.objects.create(name="blues"), name="b", number=0)
    assert names(teams) == ["blues", "reds"]

    player.number = -1
    player.save()

    assert names(teams) == ["reds", "blues"]


def test_a_filtered_relation(team, player):
    teams = Team.objects.annotate(
        ones=FilteredRelation("players", condition=Q(players__number=1) & Q(players__name="a"))
    ).filter(ones__isnull=False)
    assert names(teams) == ["reds"]

    player.name = "b"
    player.save()

    assert names(teams) == []


def test_a_parent_is_read_with_its_child():
    special = Special.objects.create(title="a", discount=1)
    specials = Special.objects.filter(discount=1)
    assert [one.title for one in specials._clone().cache()] == ["a"]

    parent = Article.objects.get(pk=special.pk)
    parent.title = "b"
    parent.save()

    assert [one.title for one in specials._clone().cache()] == ["b"]


@pytest.mark.parametrize(
    "lookup", ["contains", "icontains", "startswith", "iendswith", "regex", "iregex", "iexact", "gt"]
)
def test_lookups_of_django_are_understood(lookup):
    queryset = Article.objects.filter(**{f"title__{lookup}": "a"}, number=1).cache()

    assert queryset._cond_dnfs.reason is None
    assert dict(queryset._cond_dnfs) == {"shop_article": [{"number": 1}]}


@pytest.mark.parametrize("part", ["year", "month", "week_day", "date", "time", "hour", "quarter", "iso_year"])
def test_parts_of_dates_are_understood(part):
    queryset = Article.objects.filter(**{f"published__{part}__isnull": False}, number=1).cache()

    assert queryset._cond_dnfs.reason is None
    assert dict(queryset._cond_dnfs) == {"shop_article": [{"number": 1}]}


def test_lists_of_a_thousand_values_stay_narrow():
    conditions = Article.objects.filter(number__in=range(1000)).cache()._cond_dnfs

    assert len(conditions["shop_article"]) == 1000
    assert Article.objects.filter(number__in=range(1001)).cache()._cond_dnfs["shop_article"] == [{}]
    assert is_cached(Article.objects.filter(number__in=range(1000)))
    assert is_cached(Article.objects.filter(number__in=range(5000)))


@pytest.mark.skipif(django.VERSION < (5, 2), reason="keys of several columns are new in Django 5.2")
def test_a_key_of_several_columns_stays_narrow():
    from gallery.models import Seat

    Seat.objects.create(row=1, number=2, name="a")
    seats = Seat.objects.filter(pk=(1, 2))
    assert dict(seats.cache()._cond_dnfs) == {"gallery_seat": [{"row": 1, "number": 2}]}
    several = Seat.objects.filter(pk__in=[(1, 2), (3, 4)]).cache()._cond_dnfs
    assert dict(several) == {"gallery_seat": [{"row": 1, "number": 2}, {"row": 3, "number": 4}]}
    assert names(seats) == ["a"]
    assert Seat.objects.cache().get(pk=(1, 2)).name == "a"

    Seat.objects.create(row=1, number=3)

    assert is_cached(seats)
    seat = Seat.objects.get(pk=(1, 2))
    seat.name = "b"
    seat.save()
    assert names(seats) == ["b"]
    inner = Seat.objects.filter(number=2).values("pk")[:1]
    assert names(Seat.objects.filter(pk=inner)) == ["b"]
    assert list(Seat.objects.exclude(pk=(1, 2)).cache()._cond_dnfs["gallery_seat"]) == [{}]


def test_a_condition_that_is_not_understood_does_not_fail_the_query(team, player, monkeypatch, caplog):
    def fail(*args):
        raise ValueError

    monkeypatch.setattr(conditions, "_equal_columns", fail)

    assert names(Player.objects.filter(number=1)) == ["a"]
    assert Player.objects.filter(number=1).cache()._cond_dnfs["gallery_player"] == [{}]
    assert "is not understood" in caplog.text


def test_conditions_stay_narrow(team, player):
    inner = Player.objects.filter(team=OuterRef("pk"), number=1)
    for teams in [
        Team.objects.filter(players__number=1).order_by("name"),
        Team.objects.filter(Exists(inner)),
        Team.objects.annotate(n=Subquery(inner.order_by("pk").values("number")[:1])).filter(n=1).order_by("n"),
        Team.objects.filter(pk__in=Player.objects.filter(number=1).values("team")),
    ]:
        found = teams._clone().cache()._cond_dnfs["gallery_player"]
        assert found and all(conjunction == {"number": 1} for conjunction in found)


# Raw SQL


def test_raw_sql_on_other_tables(team, player):
    players = [
        Player.objects.filter(number=1).annotate(n=RawSQL("(SELECT COUNT(*) FROM gallery_team)", ())),
        Player.objects.filter(number=1).extra(
            select={"n": "SELECT COUNT(*) FROM gallery_team WHERE name <> %s"}, select_params=[""]
        ),
        Player.objects.filter(number=1).extra(select={"n": "SELECT COUNT(*) FROM shop_article, gallery_team"}),
        Player.objects.filter(number=1).annotate(
            n=RawSQL('(SELECT COUNT(*) FROM (SELECT 1 FROM "gallery_team") t)', ())
        ),
    ]
    Article.objects.create(title="a")
    for queryset in players:
        before = [one.n for one in queryset._clone().cache()]
        assert is_cached(queryset)

        Team.objects.create(name="more")

        assert [one.n for one in queryset._clone().cache()] == [before[0] + 1]


def test_raw_sql_on_the_same_table(team, player):
    for queryset in [
        Player.objects.filter(number=1).annotate(n=RawSQL("(SELECT COUNT(*) FROM gallery_player)", ())),
        Player.objects.filter(number=1).extra(where=["3 > (SELECT COUNT(*) FROM gallery_player)"]),
        Player.objects.filter(number=1).extra(order_by=["number"], select={"x": "SELECT COUNT(*) FROM gallery_player"}),
        Player.objects.filter(number=1).extra(tables=["shop_article"]),
    ]:
        found = queryset._clone().cache()
        assert {} in found._cond_dnfs["gallery_player"] or found._cond_dnfs["shop_article"] == [{}]
        assert is_cached(queryset)


def test_raw_sql_without_tables_stays_narrow(team, player):
    queryset = Player.objects.filter(number=1).extra(where=["LENGTH(name) = 1"], select={"twice": "number * 2"})

    assert dict(queryset.cache()._cond_dnfs) == {"gallery_player": [{"number": 1}]}
    assert is_cached(queryset)


@pytest.mark.parametrize(
    ("queryset", "says"),
    [
        (Player.objects.annotate(at=Now()), "NOW|TIMESTAMP|STRFTIME"),
        (Player.objects.filter(name=Now()), "NOW|TIMESTAMP|STRFTIME"),
        (Player.objects.order_by("?"), "RAND"),
        (Player.objects.annotate(r=Random()), "RAND"),
        (Player.objects.filter(number=Func(function="bump", output_field=models.IntegerField())), "BUMP"),
        (Player.objects.annotate(n=RawSQL("bump(number)", ())), "BUMP"),
        (Player.objects.annotate(n=RawSQL("(SELECT 1 FROM no_model LIMIT 1)", ())), "'no_model'"),
        (Player.objects.extra(tables=["no_model"]), "'no_model'"),
        (Player.objects.extra(select={"t": "current_date"}), "CURRENT_DATE"),
        (Player.objects.annotate(t=RawSQL("(WITH x AS (SELECT 1) SELECT 1)", ())), "WITH"),
    ],
)
def test_what_is_not_understood_is_not_cached(queryset, says, team, player, caplog):
    from cacheops_redis import keys

    keys._warned.clear()
    found = queryset._clone().cache()
    reason = found._cond_dnfs.reason

    assert reason
    assert any(word in reason for word in says.split("|"))
    try:
        list(found)
    except django.db.Error:
        return  # the database does not know it either
    assert redis_client.keys() == []
    assert "is not cached" in caplog.text
    calls = []
    function = cached_as(queryset)(lambda: calls.append(1))
    function()
    function()
    assert len(calls) == 2


def test_a_function_may_be_declared_pure(team, player):
    queryset = Player.objects.filter(number=Func(Value(1), function="bump", output_field=models.IntegerField()))

    with override_settings(CACHEOPS_MODULE={"PURE_FUNCTIONS": ["BUMP"]}):
        assert queryset.cache()._cond_dnfs.reason is None
    assert "BUMP" in queryset._clone().cache()._cond_dnfs.reason


def test_a_volatile_query_makes_nobody_wait(team, player):
    queryset = Player.objects.order_by("?").cache(lock=True)

    assert len(queryset) == 1
    assert redis_client.keys() == []


# Models whose writes are not seen


def test_a_join_to_a_model_without_a_profile():
    frame = Frame.objects.create(wood="oak")
    Painting.objects.create(title="a", frame=frame)
    paintings = Painting.objects.filter(frame__wood="oak")
    assert is_cached(paintings)

    frame.wood = "pine"
    frame.save()

    assert list(paintings._clone().cache()) == []


@override_settings(CACHEOPS_MODULE={"SEE_UPDATES": False})
def test_a_join_to_a_model_whose_writes_are_not_seen(caplog):
    frame = Frame.objects.create(wood="oak")
    Painting.objects.create(title="a", frame=frame)
    paintings = Painting.objects.filter(frame__wood="oak")
    assert [one.title for one in paintings._clone().cache()] == ["a"]
    assert "'gallery.frame': {} to CACHEOPS" in caplog.text
    assert redis_client.keys() == []

    frame.wood = "pine"
    frame.save()

    assert list(paintings._clone().cache()) == []
    assert is_cached(Painting.objects.filter(frame=frame.pk))


@pytest.fixture
def roster():
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW gallery_roster AS SELECT id, name FROM gallery_player")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW gallery_roster")


def test_a_view_is_not_cached(roster, team, player, caplog):
    assert names(Roster.objects.all()) == ["a"]
    assert "CACHEOPS_MODULE['VIEWS']" in caplog.text

    Player.objects.create(team=team, name="b")

    assert sorted(names(Roster.objects.all())) == ["a", "b"]


@pytest.mark.parametrize("views", [{"gallery.Roster": ["gallery.Player"]}, {"gallery_roster": ["gallery_player"]}])
def test_a_view_depends_on_what_is_below(views, roster, team, player):
    with override_settings(CACHEOPS_MODULE={"VIEWS": views}):
        assert is_cached(Roster.objects.filter(name="a"))

        Player.objects.create(team=team, name="a")

        assert names(Roster.objects.filter(name="a")) == ["a", "a"]
        assert dict(Player.objects.filter(number=1).cache()._cond_dnfs) == {"gallery_player": [{"number": 1}]}


def test_a_view_over_a_model_without_a_profile(roster):
    with override_settings(CACHEOPS_MODULE={"SEE_UPDATES": False, "VIEWS": {"gallery.Roster": ["gallery.Frame"]}}):
        assert "'gallery.frame'" in Roster.objects.cache()._cond_dnfs.reason


def test_an_unmanaged_table_may_be_named_itself(roster):
    with override_settings(CACHEOPS_MODULE={"VIEWS": {"gallery.Roster": ["gallery.Roster"]}}):
        assert Roster.objects.cache()._cond_dnfs.reason is None


# Fields


def test_a_field_that_changes_its_value_on_the_way_does_not_narrow(team):
    player = Player.objects.create(team=team, name="a", code=4)
    players = Player.objects.filter(code=5)
    before = names(players.nocache())
    assert names(players) == before

    player.code = 9
    player.save()

    assert names(players) == [one.name for one in players._clone().nocache()]


# Models outside of the registry


@pytest.fixture
def everything_cached():
    from cacheops.conf import prepare_profiles

    with override_settings(CACHEOPS={"*.*": {"ops": "all", "timeout": 600}}):
        prepare_profiles.memory.clear()
        yield
    prepare_profiles.memory.clear()


def test_migrate_twice_with_everything_cached(everything_cached):
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    recorder.record_applied("gallery", "0001_initial")
    for _ in range(2):
        call_command("migrate", verbosity=0, run_syncdb=True)
        assert ("gallery", "0001_initial") in recorder.applied_migrations()


def test_models_of_migrations_are_not_cached(everything_cached):
    state = migrations.state.ProjectState()
    state.add_model(ModelState.from_model(Team))
    historical = state.apps.get_model("gallery", "Team")

    assert historical.objects.all()._cacheprofile is None
    assert Team.objects.all()._cacheprofile["ops"]


# Cascades of the database


@pytest.mark.skipif(django.VERSION < (6, 1), reason="new in Django 6.1")
@pytest.mark.parametrize("delete", [lambda owner: owner.delete(), lambda owner: type(owner).objects.all().delete()])
def test_rows_that_the_database_takes_along(delete):
    from gallery.models import Cage, Owner, Pet, Toy

    owner = Owner.objects.create(name="o")
    pet = Pet.objects.create(owner=owner, name="p")
    Toy.objects.create(pet=pet, name="t")
    Cage.objects.create(pet=pet, name="c")
    for model, name in ((Pet, "p"), (Toy, "t")):
        assert names(model.objects.filter(name=name)) == [name]
    assert names(Cage.objects.filter(pet__isnull=True)) == []

    delete(owner)

    for model, name in ((Pet, "p"), (Toy, "t")):
        assert names(model.objects.filter(name=name)) == []
    assert names(Cage.objects.filter(pet__isnull=True)) == ["c"]


# The text


@pytest.mark.parametrize(
    ("sql", "marked", "raw"),
    [
        (f'SELECT "a"."x" FROM {MARK}"a"', {"a"}, set()),
        (f'SELECT 1 FROM {MARK}"a" {MARK}LEFT OUTER JOIN "b" T3 ON ("a"."x" = T3."y") , "c"', {"a", "b"}, {"c"}),
        (f'SELECT COUNT(*) FROM (SELECT 1 FROM {MARK}"a" WHERE "a"."x" IN (SELECT x FROM b)) subquery', {"a"}, {"b"}),
        (f"SELECT 1 FROM {MARK}`a` WHERE x IS DISTINCT FROM y GROUP BY 1 ORDER BY 2, 3", {"a"}, set()),
        ("SELECT EXTRACT(YEAR FROM x), SUBSTRING(x FROM 1 FOR 2) FROM b", set(), {"b"}),
        ('SELECT 1 FROM a, LATERAL (SELECT 1 FROM "s"."b") t, c', set(), {"a", "s.b", "c"}),
        ("SELECT 'FROM x', \"FROM y\", $$ FROM z $$", None, None),
        ("SELECT CAST(x AS numeric(6, 2)), x::timestamp(3), CAST(x AS character varying(3)) FROM b", set(), {"b"}),
        ("(SELECT 1 FROM a) UNION ALL (SELECT 2 FROM b)", set(), {"a", "b"}),
        ("SELECT 1 FROM a NATURAL JOIN b CROSS JOIN (c JOIN d ON 1 = 1)", set(), {"a", "b", "c", "d"}),
        ("SELECT x @> y, x @@ y FROM a", set(), {"a"}),
        ("SELECT x FROM a WHERE x LIKE %s ESCAPE '\\\\'", set(), {"a"}),
        ("SELECT @x FROM a", None, None),
        ("SELECT E'\\'' FROM a", None, None),
        ("SELECT f(x) FROM a", None, None),
        ("SELECT public.f(x) FROM a", None, None),
        ('SELECT "f"(x) FROM a', None, None),
        ("SELECT 1 FROM f(1)", None, None),
        ("SELECT datetime('now') FROM a", None, None),
        ("SELECT DATE(x) FROM a", None, None),
        ("SELECT x FROM a FOR UPDATE", None, None),
        ("SELECT UUID() FROM a", None, None),
        ("SELECT x FROM a WHERE x > 'yesterday'", None, None),
        ("SELECT x FROM a WHERE x > ' Today 10:00'", None, None),
        ("SELECT x FROM a WHERE x > '[now,'", None, None),
        ("SELECT x FROM a WHERE x > '{2026-01-01,now}'", None, None),
        ("SELECT x FROM a WHERE x > 'now on monday'", None, None),
        ("SELECT x FROM a WHERE x > 'to'\n'day'", None, None),
        ("SELECT x FROM a WHERE x > 'nowhere'", set(), {"a"}),
        ("SELECT x FROM a WHERE x > 'now or never'", set(), {"a"}),
        ("SELECT x FROM a WHERE x > '" + 200 * "-" + "today'", set(), {"a"}),
        ("SELECT x FROM a --it's\n WHERE f(x) --'", None, None),
        ("SELECT x FROM a -- it's\r WHERE f(x) --'", None, None),
        ("SELECT x FROM a -- it's\r\n WHERE x = 1", set(), {"a"}),
        ("SELECT x FROM a /* it's */ WHERE x = 1", set(), {"a"}),
        ("SELECT x FROM a /*/**/'*/ WHERE f(x) --'", None, None),
        ("SELECT x FROM a --", set(), {"a"}),
        ("SELECT x::timestamp with time zone, CAST(x AS time(3) with time zone) FROM a", set(), {"a"}),
        ("WITH time AS (SELECT x FROM b) SELECT x FROM time", None, None),
        ("SELECT x FROM unnest(%s) WITH ORDINALITY", None, None),
        ("SELECT x FROM a TABLESAMPLE SYSTEM (10)", None, None),
        ("SELECT age(x), age(x, y) FROM a", None, None),
        ("SELECT public.lower(x) FROM a", None, None),
        ("SELECT x FROM a, public.unnest(y)", None, None),
        ("SELECT pg_catalog.lower(x) FROM a", set(), {"a"}),
        ('SELECT "Lower"(x) FROM a', None, None),
        ('SELECT "lower"(x) FROM a', set(), {"a"}),
        ("SELECT \N{EURO SIGN}(x) FROM a", None, None),
        ("SELECT x FROM a WHERE x IN (SELECT 1FROM b)", None, None),
        ("SELECT 1.5, .5, 1e-5, 2.e+3, 0x1F, 1_000 FROM a", set(), {"a"}),
        ("SELECT coalesce(NEXT VALUE FOR x, 1) FROM a", None, None),
        ("SELECT x) FROM a", None, None),
        ("SELECT (x FROM a", None, None),
    ],
)
def test_relations_of_a_text(sql, marked, raw):
    reading = sqltext.read(sql, "postgresql")

    if marked is None:
        assert reading.refused
    else:
        assert (reading.marked, reading.raw, reading.refused) == (marked, raw, None)


@pytest.mark.parametrize(
    ("sql", "raw"),
    [
        ("SELECT x FROM a /*! WHERE f(x) */", None),
        ("SELECT x FROM a /*M! WHERE f(x) */", None),
        ("SELECT x FROM a /*+ SET_VAR(time_zone = '+00:00') */", None),
        ("SELECT 1--f(x)\n FROM a", None),
        ("SELECT x FROM a # it's\n WHERE f(x) -- '", None),
        ("SELECT x FROM a -- it's\n WHERE x = 1", {"a"}),
        ("SELECT x FROM a WHERE x > 'today'", {"a"}),
        ("SELECT 2abs(x) FROM a", None),
        ("SELECT @`x` FROM a", None),
        ("SELECT @'x' FROM a", None),
        (r'SELECT "\"", f(x), "\" " FROM a', None),
        ('SELECT `x` FROM a WHERE x = "it\'s"', {"a"}),
        ("SELECT x FROM a WHERE x > 'now'", {"a"}),
    ],
)
def test_texts_of_mysql(sql, raw):
    reading = sqltext.read(sql, "mysql")

    assert bool(reading.refused) if raw is None else (reading.raw, reading.refused) == (raw, None)


@pytest.mark.parametrize(
    ("sql", "raw"),
    [
        ("SELECT [it's], f(x), [it's] FROM a", None),
        ("SELECT [x] FROM a", None),
        ("SELECT strftime('%%Y', 'now') FROM a", None),
        ("SELECT strftime('%%Y', 'subsec') FROM a", None),
        ("SELECT strftime('%%Y', x) FROM a WHERE y = 'today'", {"a"}),
        ("SELECT strftime('%%Y') FROM a", None),
        ("SELECT datetime() FROM a", None),
        ("SELECT datetime(x) FROM a", {"a"}),
    ],
)
def test_sqlite_reads_the_clock_in_date_functions(sql, raw):
    reading = sqltext.read(sql, "sqlite", frozenset(["strftime", "datetime"]))

    assert bool(reading.refused) if raw is None else (reading.raw, reading.refused) == (raw, None)


DAY = datetime.date(2026, 1, 2)


@pytest.mark.parametrize(
    ("clause", "value", "moves"),
    [
        ("published > %s::timestamp", "yesterday", True),
        ("published > %s::timestamp", "2026-01-02", False),
        ("published > ANY(%s::timestamp[])", ["2026-01-02", "Now"], True),
        ("published > ANY(%s::timestamp[])", ["2026-01-02"], False),
        ("published > %s", DAY, False),
        ("published < ((%s::jsonb)->>'a')::timestamp", '{"a": "now"}', True),
    ],
)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases read no time from such a text")
def test_a_parameter_that_is_read_as_the_current_time(clause, value, moves):
    assert is_cached(Article.objects.extra(where=[clause], params=[value])) == (not moves)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases read no time from such a text")
def test_an_expression_whose_value_is_read_as_the_current_time():
    def since(value):
        return Article.objects.filter(published__gt=Cast(Value(value), models.DateTimeField()))

    assert is_cached(since("2026-01-02"))
    assert not is_cached(since("tomorrow"))
    assert is_cached(Article.objects.annotate(moment=RawSQL("%s::timestamptz", ["2026-01-02"])))
    assert not is_cached(Article.objects.annotate(moment=RawSQL("%s::timestamptz", ["now"])))


@pytest.mark.parametrize(
    "value",
    [
        "now",
        ["x", ("today",)],
        {"since": "yesterday"},
        lazystr("tomorrow"),
        SimpleNamespace(lower="now", upper=None),
        SimpleNamespace(obj={"a": ["now"]}),
    ],
)
def test_texts_in_values_that_move(value):
    assert lexing.has_moving([1, value], "postgresql")


@pytest.mark.parametrize(
    "value", ["know", b"now", None, 5, DAY, ["x"], SimpleNamespace(lower=DAY, upper=None), object()]
)
def test_values_that_do_not_move(value):
    assert not lexing.has_moving([value], "postgresql")


@pytest.mark.parametrize(
    "queryset",
    [
        lambda: Article.objects.filter(title="today"),
        lambda: Article.objects.exclude(title__in=["x", "today"]),
        lambda: Article.objects.filter(title__range=("now", "yesterday")),
        lambda: Article.objects.filter(text__icontains="tomorrow", title__startswith="Today"),
        lambda: Article.objects.filter(text__iregex="now"),
        lambda: Article.objects.filter(title__gt=lazystr("now")),
        lambda: Article.objects.filter(tags__name="now"),
        lambda: Article.objects.filter(category__in=Category.objects.filter(title="today")),
        lambda: Article.objects.annotate(low=Lower("title")).filter(low="today"),
        lambda: Article.objects.annotate(one=Case(When(title="now", then=Value(1)), default=Value(2))).order_by("one"),
        lambda: Article.objects.annotate(count=Count("tags", filter=Q(tags__name="now"))).filter(count=0),
        lambda: Special.objects.filter(title="today"),
    ],
)
def test_a_text_column_compared_with_a_word_of_time(queryset):
    assert is_cached(queryset())


class Loudly(models.Lookup):
    """Defined by an application, so it may do anything with its value."""

    lookup_name = "loudly"

    def as_sql(self, compiler, connection):
        lhs, lhs_params = self.process_lhs(compiler, connection)
        return f"{lhs}::timestamp > %s", [*lhs_params, self.rhs]


@pytest.mark.parametrize(
    "queryset",
    [
        lambda: Article.objects.filter(title=RawSQL("%s::timestamp::text", ["today"])),
        lambda: Article.objects.filter(
            title__in=["x", Cast(Cast(Value("now"), models.DateField()), models.TextField())]
        ),
        lambda: Article.objects.filter(title="now").extra(where=["published > %s"], params=["now"]),
        lambda: Article.objects.filter(
            published=Coalesce("published", Value("now"), output_field=models.DateTimeField())
        ),
        lambda: Article.objects.annotate(
            label=ExpressionWrapper(models.F("published"), output_field=models.CharField())
        ).filter(label="yesterday"),
        lambda: Article.objects.extra(select={"moment": "%s::timestamp"}, select_params=["now"]),
        lambda: Article.objects.extra(order_by=["number"], tables=["shop_tag"], where=["'now' < published"]),
    ],
)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases read no time from such a text")
def test_a_word_of_time_that_is_not_known_to_be_compared_with_text(queryset):
    articles = queryset()

    assert articles._cond_dnfs.reason


@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases read no time from such a text")
def test_a_lookup_of_an_application_may_make_a_time_of_its_value():
    with register_lookup(models.CharField, Loudly):
        assert not Article.objects.filter(title__loudly="x")._cond_dnfs.reason
        assert Article.objects.filter(title__loudly="now")._cond_dnfs.reason


@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases read no time from such a text")
def test_a_column_that_django_has_not_made_may_be_no_text(roster):
    with override_settings(CACHEOPS_MODULE={"VIEWS": {"gallery.Roster": ["gallery.Player"]}}):
        assert not Roster.objects.filter(name="x")._cond_dnfs.reason
        assert Roster.objects.filter(name="now")._cond_dnfs.reason


@pytest.mark.parametrize("word", ["now", "NOW", "subsec", "Subsecond"])
@pytest.mark.skipif(connection.vendor != "sqlite", reason="its date functions")
def test_a_parameter_that_a_date_function_of_sqlite_reads_as_now(word):
    year = "strftime('%%Y', {}) > '2000'"
    with override_settings(CACHEOPS_MODULE={"PURE_FUNCTIONS": ["strftime"]}):
        assert is_cached(Article.objects.extra(where=[year.format("%s")], params=["2026-01-01"]))
        assert not is_cached(Article.objects.extra(where=[year.format("%s")], params=[word]))
        assert not is_cached(Article.objects.extra(where=[year.format(f"'{word}'")]))
        assert is_cached(Article.objects.filter(title=word))
