"""`postern mailbox list | sync ID | reconcile ID`: for the operator, who sees no mail by it."""

import sys
from argparse import Namespace

from postern.mail.events import notify
from postern.mailboxes.connection import unchecked
from postern.mailboxes.models import Mailbox
from postern.wire.errors import MailError, quoted


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
    rows = Mailbox.objects.select_related("owner", "health").defer("owner__password")
    boxes = list(rows.order_by("pk"))
    for box in boxes:
        health = getattr(box, "health", None)
        state = health.get_state_display() if health else "Not started"
        server = f"{box.imap_username} at {box.imap_host}" if box.imap_host else "no IMAP server yet"
        loose = unchecked(box)
        mark = f"  CERTIFICATE NOT CHECKED ({', '.join(loose)})" if loose else ""
        print(f"{box.pk:>4}  {box.owner.email}  {server}  {state}{mark}")
    if not boxes:
        print("No mailbox is set up yet.")
    return 0


def _sync(mailbox_id: int) -> int:
    """Ask the running sync process to visit now, also when it had given up on this mailbox."""
    notify("postern_mailboxes", {"mailbox": mailbox_id, "id": mailbox_id})
    print(f"Mailbox {mailbox_id} is read now, if `postern up` or `postern worker` runs.")
    return 0


def _reconcile(mailbox_id: int) -> int:
    from postern.sync.reconcile import reconcile

    try:
        report = reconcile(mailbox_id)
    except MailError as error:
        print(f"postern: mailbox {mailbox_id}: {error} {quoted(error.server_text)}".rstrip(), file=sys.stderr)
        return 1
    print(report)
    return 0 if report.complete else 1
