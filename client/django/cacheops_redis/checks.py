"""`manage.py check --deploy` asks the server whether it can be used."""

from __future__ import annotations

import redis
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from . import server


@checks.register("cacheops_redis", deploy=True)
def check_server(app_configs, **kwargs) -> list[checks.CheckMessage]:
    try:
        server.handshake()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="cacheops_redis.E001")]
    except redis.RedisError as error:
        return [checks.Warning(f"the server of cacheops does not answer: {error}", id="cacheops_redis.W001")]
    return []
