"""`postern letters scan` and `postern rebuild`: for the operator, who sees no mail by them."""

import sys
from argparse import Namespace

from postern.mail.letterstore import LetterStoreDown
from postern.mail.rebuild import rebuild as rebuild_mailbox
from postern.mail.scan import scan
from postern.mailboxes.models import Mailbox


def letters(chosen: Namespace) -> int:
    """Compare every raw letter with its SHA-256, and look for bytes that belong to no letter."""
    try:
        found = scan(remove=chosen.remove)
    except LetterStoreDown as error:
        print(f"postern: {error}. Nothing was judged; try again when it answers.", file=sys.stderr)
        return 1
    for mailbox, message, wrong in found.missing:
        print(f"mailbox {mailbox}, message {message}: {wrong}")
    for place in found.orphans:
        print(f"{place}: belongs to no letter{', removed' if chosen.remove else ''}")
    lost = len(found.missing)
    print(
        f"{found.letters} letters, "
        + (f"{lost} missing or damaged." if lost else "all there, byte for byte.")
    )
    if lost:
        print("`postern mailbox reconcile ID` says which of them the mail server still has.")
    return 0 if found.sound else 1


def rebuild(chosen: Namespace) -> int:
    """Make everything that is made from raw letters anew, one mailbox after the other."""
    boxes = Mailbox.objects.order_by("pk")
    ids = list((boxes.filter(pk=chosen.id) if chosen.id else boxes).values_list("pk", flat=True))
    if chosen.id and not ids:
        print("postern: which mailbox? `postern mailbox list` shows their numbers", file=sys.stderr)
        return 1
    whole = True
    for mailbox_id in ids:
        try:
            report = rebuild_mailbox(mailbox_id)
        except LetterStoreDown as error:
            print(f"postern: mailbox {mailbox_id} is as it was: {error}", file=sys.stderr)
            return 1
        print(f"Mailbox {mailbox_id}: {report}.")
        whole = whole and not report.missing
    return 0 if whole else 1
