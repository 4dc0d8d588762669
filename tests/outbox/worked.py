"""Letters written by Marta and worked off by the worker, step by step."""

from datetime import timedelta

from django.utils import timezone

from postern.mail.access import at_mailbox, viewing_as
from postern.outbox import compose, deliver
from postern.outbox.models import Delivery


class Outbox:
    """Writes letters as Marta and works them off as the worker."""

    def __init__(self, marta, mailbox, acting_as) -> None:
        self.marta, self.mailbox, self.acting_as = marta, mailbox, acting_as

    def queue(self, *, customer=None, undo_seconds=0, **changes) -> Delivery:
        with viewing_as(self.marta):
            draft = compose.new(staff=self.marta, mailbox=self.mailbox, customer=customer)
            content = {"to": "daniel@hoffmann.example", "subject": "Hello", "html": "<p>How are you?</p>"}
            draft = compose.save(delivery=draft, **(content | changes))
            return compose.send(delivery=draft, undo_seconds=undo_seconds)

    def work(self, row) -> Delivery:
        with self.acting_as("send"):
            deliver.deliver(mailbox_id=self.mailbox.pk, delivery_id=row.pk)
        return self.look(row)

    def work_later(self, row) -> Delivery:
        """Work when the next attempt is due."""
        with self.acting_as("send"), at_mailbox(self.mailbox.pk):
            Delivery.objects.filter(pk=row.pk).update(send_at=timezone.now())
        return self.work(row)

    def look(self, row) -> Delivery:
        with self.acting_as("web"), viewing_as(self.marta):
            return Delivery.objects.get(pk=row.pk)

    def age(self, row, **fields) -> None:
        """Pretend that the worker took the row long ago."""
        with self.acting_as("send"), at_mailbox(self.mailbox.pk):
            past = timezone.now() - timedelta(minutes=10)
            Delivery.objects.filter(pk=row.pk).update(**({"updated_at": past} | fields))
