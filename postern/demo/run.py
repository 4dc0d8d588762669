"""`postern demo`: a provider's morning on this machine, with nothing to set up and nothing left behind."""

from __future__ import annotations

import argparse
import os
import signal
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from postern.demo.people import Team
    from postern.demo.place import Place
    from postern.demo.post_office import PostOffice

ROLES = ("web", "sync", "send")
FIRST_LETTER, EACH_LETTER = 15.0, 40.0  # seconds
START_LIMIT = 60.0  # seconds until the pages answer


class StopFlag(Protocol):
    """Says whether somebody asked to stop."""

    seen: bool


@dataclass(frozen=True)
class Machinery:
    """What the floor above lends, as that floor may not be imported from here (postern.project.processes)."""

    become_unprivileged: Callable[[], None]
    installation: Callable[[], AbstractContextManager[Any]]
    tree: Callable[..., AbstractContextManager[Any]]
    tend: Callable[..., None]
    stop_signal: Callable[[], AbstractContextManager[StopFlag]]
    answers: Callable[[], bool]


def parser() -> argparse.ArgumentParser:
    """Return the demo's own options."""
    options = argparse.ArgumentParser(prog="postern demo")
    options.add_argument("--once", action="store_true")
    options.add_argument("--keep", action="store_true")
    options.add_argument("--port", type=int)
    return options


def main(arguments: Sequence[str], machinery: Machinery) -> int:
    """Run until Ctrl-C, or take the tour once; returns the exit status."""
    from postern.demo.place import Place

    chosen = parser().parse_args(arguments)
    place = Place.make(chosen.port)
    place.enter()
    try:
        machinery.become_unprivileged()
        with machinery.stop_signal() as stop:
            # A closed terminal ends the demo as Ctrl-C does.
            signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
            return _stoppable(place, machinery, stop, once=chosen.once)
    finally:
        if chosen.keep:
            print(f"The data stays in {place.data}, its key in {place.key}.")
        else:
            place.remove()


def _stoppable(place: Place, machinery: Machinery, stop: StopFlag, *, once: bool) -> int:
    try:
        return _run(place, machinery, stop, once=once)
    except Exception:
        if stop.seen:  # Ctrl-C reaches a migration or PostgreSQL's start too: no news to whoever pressed it
            return 0
        raise


def _run(place: Place, machinery: Machinery, stop: StopFlag, *, once: bool) -> int:
    from postern.demo.post_office import PostOffice

    print("Starting a PostgreSQL, a mail server and Postern, all on this machine ...", flush=True)
    answer_after = (2.0, 3.0) if once else (20.0, 40.0)
    with PostOffice(answer_after=answer_after) as post, machinery.installation() as database:
        if stop.seen:
            return 0
        team = _seed(post)
        os.environ["POSTERN_DEMO_HINT"] = hint(post)
        with machinery.tree(ROLES, server=database) as tree:
            session = Session(place, machinery, post, team, tree, stop)
            session.wait_for_pages()
            if stop.seen:
                return 0
            return session.tour() if once else session.watch()


def _seed(post: PostOffice) -> Team:
    """Save the people. This process may do so as owner of the tables: it serves nobody."""
    import django

    os.environ["POSTERN_ROLE"] = "owner"
    django.setup()
    from django.db import connections

    from postern.demo.people import seed

    team = seed(imap_port=post.imap_port, smtp_port=post.smtp_port)
    connections.close_all()
    return team


def hint(post: PostOffice) -> str:
    """Return what to type to set Elena's mailbox up, in a sentence."""
    from postern.demo.accounts import ELENA, PASSWORDS

    return (
        f"Elena’s account is {ELENA}, password {PASSWORDS[ELENA]}. IMAP server 127.0.0.1, port {post.imap_port}; "
        f"SMTP server 127.0.0.1, port {post.smtp_port}; security None for both."
    )


@dataclass
class Session:
    """A demo that runs."""

    place: Place
    machinery: Machinery
    post: PostOffice
    team: Team
    tree: Any
    stop: StopFlag
    _due: float = 0.0

    def wait_for_pages(self) -> None:
        """Return when the pages answer or somebody asked to stop; SystemExit when they do not in time."""
        deadline = time.monotonic() + START_LIMIT
        while not self.stop.seen and not self.machinery.answers():
            if time.monotonic() > deadline:
                raise SystemExit(f"postern: the pages did not start within {START_LIMIT:.0f} seconds")
            self.tree.tend()
            time.sleep(0.2)

    def watch(self) -> int:
        """Print where to look, let customers write, until somebody stops it."""
        print(self.welcome(), flush=True)
        self._due = time.monotonic() + FIRST_LETTER
        self.machinery.tend(self.tree, self.stop, each=self._maybe_deliver)
        print("\nThe demo stops and leaves nothing behind.", flush=True)
        return 0

    def tour(self) -> int:
        """Take the tour through the API and print what there is to see."""
        from postern.demo.tour import take

        return take(self)

    def _maybe_deliver(self) -> None:
        if time.monotonic() >= self._due:
            self.post.next_letter()
            self._due = time.monotonic() + EACH_LETTER

    def door(self, name: str) -> str:
        """Return the ready sign-in of marta, elena or tom."""
        from postern.web.setup.views import demo_token

        return f"{self.place.url}/demo-sign-in/{demo_token(getattr(self.team, name))}/"

    def welcome(self) -> str:
        """Return what the terminal shows."""
        from postern.demo.accounts import COMPANY

        return f"""
{COMPANY} is open. Marta Lindqvist looks after customers; this is her inbox:

    {self.door("marta")}

In a second browser (or a private window):
  Elena Ruiz, a colleague      {self.door("elena")}
  Tom Okafor, who runs it all  {self.door("tom")}

Elena has no mailbox in Postern yet; under My Profile, Email the page says what to type:
{textwrap.fill(hint(self.post), 96, initial_indent="  ", subsequent_indent="  ")}

A customer writes every {EACH_LETTER:.0f} seconds, and customers answer what you send them.
Everybody here is invented and no mail leaves this machine. Ctrl-C ends it."""
