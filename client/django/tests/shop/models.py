import uuid

import django
from django.db import models


class Category(models.Model):
    title = models.CharField(max_length=100)


class Tag(models.Model):
    name = models.CharField(max_length=100)


class Article(models.Model):
    title = models.CharField(max_length=100)
    category = models.ForeignKey(Category, models.SET_NULL, null=True, related_name="articles")
    number = models.IntegerField(null=True)
    price = models.DecimalField(max_digits=9, decimal_places=2, null=True)
    weight = models.FloatField(null=True)
    published = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    at = models.TimeField(null=True)
    lasts = models.DurationField(null=True)
    code = models.UUIDField(default=uuid.uuid4)
    visible = models.BooleanField(default=True)
    text = models.TextField(default="")
    tags = models.ManyToManyField(Tag, related_name="articles")


class Special(Article):
    discount = models.IntegerField(default=0)


class Passport(models.Model):
    article = models.OneToOneField(Article, models.CASCADE, null=True)
    number = models.IntegerField(db_column="nr", default=0)


class Unique(models.Model):
    name = models.CharField(max_length=100, unique=True)
    number = models.IntegerField()


class Local(models.Model):
    number = models.IntegerField()


class Saved(models.Model):
    title = models.CharField(max_length=100)
    number = models.IntegerField(default=0)


class VisibleManager(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class Hideable(models.Model):
    title = models.CharField(max_length=100)
    hidden = models.BooleanField(default=False)

    objects = VisibleManager()
    everything = models.Manager()


if django.VERSION >= (5, 0):

    class Computed(models.Model):
        number = models.IntegerField()
        double = models.GeneratedField(
            expression=models.F("number") * 2, output_field=models.IntegerField(), db_persist=True
        )
