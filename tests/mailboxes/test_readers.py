"""Only the owner grants and revokes."""

from datetime import timedelta

import pytest
from django.utils import timezone

from postern.mail.access import viewing_as, visible_keys
from postern.mailboxes.models import Mailbox, Reader
from postern.mailboxes.readers import grant, in_words, revoke
from postern.mailboxes.save import SettingsError

from .people import make_mailbox, make_staff


@pytest.fixture
def people(db):
    marta, elena, bo = (make_staff(n) for n in ("marta", "elena", "bo"))
    return marta, elena, bo, make_mailbox(marta)


def test_a_grant_opens_and_a_revocation_shuts(people):
    marta, elena, _, box = people
    make_mailbox(elena)
    with viewing_as(marta):
        grant(staff=marta, mailbox=box, reader=elena)
        grant(staff=marta, mailbox=box, reader=elena, incoming_only=True)
    with viewing_as(elena):
        assert set(visible_keys(elena)) >= {box.pk * 4, box.pk * 4 + 1}
        assert box.pk * 4 + 2 not in visible_keys(elena)
    with viewing_as(marta):
        revoke(staff=marta, mailbox=box, reader=elena)
    with viewing_as(elena):
        assert box.pk * 4 not in visible_keys(elena)


def test_nobody_else_grants(people):
    marta, elena, bo, box = people
    sue = make_staff("sue", role="super")
    with viewing_as(marta):
        grant(staff=marta, mailbox=box, reader=elena)
    for who in (elena, sue):
        with viewing_as(who):
            for reader in (who, bo):
                with pytest.raises(Mailbox.DoesNotExist):
                    grant(staff=who, mailbox=box, reader=reader)
            with pytest.raises(Mailbox.DoesNotExist):
                revoke(staff=who, mailbox=box, reader=elena)
    with viewing_as(marta):
        assert [r.staff_id for r in Reader.objects.filter(mailbox=box)] == [elena.pk]


def test_senseless_grants_are_refused(people):
    marta, elena, bo, box = people
    bo.is_active = False
    with viewing_as(marta):
        for reader, ends_at in ((marta, None), (bo, None), (elena, timezone.now() - timedelta(seconds=1))):
            with pytest.raises(SettingsError):
                grant(staff=marta, mailbox=box, reader=reader, ends_at=ends_at)
        assert not Reader.objects.exists()


def test_the_grant_in_words():
    assert (
        in_words(Reader())
        == "Incoming and sent mail of the whole mailbox. Drafts and blind copies stay yours alone."
    )
    narrow = Reader(incoming_only=True, customers_only=True)
    assert in_words(narrow).startswith("Incoming mail only in customers’ conversations.")
