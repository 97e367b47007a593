"""Models whose writes Django makes without a signal, or after a read that decides about them."""

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Person(models.Model):
    name = models.CharField(max_length=100)
    friends = models.ManyToManyField("self")


class Team(models.Model):
    name = models.CharField(max_length=100)


class Player(models.Model):
    name = models.CharField(max_length=100)
    team = models.ForeignKey(Team, models.CASCADE, null=True, related_name="players")

    class Meta:
        order_with_respect_to = "team"


class Owner(models.Model):
    """Is protected while a Claim names it."""


class Claim(models.Model):
    owner = models.ForeignKey(Owner, models.PROTECT)


def default_shelf():
    default_shelf.calls += 1
    return Shelf.objects.get_or_create(name="default")[0].pk


default_shelf.calls = 0


class Shelf(models.Model):
    name = models.CharField(max_length=100)


class Book(models.Model):
    title = models.CharField(max_length=100)
    shelf = models.ForeignKey(Shelf, models.SET_DEFAULT, default=default_shelf, related_name="books")


class Bare(models.Model):
    """Only a key: saving it reads whether the row is there."""

    number = models.IntegerField(primary_key=True)


class Note(models.Model):
    text = models.CharField(max_length=100)
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.IntegerField()
    about = GenericForeignKey()


class Noted(models.Model):
    notes = GenericRelation(Note)


class Kept(models.Model):
    """Is stored in the cache when it is saved."""

    title = models.CharField(max_length=100)
    number = models.IntegerField(default=0)


class Loud(models.Model):
    """Runs code of its own whenever an instance is made of a row."""

    made = 0
    title = models.CharField(max_length=100)

    @classmethod
    def from_db(cls, *args):
        cls.made += 1
        return super().from_db(*args)


class Unlisted(models.Model):
    """Has no profile."""

    name = models.CharField(max_length=100)


class Listed(models.Model):
    title = models.CharField(max_length=100)
    unlisted = models.ForeignKey(Unlisted, models.CASCADE, related_name="listed")
