"""What is read in ways of its own: a self-made field, a view, a model whose writes nobody looks at."""

import django
from django.db import models


class Scrambled(models.IntegerField):
    """Is another number in the database than in Python."""

    def get_db_prep_save(self, value, connection):
        return None if value is None else super().get_db_prep_save(value ^ 1, connection)

    def from_db_value(self, value, expression, connection):
        return None if value is None else value ^ 1


class Team(models.Model):
    name = models.CharField(max_length=100)


class Player(models.Model):
    name = models.CharField(max_length=100, null=True)
    team = models.ForeignKey(Team, models.CASCADE, related_name="players")
    mentor = models.ForeignKey("self", models.SET_NULL, null=True, related_name="pupils")
    number = models.IntegerField(default=0)
    code = Scrambled(null=True)


class Frame(models.Model):
    """Has no profile."""

    wood = models.CharField(max_length=100)


class Painting(models.Model):
    title = models.CharField(max_length=100)
    frame = models.ForeignKey(Frame, models.CASCADE, null=True)
    about = models.JSONField(null=True)
    image = models.BinaryField(null=True)


class Roster(models.Model):
    """A view of players."""

    name = models.CharField(max_length=100)

    class Meta:
        managed = False
        db_table = "gallery_roster"


if django.VERSION >= (5, 2):

    class Seat(models.Model):
        pk = models.CompositePrimaryKey("row", "number")
        row = models.IntegerField()
        number = models.IntegerField()
        name = models.CharField(max_length=100, default="")


if django.VERSION >= (6, 1):

    class Owner(models.Model):
        name = models.CharField(max_length=100)

    class Pet(models.Model):
        owner = models.ForeignKey(Owner, models.DB_CASCADE)
        name = models.CharField(max_length=100)

    class Toy(models.Model):
        pet = models.ForeignKey(Pet, models.DB_CASCADE)
        name = models.CharField(max_length=100)

    class Cage(models.Model):
        pet = models.ForeignKey(Pet, models.DB_SET_NULL, null=True)
        name = models.CharField(max_length=100)
