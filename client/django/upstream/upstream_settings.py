"""Settings of django-cacheops' own tests with the bridge: theirs, other ports, and one application more.

`CACHEOPS_BRIDGE=0` leaves the bridge out, for comparison.
"""

import os

from tests.settings import *  # noqa: F403

if os.environ.get("CACHEOPS_BRIDGE", "1") == "1":
    INSTALLED_APPS.insert(INSTALLED_APPS.index("cacheops") + 1, "cacheops_redis")  # noqa: F405

CACHEOPS_REDIS = {**CACHEOPS_REDIS, "port": int(os.environ["CACHEOPS_TEST_PORT"])}  # noqa: F405

if "CACHEOPS_TEST_PG_PORT" in os.environ:
    for _database in DATABASES.values():  # noqa: F405
        _database["PORT"] = os.environ["CACHEOPS_TEST_PG_PORT"]
        _database["ENGINE"] = "django.db.backends.postgresql"  # postgresql_psycopg2 is gone

# They take all databases for one without saying so. With the bridge a profile has to say it: the rows of one database
# are no answer for another.
CACHEOPS_DEFAULTS = {**CACHEOPS_DEFAULTS, "db_agnostic": True}  # noqa: F405
