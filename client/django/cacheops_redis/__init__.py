"""django-cacheops on the cacheops module: the commands of the server take the place of the Lua scripts.

Put `'cacheops_redis'` into INSTALLED_APPS behind `'cacheops'`; no other line of an application changes.
"""

__version__ = "0.1.0"
