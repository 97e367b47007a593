"""Rows that are read in order to decide about a write come from the database, whatever the cache holds."""

import pytest
from conftest import in_thread
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from shop.models import Article, Category, Tag, Unique
from stock.models import Bare, Claim, Note, Noted, Owner, Player, Team

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.cures,
]


@pytest.fixture(autouse=True)
def _everything_is_cached(monkeypatch):
    """As with `'*.*': {'ops': 'all'}`; the profiles are read once in a process."""
    from cacheops.conf import ALL_OPS, prepare_profiles

    for profile in prepare_profiles().values():
        if profile is not None:
            monkeypatch.setitem(profile, "ops", set(ALL_OPS))


def behind_the_cache(write):
    """A write of which no invalidation has come yet: that of another program, or one under way."""
    from cacheops import no_invalidation

    with no_invalidation:
        return write()


def test_a_cascade_does_not_delete_rows_that_have_moved_away():
    t, other = Team.objects.create(name="t"), Team.objects.create(name="other")
    player = Player.objects.create(name="p", team=t)
    list(Team.objects.filter(pk=t.pk).prefetch_related("players"))
    behind_the_cache(lambda: Player.objects.filter(pk=player.pk).update(team=other))

    Team.objects.get(pk=t.pk).delete()

    assert Player.objects.filter(pk=player.pk).nocache().exists()


def test_a_cascade_deletes_rows_that_have_come():
    t = Team.objects.create(name="t")
    list(Team.objects.filter(pk=t.pk).prefetch_related("players"))
    behind_the_cache(lambda: Player.objects.create(name="p", team=t))

    t.delete()

    assert Player.objects.nocache().count() == 0


def test_protected_rows_are_looked_for_in_the_database():
    owner = Owner.objects.create()
    assert list(Claim.objects.filter(owner__in=[owner])) == []
    behind_the_cache(lambda: Claim.objects.create(owner=owner))

    with pytest.raises(ProtectedError):
        owner.delete()

    assert Owner.objects.nocache().count() == 1


def test_rows_of_a_generic_relation():
    noted = Noted.objects.create()
    note = Note.objects.create(text="n", about=noted)
    assert list(Noted.objects.prefetch_related("notes"))
    assert list(noted.notes.all()) == [note]
    other = Noted.objects.create()
    behind_the_cache(lambda: Note.objects.filter(pk=note.pk).update(object_id=other.pk))

    noted.delete()

    assert Note.objects.nocache().count() == 1


def test_the_old_row_of_a_save():
    article = Article.objects.create(pk=1, title="a", number=5)
    Article.objects.get(pk=1)
    behind_the_cache(lambda: Article.objects.filter(pk=1).update(number=6))
    assert Article.objects.filter(number=6).cache().count() == 1

    article.number = 7
    article.save()

    assert Article.objects.filter(number=6).cache().count() == 0


def test_a_model_that_is_only_a_key_is_inserted_again():
    bare = Bare.objects.create(number=1)
    assert Bare.objects.filter(pk=1).exists()
    behind_the_cache(lambda: Bare.objects.all()._raw_delete("default"))

    bare.save()

    assert Bare.objects.nocache().count() == 1


def test_adding_to_a_many_to_many_relation():
    article, tag = Article.objects.create(title="a"), Tag.objects.create(name="t")
    article.tags.add(tag)
    article.tags.add(tag)  # reads which are there
    behind_the_cache(lambda: Article.tags.through.objects.all()._raw_delete("default"))

    article.tags.add(tag)

    assert article.tags.nocache().count() == 1


def test_setting_a_many_to_many_relation():
    article, tags = Article.objects.create(title="a"), [Tag.objects.create(name=name) for name in "ab"]
    article.tags.set([tags[0]])
    article.tags.set([tags[0]])
    behind_the_cache(lambda: Article.tags.through.objects.create(article=article, tag=tags[1]))

    article.tags.set([tags[0]])

    assert [tag.name for tag in article.tags.nocache()] == ["a"]


def test_setting_a_reverse_foreign_key():
    category = Category.objects.create(title="c")
    first = Article.objects.create(title="1", category=category)
    category.articles.set([first])
    second = Article.objects.create(title="2")
    assert list(category.articles.all()) == [first]
    behind_the_cache(lambda: Article.objects.filter(pk=second.pk).update(category=category))

    category.articles.set([first])

    assert Article.objects.filter(category=category).nocache().count() == 1


def test_rows_given_as_a_queryset():
    article, tag = Article.objects.create(title="a"), Tag.objects.create(name="t")
    assert list(Tag.objects.filter(name="u")) == []
    behind_the_cache(lambda: Tag.objects.filter(pk=tag.pk).update(name="u"))

    article.tags.set(Tag.objects.filter(name="u"))

    assert article.tags.nocache().count() == 1


def test_a_check_of_uniqueness():
    unique = Unique(name="a", number=1)
    unique.full_clean()
    behind_the_cache(lambda: Unique.objects.create(name="a", number=2))

    with pytest.raises(ValidationError):
        unique.full_clean()


def test_refresh_from_db():
    article = Article.objects.create(pk=1, title="a", number=5)
    Article.objects.get(pk=1)
    article.refresh_from_db()
    behind_the_cache(lambda: Article.objects.filter(pk=1).update(number=6))

    article.refresh_from_db()

    assert article.number == 6


def test_the_order_of_a_new_row():
    team = Team.objects.create(name="t")
    Player.objects.create(name="a", team=team)
    in_thread(lambda: behind_the_cache(lambda: Player.objects.create(name="b", team=team)))

    Player.objects.create(name="c", team=team)

    orders = Player.objects.filter(team=team).nocache().values_list("_order", flat=True)
    assert sorted(orders) == [0, 1, 2]
