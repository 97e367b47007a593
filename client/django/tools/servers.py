"""Servers for tests and measurements: each with a free port and a directory of its own, and gone when we are."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODULE = Path(os.environ.get("CACHEOPS_MODULE", ROOT / "target/release/libcacheops.so"))
REDIS = os.environ.get("CACHEOPS_SERVER", "redis-server")
START_SECONDS = 30.0


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody uses, and that is given once: until a server listens on it, it is free for all."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def wait_until(condition, what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(0.01)


def _die_with_parent() -> None:
    ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class RedisServer:
    """A server of Redis or Valkey. It keeps its port and its directory when it is killed and started again."""

    def __init__(self, *config: str, module: bool = True):
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix="cacheops-redis-")
        self.config = config
        self.module = module
        self._process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        if self.module and not MODULE.exists():
            raise FileNotFoundError(f"{MODULE} does not exist, run 'make build' or set CACHEOPS_MODULE")
        command = [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory, "--save", ""]
        command += ["--loadmodule", str(MODULE)] if self.module else []
        log = open(Path(self.directory, "log"), "ab")  # noqa: SIM115
        self._process = subprocess.Popen(
            [*command, *self.config], stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent
        )
        log.close()
        wait_until(self._answers, f"redis-server on port {self.port} (log in {self.directory})")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, *config: str) -> None:
        self.kill()
        self.config = config
        self.start()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(Path(self.directory, "log").read_text())
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_exc) -> None:
        self.stop()


class Postgres:
    """A PostgreSQL server without durability, run by an unprivileged user."""

    def __init__(self) -> None:
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix="cacheops-pg-")
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            account = pwd.getpwnam(self.user)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        data = f"{self.directory}/data"
        self._run(_binary("initdb"), "-D", data, "-A", "trust", "-U", "cacheops", "--no-sync", "-E", "UTF8")
        log = open(Path(self.directory, "log"), "ab")  # noqa: SIM115
        settings = {
            "listen_addresses": "127.0.0.1",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": "200",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            self._as_user(_binary("postgres"), "-D", data, "-p", str(self.port), "-k", self.directory, *options),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
            cwd="/",
        )
        log.close()
        ready = [_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "cacheops"]
        wait_until(lambda: subprocess.run(ready).returncode == 0, f"PostgreSQL on port {self.port}")
        for name in ("cacheops", "cacheops_slave"):
            self._run(_binary("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "cacheops", name)

    def stop(self) -> None:
        # setpriv execs, so this is the server itself. SIGINT is its fast shutdown.
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _as_user(self, *command: str) -> list[str]:
        if os.geteuid() != 0:
            return list(command)
        account = pwd.getpwnam(self.user)
        ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--pdeathsig=KILL"]
        return ["setpriv", *ids, *command]

    def _run(self, *command: str) -> None:
        done = subprocess.run(self._as_user(*command), capture_output=True, text=True, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    def __enter__(self) -> Postgres:
        return self

    def __exit__(self, *_exc) -> None:
        self.stop()


def _binary(name: str) -> str:
    for found in [shutil.which(name), *sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]:
        if found:
            return found
    raise FileNotFoundError(f"no {name}: apt-get install postgresql (version 15 or later)")
