"""Asynchronous queries: Django runs the plain ones in a thread, so they are cached and invalidated as these are."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from cacheops import cached, cached_as, cached_view, cached_view_as
from cacheops.signals import cache_read
from django.db import connection, transaction
from django.db.models import Max
from django.http import HttpResponse
from django.test import RequestFactory
from django.views import View
from gallery.models import Player, Team
from shop.models import Article

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hits():
    heard = []

    def hear(signal=None, sender=None, **kwargs):
        heard.append(kwargs["hit"])

    cache_read.connect(hear)
    yield heard
    cache_read.disconnect(hear)


async def listed(queryset):
    return [one.title async for one in queryset]


async def keys(queryset):
    return list(await queryset.ain_bulk())


@pytest.mark.parametrize(
    ("read", "before", "after"),
    [
        (lambda q: q.aget(pk=1), "old", "new"),
        (lambda q: q.afirst(), "old", "new"),
        (lambda q: q.alast(), "old", "new"),
        (lambda q: q.alatest("pk"), "old", "new"),
        (listed, ["old"], ["new"]),
        (keys, [1], [1]),
        (lambda q: q.filter(title="old").acount(), 1, 0),
        (lambda q: q.filter(title="old").aexists(), True, False),
        (lambda q: q.aaggregate(Max("title")), {"title__max": "old"}, {"title__max": "new"}),
    ],
)
def test_reads_are_cached_and_invalidated(hits, read, before, after):
    Article.objects.create(pk=1, title="old", number=5)

    @async_to_sync
    async def answer():
        found = await read(Article.objects.filter(number=5).cache())
        return found.title if isinstance(found, Article) else found

    assert answer() == before
    hits.clear()
    assert answer() == before
    assert hits == [True]

    async def write():
        article = await Article.objects.nocache().aget(pk=1)
        article.title = "new"
        await article.asave()

    async_to_sync(write)()

    hits.clear()
    assert answer() == after
    assert hits == [False]


def test_writes_of_many_rows_invalidate():
    async def work():
        queryset = Article.objects.filter(number=5)
        assert await queryset.cache().acount() == 0
        await Article.objects.abulk_create([Article(title="a", number=5)])
        assert await queryset.cache().acount() == 1
        article, _created = await Article.objects.aget_or_create(title="b", number=5)
        assert await queryset.cache().acount() == 2
        await article.adelete()
        assert await queryset.cache().acount() == 1

    async_to_sync(work)()


def test_a_related_manager_gives_its_owner():
    async def work():
        team = await Team.objects.acreate(name="reds")
        await team.players.acreate(name="a")
        for _ in range(2):
            async for player in team.players.cache():
                assert player.team is team
        await team.players.acreate(name="b")
        assert await team.players.cache().acount() == 2

    async_to_sync(work)()
    assert Player.objects.count() == 2


def test_tasks_that_take_turns_do_not_take_each_others_tokens():
    Article.objects.create(pk=1, title="old", number=5)

    async def work():
        for _ in range(3):
            await asyncio.gather(*[read(number) for number in range(20)])
            article = await Article.objects.nocache().aget(pk=1)
            article.title += "+"
            await article.asave()
        return await listed(Article.objects.filter(number=5).cache())

    async def read(number):
        await listed(Article.objects.filter(number=number % 7).cache())
        await Article.objects.filter(number=number % 5).cache().acount()

    assert async_to_sync(work)() == ["old+++"]


def test_a_transaction_in_a_thread(hits):
    @sync_to_async
    def work():
        with transaction.atomic():
            Article.objects.create(number=5)
            assert Article.objects.filter(number=5).cache().count() == 1

    async_to_sync(work)()
    assert hits == []
    assert connection.in_atomic_block is False


@pytest.mark.parametrize("decorator", [cached_as(Article), cached(timeout=60)])
def test_an_async_function_is_refused_by_name(decorator):
    async def report():
        return 1

    async def reports():
        yield 1

    for function in (report, reports):
        with pytest.raises(TypeError, match=rf"cannot cache test_async\.\S+{function.__name__}, which is async"):
            decorator(function)


@pytest.mark.parametrize("decorator", [cached_view_as(Article), cached_view(timeout=60)])
def test_an_async_view_is_refused_by_name(decorator):
    async def view(request):
        return HttpResponse("a")

    class Page(View):
        async def get(self, request):
            return HttpResponse("a")

    for one in (view, Page.as_view()):
        with pytest.raises(TypeError, match="a cached view cannot cache test_async"):
            decorator(one)


@pytest.mark.parametrize("decorator", [cached_view_as(Article), cached_view(timeout=60)])
def test_two_views_of_one_address_are_two(decorator):
    request = RequestFactory().get("/articles/")

    def make(text):
        return decorator(lambda request: HttpResponse(text))

    for text in ("a", "b", "a"):
        assert make(text)(request).content == text.encode()
