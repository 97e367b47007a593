"""What happens when the server does not answer: what CACHEOPS_DEGRADE_ON_FAILURE says, as in cacheops."""

from __future__ import annotations

import functools
import warnings

import redis
from cacheops.conf import settings


def degrades(func):
    """With CACHEOPS_DEGRADE_ON_FAILURE a lost connection is a warning and None, otherwise the error it is."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        try:
            return func(*args, **kwargs)
        except redis.ConnectionError as error:
            if not settings.CACHEOPS_DEGRADE_ON_FAILURE:
                raise
            warnings.warn(f"The cacheops cache is unreachable! Error: {error}", RuntimeWarning, stacklevel=2)
        except redis.TimeoutError as error:
            if not settings.CACHEOPS_DEGRADE_ON_FAILURE:
                raise
            warnings.warn(f"The cacheops cache timed out! Error: {error}", RuntimeWarning, stacklevel=2)
        return None

    return wrapper
