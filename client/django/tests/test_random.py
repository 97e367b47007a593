"""Random queries stay right under random writes: whatever the cache answers, the database would.

Without the bridge the same run finds stale results.
"""

import datetime
import os
import random
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Subquery, Sum
from django.test import override_settings
from shop.models import Article, Category, Passport, Special, Tag

QUERIES = 60
WRITES = int(os.environ.get("CACHEOPS_RANDOM_WRITES", "150"))
SEEDS = [int(seed) for seed in os.environ.get("CACHEOPS_RANDOM_SEEDS", "1 2 3").split()]

NUMBERS = [None, 0, 1, 2]
TITLES = ["a", "b", "A", "a ", ""]
PRICES = [None, Decimal("1"), Decimal("1.0"), Decimal("1.10"), Decimal("1.1"), Decimal("-0")]
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
INSTANTS = [None, NOON, NOON.astimezone(datetime.timezone(datetime.timedelta(hours=3))), NOON.replace(microsecond=1)]
DAYS = [None, NOON.date()]
NAMES = ["x", "y"]


class Random:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.one = self.random.choice

    # Queries

    def article_condition(self, prefix="", deep=True):
        leaves = [
            lambda: Q(**{prefix + "number": self.one(NUMBERS)}),
            lambda: Q(**{prefix + "number__in": self.random.sample(NUMBERS, 2)}),
            lambda: Q(**{prefix + "number__isnull": self.one([True, False])}),
            lambda: Q(**{prefix + "number__gt": 0}),
            lambda: Q(**{prefix + "title": self.one(TITLES)}),
            lambda: Q(**{prefix + "price": self.one(PRICES)}),
            lambda: Q(**{prefix + "published": self.one(INSTANTS)}),
            lambda: Q(**{prefix + "day": self.one(DAYS)}),
            lambda: Q(**{prefix + "visible": self.one([True, False])}),
            lambda: Q(**{prefix + "weight": self.one([0.5, 1.0])}),
            lambda: Q(**{prefix + "pk": self.random.randint(1, 12)}),
            lambda: Q(**{prefix + "category": self.random.randint(1, 4)}),
            lambda: Q(**{prefix + "category__isnull": self.one([True, False])}),
        ]
        if deep:
            leaves += [
                lambda: Q(**{prefix + "category__title": self.one(TITLES)}),
                lambda: Q(**{prefix + "tags__name": self.one(NAMES)}),
                lambda: Q(**{prefix + "tags": self.random.randint(1, 3)}),
                lambda: Q(**{prefix + "tags__isnull": self.one([True, False])}),
                lambda: Q(**{prefix + "special__discount": self.one([0, 1])}),
                lambda: Q(**{prefix + "passport__number": self.one([0, 1])}),
                lambda: Q(**{prefix + "passport__isnull": self.one([True, False])}),
            ]
        return self.one(leaves)()

    def combined(self, leaf):
        condition = leaf()
        for _ in range(self.random.randint(0, 2)):
            other = leaf()
            condition = self.one([lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a & ~b, lambda a, b: ~(a | b)])(
                condition, other
            )
        return condition

    def query(self):
        kind = self.one(["article", "article", "special", "category", "tag", "subquery", "annotated", "union"])
        if kind == "article":
            queryset = Article.objects.filter(self.combined(self.article_condition))
        elif kind == "special":
            queryset = Special.objects.filter(self.combined(lambda: self.article_condition(deep=False)))
        elif kind == "category":
            queryset = Category.objects.filter(self.combined(lambda: self.article_condition("articles__", deep=False)))
        elif kind == "tag":
            queryset = Tag.objects.filter(self.combined(lambda: self.article_condition("articles__", deep=False)))
        elif kind == "subquery":
            inner = Article.objects.filter(self.article_condition(deep=False))
            queryset = self.one(
                [
                    lambda: Category.objects.filter(pk__in=inner.values("category")),
                    lambda: Category.objects.exclude(articles__in=inner),
                    lambda: Category.objects.filter(Exists(inner.filter(category=OuterRef("pk")))),
                    lambda: Category.objects.filter(~Exists(inner.filter(category=OuterRef("pk")))),
                ]
            )()
        elif kind == "union":
            left, right = (Article.objects.filter(self.article_condition(deep=False)) for _ in range(2))
            return (lambda cached: sorted(row_of(a) for a in self.cache(left.union(right), cached))), None
        else:
            inner = Article.objects.filter(category=OuterRef("pk")).filter(self.article_condition(deep=False))
            queryset = self.one(
                [
                    lambda: Category.objects.annotate(n=Count("articles")),
                    lambda: Category.objects.annotate(
                        n=Count("articles", filter=self.article_condition("articles__", False))
                    ),
                    lambda: Category.objects.annotate(n=Subquery(inner.order_by("-pk").values("number")[:1])),
                    lambda: Category.objects.annotate(n=Exists(inner)).filter(n=True),
                ]
            )()
        queryset = queryset.order_by("pk")
        if self.random.random() < 0.3:
            queryset = queryset.distinct()
        queryset = queryset if self.random.random() < 0.7 else queryset[:2]
        op = self.one(["list", "list", "values", "count", "exists", "first", "aggregate"])
        if op == "list":
            run = lambda cached: [row_of(found) for found in self.cache(queryset, cached)]  # noqa: E731
        elif op == "values":
            run = lambda cached: list(self.cache(queryset, cached).values_list())  # noqa: E731
        elif op == "first":
            run = lambda cached: row_of(self.cache(queryset, cached).first())  # noqa: E731
        elif op == "aggregate":
            run = lambda cached: self.cache(queryset, cached).aggregate(Sum("pk"), Avg("pk"))  # noqa: E731
        else:
            run = lambda cached: getattr(self.cache(queryset, cached), op)()  # noqa: E731
        return run, queryset

    @staticmethod
    def cache(queryset, cached):
        return queryset._clone().cache() if cached else queryset._clone().nocache()

    # Writes

    def values(self):
        return {
            "title": self.one(TITLES),
            "number": self.one(NUMBERS),
            "price": self.one(PRICES),
            "published": self.one(INSTANTS),
            "day": self.one(DAYS),
            "visible": self.one([True, False]),
            "weight": self.one([None, 0.5, 1.0]),
            "category": self.some(Category),
        }

    def some(self, model):
        found = list(model.objects.nocache().order_by("pk"))
        return self.one(found) if found else None

    def write(self):
        name = self.one([name for name in dir(self) if name.startswith("write_")])
        getattr(self, name)()
        return name

    def write_create(self):
        self.one([Article, Article, Special]).objects.create(**self.values())

    def write_category(self):
        Category.objects.create(title=self.one(TITLES))

    def write_tag(self):
        Tag.objects.create(name=self.one(NAMES))

    def write_save(self):
        article = self.some(self.one([Article, Special]))
        if article:
            for name, value in self.values().items():
                if self.random.random() < 0.4:
                    setattr(article, name, value)
            article.save()

    def write_save_some(self):
        article = self.some(Article)
        if article:
            for name, value in self.values().items():
                setattr(article, name, value)
            article.save(update_fields=self.random.sample(["title", "number", "price", "category"], 2))

    def write_save_deferred(self):
        articles = list(Article.objects.nocache().only("id", "title").order_by("pk"))
        if articles:
            article = self.one(articles)
            article.title = self.one(TITLES)
            article.save()

    def write_expression(self):
        article = self.some(Article)
        if article and article.number is not None:
            article.number = F("number") + 1 if article.number < 2 else 0
            article.save()

    def write_rename_category(self):
        category = self.some(Category)
        if category:
            category.title = self.one(TITLES)
            category.save()

    def write_special(self):
        special = self.some(Special)
        if special:
            special.discount, special.title = self.one([0, 1]), self.one(TITLES)
            special.save()

    def write_passport(self):
        article = self.some(Article)
        if article:
            Passport.objects.update_or_create(article=article, defaults={"number": self.one([0, 1])})

    def write_delete(self):
        if Article.objects.nocache().count() > 8:
            found = self.some(self.one([Article, Special]))
            if found:
                found.delete()

    def write_delete_deferred(self):
        if Article.objects.nocache().count() > 8:
            Article.objects.nocache().only("id").first().delete()

    def write_delete_many(self):
        if Article.objects.nocache().count() > 8:
            Article.objects.filter(number=self.one(NUMBERS[1:]), visible=False).delete()

    def write_delete_category(self):
        if Category.objects.nocache().count() > 3:
            self.some(Category).delete()

    def write_delete_tag(self):
        if Tag.objects.nocache().count() > 2:
            self.some(Tag).delete()

    def write_add_tags(self):
        article, tag = self.some(Article), self.some(Tag)
        if article and tag:
            self.one([article.tags.add, article.tags.remove])(tag)

    def write_set_tags(self):
        article = self.some(Article)
        if article:
            article.tags.set(Tag.objects.nocache().filter(name=self.one(NAMES)))

    def write_clear_tags(self):
        tag = self.some(Tag)
        if tag:
            tag.articles.clear()

    def write_bulk_create(self):
        Article.objects.bulk_create([Article(**self.values()) for _ in range(2)])

    def write_invalidated_update(self):
        Article.objects.filter(self.article_condition(deep=False)).invalidated_update(number=self.one(NUMBERS))

    def write_update(self):
        values = self.values()
        some = {name: values[name] for name in self.random.sample(sorted(values), 2)}
        Article.objects.filter(self.combined(lambda: self.article_condition(deep=False))).update(**some)

    def write_update_special(self):
        Special.objects.filter(discount=0).update(discount=1, title=self.one(TITLES))

    def write_bulk_update(self):
        articles = list(Article.objects.nocache().order_by("pk"))
        articles = self.random.sample(articles, min(3, len(articles)))
        for article in articles:
            article.number, article.title = self.one(NUMBERS), self.one(TITLES)
        Article.objects.bulk_update(articles, ["number", "title"])

    def write_related(self):
        category, article = self.some(Category), self.some(Article)
        if category and article:
            self.one([lambda: category.articles.add(article), lambda: category.articles.clear()])()

    def write_rolled_back(self):
        with transaction.atomic():
            try:
                with transaction.atomic():
                    self.write_save()
                    raise ValueError
            except ValueError:
                pass
            self.write_create()


