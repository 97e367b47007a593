"""One object with many dependents: `fanout.py dependents`. Prints JSON, in milliseconds."""

import json
import os
import socket
import sys
import threading
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "upstream_settings"

import django

django.setup()

from cacheops import getset, invalidate_obj
from cacheops.redis import redis_client
from tests.models import Post

DEPENDENTS = int(sys.argv[1])


class Pings(threading.Thread):
    """Another client, which asks without pause. The worst answer is kept."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worst = 0.0
        self.going = True
        self.connection = socket.create_connection(("127.0.0.1", int(os.environ["CACHEOPS_TEST_PORT"])))

    def run(self):
        while self.going:
            before = time.perf_counter()
            self.connection.sendall(b"PING\r\n")
            self.connection.recv(64)
            self.worst = max(self.worst, time.perf_counter() - before)
            time.sleep(0.0005)

    def during(self, seconds):
        self.worst = 0.0
        time.sleep(seconds)
        return self.worst


dnfs = {"tests_post": [{"category_id": 1}]}
for number in range(DEPENDENTS):
    key = f"q:{number:032x}"
    with getset.getting(key, dnfs, ""):
        getset.cache_thing("", key, "x" * 100, dnfs, 3600)
assert redis_client.dbsize() >= DEPENDENTS

pings = Pings()
pings.start()
idle = pings.during(1.0)
pings.worst = 0.0
before = time.perf_counter()
invalidate_obj(Post(pk=1, category_id=1, title="x"))
took = time.perf_counter() - before
time.sleep(1.0)  # while the memory is given back
worst = pings.worst
pings.going = False
with getset.getting("q:" + "0" * 32, dnfs, "") as data:
    assert data is None
print(json.dumps({"invalidate": took * 1000, "ping": worst * 1000, "idle": idle * 1000}))
