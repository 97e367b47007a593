"""Settings of the bridge's own tests, and the server that they run on: one for all, gone with the process."""

import os
import tempfile

from redis.backoff import NoBackoff
from redis.retry import Retry
from servers import RedisServer

SERVER = RedisServer()
BRIDGE = os.environ.get("CACHEOPS_BRIDGE", "1") == "1"

INSTALLED_APPS = [
    "cacheops",
    *(["cacheops_redis"] if BRIDGE else []),
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "shop",
    "gallery",
    "stock",
]
SECRET_KEY = "tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]

if "CACHEOPS_TEST_PG_PORT" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "cacheops",
            "USER": "cacheops",
            "HOST": "127.0.0.1",
            "PORT": os.environ["CACHEOPS_TEST_PG_PORT"],
        }
    }
else:
    # A file in WAL mode: transactions of several threads, each with a snapshot.
    _directory = tempfile.mkdtemp(prefix="cacheops-sqlite-")
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": f"{_directory}/db.sqlite",
            "TEST": {"NAME": f"{_directory}/test.sqlite"},
            "OPTIONS": {"timeout": 20},
        }
    }
    DATABASES["default"]["DIRECTORY"] = _directory

DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}

CACHEOPS_REDIS = {
    "host": "127.0.0.1",
    "port": SERVER.port,
    "socket_timeout": 3,
    "retry": Retry(NoBackoff(), 0),  # a server that is away is away
}
CACHEOPS_DEFAULTS = {"timeout": 600}
CACHEOPS = {
    "shop.local": {"local_get": True, "ops": {"get"}},
    "shop.saved": {"cache_on_save": True, "ops": {"get"}},
    "shop.*": {},
    "stock.kept": {"cache_on_save": True, "ops": {"get"}},
    "stock.unlisted": None,
    "stock.*": {},
    "auth.*": {},
    "gallery.team": {},
    "gallery.player": {"ops": "get"},
    "gallery.painting": {},
    "gallery.seat": {},
    "gallery.owner": {},
    "gallery.pet": {},
    "gallery.toy": {},
    "gallery.cage": {},
    "gallery.roster": {},
}
