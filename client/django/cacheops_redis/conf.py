"""The one setting of the bridge, `CACHEOPS_MODULE`: a dict, all of whose keys may be left out."""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


class Options(NamedTuple):
    KEY_PREFIX: str = "co1:"
    """Stands between CACHEOPS_PREFIX and the rest of a key. Keeps entries apart from the strings of the Lua scripts."""

    SEE_UPDATES: bool = True
    """UPDATE of many rows, and writes of models without a profile, invalidate what they may concern."""

    READ_FUNCTIONS: tuple[str, ...] = ()
    """Functions of the database's own that do not write. After others, a transaction caches nothing."""

    FLUSHDB: bool = False
    """`invalidate_all()` empties the whole database of the server, as cacheops does without the module."""

    OUTBOX_ROWS: int = 10_000
    """Rows that are remembered while the server is away. Beyond, whole tables are remembered in their place."""

    FOLD_TEXT: bool | None = None
    """A collation decides which letters beyond ASCII are equal. None: decided by the engines in DATABASES."""

    VIEWS: dict[str, list[str]] = {}
    """What is below a view: the label of its unmanaged model, or its name, and the models or tables it reads."""

    PURE_FUNCTIONS: tuple[str, ...] = ()
    """Functions of the database that make their result of their arguments alone. Others are not cached."""

    MOVING: str | None = None
    """While a site moves: 'lua' or 'module' serves all reads, and changes invalidate in both."""

    @property
    def pure_functions(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.PURE_FUNCTIONS)

    @property
    def read_functions(self) -> frozenset[str]:
        return self.pure_functions | {name.lower() for name in self.READ_FUNCTIONS}


_options: Options | None = None


def options() -> Options:
    global _options
    if _options is None:
        _options = _read(getattr(settings, "CACHEOPS_MODULE", {}))
    return _options


def _read(given: dict) -> Options:
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f"CACHEOPS_MODULE must be a dict, it is {given!r}")
    unknown = set(given) - set(Options._fields)
    if unknown:
        raise ImproperlyConfigured(
            f"CACHEOPS_MODULE has unknown keys {sorted(unknown)}, known are {', '.join(Options._fields)}"
        )
    read = Options(**given)
    if not isinstance(read.KEY_PREFIX, str) or not read.KEY_PREFIX or read.KEY_PREFIX[0] in "qa":
        raise ImproperlyConfigured(
            f"CACHEOPS_MODULE['KEY_PREFIX'] is {read.KEY_PREFIX!r}, it must be a text that does not begin with q or a, "
            "so that no key is one of the Lua scripts"
        )
    if read.MOVING not in (None, "lua", "module"):
        raise ImproperlyConfigured(f"CACHEOPS_MODULE['MOVING'] is {read.MOVING!r}, it must be None, 'lua' or 'module'")
    if not isinstance(read.VIEWS, dict) or not all(isinstance(below, (list, tuple)) for below in read.VIEWS.values()):
        raise ImproperlyConfigured(
            f"CACHEOPS_MODULE['VIEWS'] is {read.VIEWS!r}, it must be a dict like {{'app.View': ['app.Model', 'table']}}"
        )
    if isinstance(read.PURE_FUNCTIONS, str):
        raise ImproperlyConfigured(
            f"CACHEOPS_MODULE['PURE_FUNCTIONS'] is {read.PURE_FUNCTIONS!r}, it must be a list of names"
        )
    if not isinstance(read.OUTBOX_ROWS, int) or read.OUTBOX_ROWS < 1:
        raise ImproperlyConfigured(f"CACHEOPS_MODULE['OUTBOX_ROWS'] is {read.OUTBOX_ROWS!r}, it must be 1 or more")
    if isinstance(read.READ_FUNCTIONS, str) or not all(isinstance(name, str) for name in read.READ_FUNCTIONS):
        raise ImproperlyConfigured(
            f"CACHEOPS_MODULE['READ_FUNCTIONS'] is {read.READ_FUNCTIONS!r}, it must be a list of names of functions"
        )
    return read


def _forget(setting: str, **_kwargs) -> None:
    global _options
    if setting == "CACHEOPS_MODULE":
        _options = None


setting_changed.connect(_forget, weak=False)
