"""`postern up`: PostgreSQL, web, sync and send in one process tree on one machine."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import FrameType
from typing import Any

from postern.project.children import Child
from postern.project.database import (
    DatabaseError,
    Server,
    data_dir,
    external_url,
    outdated,
    pooler_url,
    prepare,
    require_pooler,
    require_role,
    server_version,
    undurable,
)
from postern.project.keyfile import ensure_key_file, key_file
from postern.project.runas import drop
from postern.project.schema import require_current

log = logging.getLogger(__name__)

DRAIN = 30.0  # seconds the children get to finish after SIGTERM
WEB_DRAIN = 8  # seconds requests under way get


class Refused(Exception):
    """Postern will not start like this; the message says why and what to do."""


@dataclass(frozen=True)
class Listen:
    """Where the pages are served."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Listen":
        """Read `host:port`, `[::1]:port` or a bare port; raises Refused when it is none of these."""
        host, _, port = text.rpartition(":")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise Refused(f"POSTERN_LISTEN must look like 127.0.0.1:8000, not {text!r}")
        return cls(host.strip("[]") or "127.0.0.1", int(port))

    @classmethod
    def from_environment(cls) -> "Listen":
        """Read POSTERN_LISTEN; 127.0.0.1:8000 when unset."""
        return cls.parse(os.environ.get("POSTERN_LISTEN") or "127.0.0.1:8000")

    @property
    def url(self) -> str:
        """The address to open in a browser on this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    def check(self) -> None:
        """Raise Refused for plain HTTP beyond this machine, and for a port that is taken."""
        if not is_loopback(self.host) and os.environ.get("POSTERN_BEHIND_TLS_PROXY") != "1":
            raise Refused(
                f"Postern speaks plain HTTP and would show mail to anybody on the way to {self.host}. "
                "Listen on 127.0.0.1 behind a proxy that does TLS; if the proxy is on another machine, "
                "set POSTERN_BEHIND_TLS_PROXY=1."
            )
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise Refused(f"cannot listen on {self.host}:{self.port}: {error.strerror}") from error

    def answers(self) -> bool:
        """True when something accepts connections there."""
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return False


def is_loopback(host: str) -> bool:
    """True for localhost and the loopback addresses."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def this_program(*arguments: str) -> list[str]:
    """Return the command line that runs `postern` with these arguments."""
    return [sys.executable, "-m", "postern.project.cli", *arguments]


def migrate_in_child(env: Mapping[str, str] | None = None) -> None:
    """Run `postern migrate` as the owner of the tables; raises Refused when it fails."""
    done = subprocess.run(
        this_program("migrate", "--quiet"),
        env={**os.environ, **(env or {}), "POSTERN_ROLE": "owner"},
        check=False,
        start_new_session=True,  # Ctrl-C is for us: we end it, without a trace of its own on the screen
    )
    if done.returncode != 0:
        raise Refused("the database could not be brought up to date; see the message above")


@contextlib.contextmanager
def installation(*, share: bool = False) -> Iterator[Server | None]:
    """The database, running and up to date, and the key file. Yields the embedded server, if it is ours.

    share=True: for a single command; uses the PostgreSQL that `postern up` runs, or starts it meanwhile.
    """
    ensure_key_file(key_file())
    if external_url():
        if not share:
            prepare()
            require_sessions("owner", "web", "sync", "send")
            migrate_in_child()
        yield None
        return
    if pooler_url():
        require_pooler()  # says that it is for an external server
    with Server(data_dir(), share=share, patience=10) as server:
        if server.owned:
            prepare(server)
            migrate_in_child()
        yield server if server.owned else None


class Tree:
    """The child processes of one machine. env: further environment for each of them."""

    def __init__(
        self, roles: tuple[str, ...], *, server: Server | None, env: Mapping[str, str] | None = None
    ):
        self.server = server
        self.children = [
            Child(role, this_program(role), {**(env or {}), "POSTERN_ROLE": role}) for role in roles
        ]
        self._pause = 0.0

    def __enter__(self) -> "Tree":
        for child in self.children:
            child.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    def tend(self) -> None:
        """Bring back whatever died, PostgreSQL first. Call this a few times a second."""
        if self.server is not None and self.server.died() and time.monotonic() >= self._pause:
            log.warning("PostgreSQL ended; starting it again")
            try:
                self.server.start()
            except DatabaseError as error:
                log.error("%s", error)
                self._pause = time.monotonic() + 5
        for child in self.children:
            child.tend()

    def stop(self) -> None:
        """Let all children finish, at most DRAIN seconds in all, then end them."""
        deadline = time.monotonic() + DRAIN
        for child in self.children:
            child.ask_to_stop()
        for child in self.children:
            child.wait(deadline - time.monotonic())


