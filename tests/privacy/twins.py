"""Actors whose every outcome is another's: who may read no more is a colleague, who is disabled is a stranger.

They differ from the actors of the matrix in what they leave behind: a grant that is over or was taken back, marks
on what they read, a session and a token from before.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from postern.mail.access import viewing_as
from postern.mail.actions import mark_read
from postern.mail.models import Action, Message
from postern.mailboxes.models import Reader
from postern.people.models import Staff
from tests.privacy.scene import Scene
from tests.world import make_mailbox

TWINS = {"exreader": "colleague", "expired": "colleague", "disabled": "stranger"}
"""The actor -> whose outcome it has in every row."""


def add_twins(scene: Scene) -> None:
    """Let them come in as readers, look at the owner's mail, and lose the right to."""
    for name in TWINS:
        with scene.acting_as("superuser"):
            staff = Staff.objects.create_staff(email=f"{name}@isp.example", name=name.title(), password=None)
            make_mailbox(staff)
            Reader.objects.create(mailbox=scene.world.mailbox, staff=staff, may_reply=True)
        scene.sign_in(name, staff)
        with viewing_as(staff):
            message = Message.objects.visible_to(staff).get(pk=scene.ids["known"])
            mark_read(staff=staff, message=message)
            Action.objects.create(staff=staff, key="unread", label="x", data={"message": message.pk})
    with scene.acting_as("superuser"):
        rows = Reader.objects.filter(mailbox=scene.world.mailbox)
        rows.filter(staff=scene.staff["exreader"]).delete()
        rows.filter(staff=scene.staff["expired"]).update(ends_at=timezone.now() - timedelta(seconds=1))
        Staff.objects.filter(pk=scene.staff["disabled"].pk).update(is_active=False)
