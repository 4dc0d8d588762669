"""The database of the tests: one embedded PostgreSQL per test worker, migrated once, emptied before each test (clean.py).

`db` gives a clean database. Code under test meets it as `postern_web`, behind the privacy wall, as in
production; `acting_as("sync")` (send, owner, superuser) changes the role, also for threads started inside.
POSTERN_TEST_DATABASE_URL (a superuser's address) runs the same tests on an external PostgreSQL.
tests/wire and tests/mime touch neither Django nor a database and stay fast.
"""

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import pytest

from tests import clean, order, roles

HERE = Path(__file__).parent
NO_DATABASE = ("wire", "mime")
# The same examples at every run; `./dev soak` looks for new ones.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
if not os.environ.get("POSTERN_SOAK"):
    hypothesis.settings.load_profile("fixed")
_home: Path | None = None
_clockwork: dict[tuple[str, str], Any] = {}


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> None:
    """Set Django up before the first test module that may import a model, and only then."""
    if module_path.is_relative_to(HERE) and module_path.relative_to(HERE).parts[0] not in NO_DATABASE:
        _set_up_django()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files into their order (order.py), so that no worker is left with a slow one at the end.

    Long forms of a test run under `./dev soak` alone; elsewhere each is named among what was skipped.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path.relative_to(HERE), []).append(item)
    items[:] = [item for path in order.spread(files) for item in files[path]]
    if os.environ.get("POSTERN_SOAK"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason=f"soak: {item.name} (./dev soak)"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests noted by `record_property("figure", text)`, and other things they tell."""
    told: dict[str, list[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in (one for one in reports if getattr(one, "when", "") == "call"):
            for name, text in getattr(report, "user_properties", ()):
                told.setdefault(name, []).append(str(text))
    for name, texts in told.items():
        terminalreporter.section(name)
        for text, times in sorted(Counter(texts).items()):
            terminalreporter.write_line(text if times == 1 else f"{text} ({times} times)")


def _set_up_django() -> None:
    global _home
    if _home is not None:
        return
    _home = Path(tempfile.mkdtemp(prefix="postern-test-"))
    _home.chmod(0o755)  # as root the server is another user and must get through to its data
    os.environ["DJANGO_SETTINGS_MODULE"] = "postern.project.settings"
    os.environ["POSTERN_DATA_DIR"] = str(_home / "data")
    os.environ["POSTERN_SECRET_KEY_FILE"] = str(_home / "secret.key")
    os.environ["POSTERN_MAIL_HOSTS"] = "127.0.0.1,localhost"
    os.environ.pop("POSTERN_DATABASE_URL", None)
    if base := os.environ.get("POSTERN_TEST_DATABASE_URL"):
        name = "postern_test_" + os.environ.get("PYTEST_XDIST_WORKER", "main")
        os.environ["POSTERN_DATABASE_URL"] = urlunsplit(urlsplit(base)._replace(path=f"/{name}"))
    from postern.project.keyfile import ensure_key_file

    ensure_key_file(_home / "secret.key")
    import django

    django.setup()
    _hash_quickly()
    _stop_the_clock()


def _stop_the_clock() -> None:
    """What the clock asks a worker for depends on the minute of the day; who wants it takes `clockwork`."""
    from procrastinate.contrib.django import app

    _clockwork.update(app.periodic_registry.periodic_tasks)
    app.periodic_registry.periodic_tasks.clear()


def _hash_quickly() -> None:
    """Passwords are hashed as in production, but not for so long; the stories hash them for real."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    Argon2PasswordHasher.time_cost, Argon2PasswordHasher.memory_cost = 1, 8
    Argon2PasswordHasher.parallelism = 1


def pytest_unconfigure() -> None:
    """Remove what this worker wrote."""
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)


@pytest.fixture
def clockwork() -> dict[tuple[str, str], Any]:
    """Whatever the clock would ask the workers for: procrastinate's periodic tasks by their names."""
    return dict(_clockwork)


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """A running, migrated PostgreSQL for this worker; Django signs in to it as its superuser."""
    _set_up_django()
    from django.db import connections
    from django.db.backends.signals import connection_created

    from postern.project.commands.migrate import migrate
    from postern.project.database import connection_settings

    with _server():
        connections.databases["default"].update(connection_settings("owner"))
        migrate(verbosity=0)
        connections.close_all()
        connections.databases["default"].update(connection_settings("superuser"))
        connection_created.connect(roles.watch)
        clean.remember_seed()
        yield
        connections.close_all()
        connection_created.disconnect(roles.watch)


@contextlib.contextmanager
def _server() -> Iterator[None]:
    from postern.project.database import Server, prepare

    if base := os.environ.get("POSTERN_TEST_DATABASE_URL"):
        _recreate(base, urlsplit(os.environ["POSTERN_DATABASE_URL"]).path.lstrip("/"))
        yield
        return
    with Server(Path(os.environ["POSTERN_DATA_DIR"]), fast=True) as server:
        prepare(server)
        yield


def _recreate(base: str, name: str) -> None:
    """Make an empty database on the external server; roles belong to the whole server, so one at a time."""
    import psycopg

    from postern.project.database import prepare

    with psycopg.connect(base, autocommit=True) as db:
        db.execute("SELECT pg_advisory_lock(7007)")
        db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        db.execute(f"CREATE DATABASE {name}")
        prepare()


@pytest.fixture
def db(database: None) -> Iterator[None]:
    """A clean database; Django works in it as postern_web."""
    clean.reset()
    yield
    clean.renew_session()


@pytest.fixture
def acting_as() -> Callable[..., AbstractContextManager[None]]:
    """`with acting_as("sync"): ...` does database work as that role: web sync send owner superuser."""
    return roles.acting_as