class StopSignal:
    """Turns SIGTERM and SIGINT into a flag while it is entered."""

    def __init__(self) -> None:
        self.seen = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.seen:  # asked twice: whoever waits does not want to wait
            raise KeyboardInterrupt
        self.seen = True


def tend_until_stopped(tree: Tree, stop: StopSignal, *, each: Callable[[], None] | None = None) -> None:
    """Look after the tree until a signal asks to stop; `each` runs at every look."""
    while not stop.seen:
        tree.tend()
        if each is not None:
            each()
        time.sleep(0.2)


def up() -> None:
    """Run everything until SIGTERM or SIGINT. Raises Refused or DatabaseError before anything is served."""
    listen = Listen.from_environment()
    listen.check()
    become_unprivileged()
    with StopSignal() as stop, installation() as server, Tree(("web", "sync", "send"), server=server) as tree:
        warn_of_the_server()
        announced = False

        def announce() -> None:
            nonlocal announced
            if not announced and listen.answers():
                announced = True
                print(f"Postern is ready: {listen.url}", flush=True)

        tend_until_stopped(tree, stop, each=announce)
        print("Postern stops.", flush=True)


def require_sessions(*roles: str) -> None:
    """Make sure that the database's sessions are what these processes need. Raises DatabaseError."""
    for role in roles:
        require_role(role)
    if "web" in roles and pooler_url():
        require_pooler()


def warn_of_the_server() -> None:
    """Say loudly when the database may forget what it acknowledged (R-011), or has known holes in its wall (S-074)."""
    if advice := outdated(server_version()):
        log.warning("%s", advice)
    for name in undurable():
        log.warning(
            "PostgreSQL runs with %s = off: a crash of this machine would lose mail. Set %s = on and start again.",
            name,
            name,
        )


def worker() -> None:
    """Run sync and send without pages: for further machines beside one database. Needs POSTERN_DATABASE_URL."""
    if not external_url():
        raise Refused("`postern worker` is for several machines with one database: set POSTERN_DATABASE_URL.")
    become_unprivileged()
    require_sessions("sync", "send")
    require_current("sync")
    warn_of_the_server()
    with StopSignal() as stop, Tree(("sync", "send"), server=None) as tree:
        tend_until_stopped(tree, stop)


def become_unprivileged() -> None:
    """Leave root behind where that is possible, with the key file in the hands of the new user."""
    path = key_file()
    os.environ["POSTERN_SECRET_KEY_FILE"] = str(path)
    os.environ["POSTERN_DATA_DIR"] = str(data_dir())
    if os.geteuid() == 0:
        ensure_key_file(path)
        drop(data_dir(), owns=[path])


def serve_web() -> None:
    """Serve the pages in this process until SIGTERM."""
    from uvicorn import Config

    from postern.project.serving import PageServer

    require_sessions("web")
    listen = Listen.from_environment()
    (data_dir() / "static").mkdir(
        parents=True, exist_ok=True
    )  # whitenoise warns about a folder that is not there
    proxied = os.environ.get("POSTERN_BEHIND_TLS_PROXY") == "1"
    config = Config(
        "postern.project.asgi:application",
        host=listen.host,
        port=listen.port,
        http="h11",
        ws="none",
        lifespan="off",
        log_level=os.environ.get("POSTERN_LOG_LEVEL", "WARNING").lower(),
        access_log=False,
        server_header=False,
        proxy_headers=proxied,
        forwarded_allow_ips=os.environ.get("POSTERN_TRUSTED_PROXIES", "127.0.0.1"),
        timeout_graceful_shutdown=WEB_DRAIN,
    )
    server = PageServer(config)
    server.run()
    if not server.started:
        raise SystemExit(1)
