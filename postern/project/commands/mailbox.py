"""`postern mailbox list | sync ID | reconcile ID`: for the operator, who sees no mail by it."""

import sys
from argparse import Namespace

from postern.mailboxes.models import Mailbox


def mailbox(chosen: Namespace) -> int:
    """Do what was asked with all mailboxes (list) or with one."""
    if chosen.action == "list":
        return _list()
    found = Mailbox.objects.filter(pk=chosen.id).first() if chosen.id else None
    if found is None:
        print("postern: which mailbox? `postern mailbox list` shows their numbers", file=sys.stderr)
        return 1
    return _sync(found.pk) if chosen.action == "sync" else _reconcile(found.pk)


def _list() -> int:
    for box in Mailbox.objects.select_related("owner").order_by("pk"):
        print(f"{box.pk:>4}  {box.owner.email}  {box.imap_host or 'no IMAP server'}  {box.imap_username}")
    return 0


def _sync(mailbox_id: int) -> int:
    from postern.sync.run import sync_once

    print(sync_once(mailbox_id))
    return 0


def _reconcile(mailbox_id: int) -> int:
    from postern.sync.reconcile import reconcile

    report = reconcile(mailbox_id)
    print(report)
    return 0 if report.complete else 1
