"""The Django application.

The functions of cacheops are replaced when this configuration is made, that is before Django imports any models:
whoever writes `from cacheops import invalidate_obj` in a models module gets the new one. cacheops installs itself into
Django later, in its `ready()`, and thereby installs what stands here.
"""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured


class CacheopsRedisConfig(AppConfig):
    name = "cacheops_redis"
    verbose_name = "django-cacheops on the cacheops module"

    def __init__(self, app_name, app_module):
        super().__init__(app_name, app_module)
        from .install import install

        install()

    def ready(self):
        names = [config.name for config in apps.get_app_configs()]
        if "cacheops" not in names:
            raise ImproperlyConfigured("INSTALLED_APPS has no 'cacheops', put it before 'cacheops_redis'")
        if names.index("cacheops") > names.index(self.name):
            raise ImproperlyConfigured("'cacheops_redis' stands before 'cacheops' in INSTALLED_APPS, put it behind")

        from . import checks, conf, fresh_reads, templates  # noqa: F401

        templates.install()
        fresh_reads.install_when_ready()
        conf.options()
