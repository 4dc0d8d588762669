"""Yesterday's backup is put in place, and the mail server is as it is today: everything is here once (R-012)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from postern.mail.access import at_mailbox
from postern.mail.models import Errand, Message
from postern.project import backup
from postern.project.processes import migrate_in_child
from postern.sync.memory import Memories
from postern.sync.reconcile import reconcile

from .box import USER, letter
from .elsewhere import second_installation

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-012")]


@pytest.fixture
def restored(monkeypatch):
    """Put a backup into a new installation and let everything after work there."""
    with second_installation(monkeypatch, fast=True) as (_, turn):

        def put(file):
            turn()
            backup.restore(file, force=False)
            migrate_in_child()

        yield put


def test_the_next_visit_brings_what_came_since_and_nothing_twice(box, dovecot, restored, tmp_path):
    box.change(mark_as_read=True)
    box.visit()
    for subject in ("one", "two", "three"):
        dovecot.deliver(USER, letter(subject))
    dovecot.append(USER, "Sent", letter("mine"))
    box.visit()
    box.errand(Errand.Kind.TRASH, "one")
    backup.dump(tmp_path / "yesterday")
    dovecot.deliver(USER, letter("since"))
    dovecot.append(USER, "Sent", letter("mine since"))
    box.visit()  # carries the errand out as well, which the backup knows as owed
    last = dovecot.uids(USER, "Trash")

    restored(tmp_path / "yesterday")
    assert sorted(box.subjects()) == ["mine", "one", "three", "two"]
    box.memories = Memories()
    box.visit()
    box.visit()
    assert sorted(box.subjects()) == ["mine", "mine since", "one", "since", "three", "two"]
    assert box.errands() == [] and dovecot.uids(USER, "Trash") == last
    assert len(dovecot.uids(USER)) == 3 and len(dovecot.uids(USER, "Sent")) == 2
    assert reconcile(box.mailbox.pk).complete
    with at_mailbox(box.mailbox.pk):
        assert Message.objects.values("sha256").distinct().count() == 6
        assert Message.objects.filter(received_at__gt=timezone.now() - timedelta(hours=1)).count() == 6
