"""CACHEOPS_SENTINEL and CACHEOPS_CLIENT_CLASS: in a process of its own, since cacheops connects once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from bridge_settings import SERVER
from servers import REDIS, RedisServer, _die_with_parent, free_port, wait_until

PROGRAM = """
import django, os
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["cacheops", "cacheops_redis", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True, CACHEOPS={"*.*": {"ops": "all", "timeout": 60}}, **eval(os.environ["SETTINGS"]))
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.contenttypes.models import ContentType
from cacheops.redis import redis_client
redis_client.ping()
print(ContentType.objects.filter(model="x").count())
ContentType.objects.create(app_label="x", model="x")
print(ContentType.objects.filter(model="x").count())
print(len(redis_client.keys("co1:as:*")), type(redis_client).__name__)
"""


def run(settings):
    environment = {**os.environ, "SETTINGS": repr(settings)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def server():
    with RedisServer() as started:
        yield started


def test_a_url(server):
    done = run({"CACHEOPS_REDIS": f"redis://127.0.0.1:{server.port}/3"})
    assert done.stdout.split() == ["0", "1", "1", "Redis"], done.stderr


def test_a_client_class(server):
    done = run({"CACHEOPS_REDIS": {"port": server.port}, "CACHEOPS_CLIENT_CLASS": "redis.StrictRedis"})
    assert done.stdout.split()[:3] == ["0", "1", "1"], done.stderr


def test_the_client_class_of_a_cluster():
    with RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as cluster:
        client = redis.Redis(port=cluster.port)
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")), "the cluster")
        for client_class in ("redis.RedisCluster", "redis.Redis"):
            address = {"host": "127.0.0.1", "port": cluster.port}
            done = run({"CACHEOPS_REDIS": address, "CACHEOPS_CLIENT_CLASS": client_class})
            assert "ImproperlyConfigured: the server that CACHEOPS_REDIS names is part of a cluster" in done.stderr


def test_another_serializer(server):
    done = run({"CACHEOPS_REDIS": {"port": server.port}, "CACHEOPS_SERIALIZER": "dill"})
    assert done.stdout.split()[:3] == ["0", "1", "1"], done.stderr


def test_a_sentinel(server, tmp_path):
    port = free_port()
    config = Path(tmp_path, "sentinel.conf")
    config.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {server.port} 1\n")
    sentinel = subprocess.Popen(
        [REDIS, str(config), "--sentinel"], stdout=subprocess.DEVNULL, preexec_fn=_die_with_parent
    )
    try:

        def answers():
            try:
                return redis.Redis(port=port).ping()
            except redis.ConnectionError:
                return False

        wait_until(answers, "the sentinel")
        done = run(
            {"CACHEOPS_SENTINEL": {"locations": [("127.0.0.1", port)], "service_name": "main", "socket_timeout": 5}}
        )
    finally:
        sentinel.kill()
        sentinel.wait()
    assert done.stdout.split()[:3] == ["0", "1", "1"], done.stderr


@pytest.mark.parametrize(
    ("apps", "text"),
    [
        (["cacheops_redis", "cacheops"], "stands before 'cacheops' in INSTALLED_APPS"),
        (["cacheops_redis"], "has no 'cacheops'"),
    ],
)
def test_the_order_of_applications(apps, text):
    program = PROGRAM.replace('["cacheops", "cacheops_redis", "django.contrib.contenttypes"]', repr(apps))
    environment = {**os.environ, "SETTINGS": repr({"CACHEOPS_REDIS": {"port": SERVER.port}})}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert "ImproperlyConfigured" in done.stderr
    assert text in done.stderr
