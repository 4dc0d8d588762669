"""Two at the same moment: one letter."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from postern.mail.access import viewing_as
from postern.outbox import compose, deliver
from postern.outbox.models import Delivery

from .test_compose import jobs, written


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Run each in its own thread and connection, started together; returns results and exceptions."""
    start, results = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        try:
            start.wait()
            results.append(act())
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.rule("R-042")
@pytest.mark.parametrize("same_draft", [True, False])
def test_one_key_in_four_requests_at_once(marta, mailbox, acting_as, same_draft):
    drafts = [written(marta, mailbox)] * 4 if same_draft else [written(marta, mailbox) for _ in range(4)]

    def ask(draft: Delivery) -> Callable[[], object]:
        def act() -> object:
            with viewing_as(marta):
                return compose.send(delivery=draft, key="k1").pk

        return act

    results = at_once(*(ask(draft) for draft in drafts))
    assert len(results) == 4 and len(set(results)) == 1, results
    assert len(jobs(acting_as)) == 1


def test_four_workers_on_one_delivery(outbox, server, acting_as):
    row = outbox.queue()
    with acting_as("send"):
        work = lambda: deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)  # noqa: E731
        assert at_once(work, work, work, work) == [None] * 4
    assert outbox.look(row).state == "accepted" and len(server.taken) == 1


@pytest.mark.rule("R-049")
def test_undo_against_the_worker(outbox, server, marta, acting_as):
    for _ in range(5):
        row, before = outbox.queue(), len(server.taken)

        def undo(row: Delivery = row) -> object:
            with acting_as("web", everywhere=False), viewing_as(marta):
                return compose.undo_send(delivery=row)

        def work(row: Delivery = row) -> object:
            with acting_as("send", everywhere=False):
                return deliver.deliver(mailbox_id=outbox.mailbox.pk, delivery_id=row.pk)

        results = at_once(undo, work)
        refused = [r for r in results if isinstance(r, compose.ComposeError)]
        sent = len(server.taken) - before
        assert (sent, len(refused), outbox.look(row).state) in ((1, 1, "accepted"), (0, 0, "draft"))
