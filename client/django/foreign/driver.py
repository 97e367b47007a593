"""Runs tests/runtests.py of Django's source with cacheops, the bridge and the checks: `driver.py [labels]`.

The applications join those of the test modules when these are known, so that cacheops finds all models.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = "apps.set_installed_apps(settings.INSTALLED_APPS)"
WITH_CACHEOPS = f"settings.INSTALLED_APPS += ['cacheops', 'cacheops_redis']; {PLACE}; import checks; checks.install()"


def main() -> None:
    tests = Path.cwd()
    sys.path[:0] = [str(tests), str(HERE)]
    source = (tests / "runtests.py").read_text()
    if source.count(PLACE) != 1:
        sys.exit(f"{tests}/runtests.py does not have the line {PLACE!r} once, so the applications cannot be added")
    sys.argv = ["runtests.py", "--settings=foreign_settings", "--parallel=1", "--noinput", *sys.argv[1:]]
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    code = compile(source.replace(PLACE, WITH_CACHEOPS), str(tests / "runtests.py"), "exec")
    sys.modules["__main__"].__dict__.update(__name__="__main__", __file__=str(tests / "runtests.py"))
    exec(code, sys.modules["__main__"].__dict__)


main()
