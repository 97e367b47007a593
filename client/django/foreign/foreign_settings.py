"""Settings of Django's own test suite, with everything cached. Its runner adds the applications."""

import os

import django

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3"},
    "other": {"ENGINE": "django.db.backends.sqlite3"},
}
SECRET_KEY = "foreign"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if django.VERSION < (6, 0):
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False

CACHEOPS_REDIS = {"host": "127.0.0.1", "port": int(os.environ["CACHEOPS_TEST_PORT"])}
CACHEOPS_MODULE = {"SEE_UPDATES": os.environ.get("CACHEOPS_FOREIGN_BLIND") != "1"}
CACHEOPS = {"*.*": {"ops": "all", "timeout": 3600}}