def row_of(found):
    if found is None:
        return ()
    fields = [field.attname for field in found._meta.concrete_fields]
    return tuple(repr(getattr(found, name)) for name in [*fields, *(["n"] if hasattr(found, "n") else [])])


@pytest.mark.django_db(transaction=True)
@pytest.mark.cures
@pytest.mark.parametrize("seed", SEEDS)
def test_no_write_leaves_a_stale_result(seed):
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval(pg_get_serial_sequence('shop_article', 'id'), 1, false)")
            cursor.execute("SELECT setval(pg_get_serial_sequence('shop_category', 'id'), 1, false)")
            cursor.execute("SELECT setval(pg_get_serial_sequence('shop_tag', 'id'), 1, false)")
    some = Random(seed)
    with override_settings(CACHEOPS_MODULE={"SEE_UPDATES": True}):
        for _ in range(3):
            some.write_category()
            some.write_tag()
        for _ in range(8):
            some.write_create()
        queries = [some.query() for _ in range(QUERIES)]
        results = [run(False) for run, _queryset in queries]
        changed = stale = 0
        for run, _queryset in queries:
            run(True)
        for step in range(WRITES):
            name = some.write()
            for index, (run, queryset) in enumerate(queries):
                right = run(False)
                if right != results[index]:
                    changed += 1
                    results[index] = right
                cached = run(True)
                if cached != right:
                    stale += 1
                    sql = queryset.query if queryset is not None else "union"
                    print(f"seed {seed}, write {step}, {name}: {sql}\n  cached   {cached}\n  database {right}")
    print(f"seed {seed}: {changed} results changed, {stale} answers were stale")
    assert changed > WRITES
    assert stale == 0
