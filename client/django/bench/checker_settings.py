"""The models of the bridge's tests, on a server that is already there."""

import os

INSTALLED_APPS = ["cacheops", *(["cacheops_redis"] if os.environ["CACHEOPS_BRIDGE"] == "1" else []), "shop"]
SECRET_KEY = "checker"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
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
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": f"{os.getcwd()}/checker.sqlite",
            "OPTIONS": {"timeout": 20},
        }
    }
CACHEOPS_REDIS = {"host": "127.0.0.1", "port": int(os.environ["CACHEOPS_TEST_PORT"])}
CACHEOPS = {"shop.*": {"timeout": 600}}
CACHEOPS_INSIDEOUT = bool(os.environ.get("CACHEOPS_INSIDEOUT"))
