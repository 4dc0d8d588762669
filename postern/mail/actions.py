"""The actions on a message, one class each: label, shortcut, to whom it applies, do and undo.

Row menus, shortcuts, POST addresses and the API all come from this table. Actions belong to the owner of
the mailbox; a reader can only view, and reply where the owner granted it.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.db import transaction

from postern.mail import clock
from postern.mail.access import may_answer
from postern.mail.events import notify
from postern.mail.models import Action, Errand, Message, MessageRead, Party
from postern.mail.pairing import (
    PairingRefused,
    Taken,
    add_address,
    ask_to_unmake,
    file_by_hand,
    follow,
    is_shared,
    put_back,
    remove_address,
    taken_off,
    unfile,
)
from postern.mailboxes.denylist import parse_pattern
from postern.mailboxes.ids import typed_id
from postern.mailboxes.models import DenyEntry
from postern.mime.addresses import domain_of
from postern.people.models import Address, Customer, Staff

UNDO_SECONDS = 10
"""How long the toast offers Undo; the server accepts it a while longer, for slow links."""
_UNDO_GRACE = timedelta(minutes=2)


class ActionRefused(ValueError):
    """An action cannot be done: `code` is stable, the text says what happened and what to do."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class MessageAction:
    """One action on a message. `do` returns the toast's text and what undoing it takes."""

    key: ClassVar[str]
    label: ClassVar[str]
    icon: ClassVar[str]
    shortcut: ClassVar[str] = ""
    unknown: ClassVar[bool] = True
    """Offered where the author is not found."""
    known: ClassVar[bool] = True
    """Offered where the author is a customer or lead."""
    sent: ClassVar[bool] = True
    """Offered on what went out, where the author is the mailbox itself."""
    opens: ClassVar[bool] = False
    """Only opens something (a page, the composer): nothing to perform."""

    def fits(self, message: Message) -> bool:
        """True where the owner is offered this; what is not offered is not done."""
        if message.outgoing:
            return self.sent
        return self.known if message.known else self.unknown

    def do(self, staff: Staff, message: Message, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Do it; raises ActionRefused."""
        raise NotImplementedError

    def undo(self, staff: Staff, data: dict[str, Any]) -> None:
        """Put everything back as it was."""
        raise NotImplementedError


class View(MessageAction):
    key, label, icon, shortcut, opens = "view", "View message", "eye", "Enter", True


class Reply(MessageAction):
    key, label, icon, shortcut, opens, unknown = "reply", "Reply", "reply", "R", True, False


class Forward(MessageAction):
    key, label, icon, shortcut, opens, unknown = "forward", "Forward", "forward", "F", True, False


class Pair(MessageAction):
    """Add the sender's address to a customer or lead; earlier mail from it comes along at once."""

    key, label, icon, shortcut, known, sent = "pair", "Pair to a customer", "link-2", "P", False, False

    def do(self, staff: Staff, message: Message, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        customer = _customer(data.get("customer"))
        if is_shared(message.from_address):
            file_by_hand(message=message, customer=customer)
            return f"Filed under {customer.name}", {"message": message.pk, "customer": customer.pk}
        return f"Paired to {customer.name}", _pair(staff, message, customer)

    def undo(self, staff: Staff, data: dict[str, Any]) -> None:
        _unpair(staff, data)


class Add(MessageAction):
    """Make a customer or lead with the sender's name and address, and pair."""

    key, label, icon, shortcut, known, sent = "add", "Add a customer", "user-round-plus", "A", False, False

    def do(self, staff: Staff, message: Message, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        name = str(data.get("name") or message.from_name or message.from_address).strip()[:200]
        kind = data.get("kind", Customer.Kind.CUSTOMER)
        if kind not in Customer.Kind.values or not name:
            raise ActionRefused("bad_customer", "Type a name, and choose customer or lead.")
        if Address.objects.filter(email=message.from_address, shared=False).exists():
            raise ActionRefused(
                "address_taken", f"{message.from_address} is on a customer or lead already. Use Pair."
            )
        customer = Customer.objects.create(
            name=name,
            kind=kind,
            phone=str(data.get("phone", ""))[:60],
            notes=str(data.get("notes", ""))[:20_000],
            status=Customer.Status.NEW if kind == Customer.Kind.LEAD else Customer.Status.ACTIVE,
        )
        done = _pair(staff, message, customer)
        return f"{customer.get_kind_display()} {customer.name} added", {**done, "made": customer.pk}

    def undo(self, staff: Staff, data: dict[str, Any]) -> None:
        _unpair(staff, data)
        ask_to_unmake(data["made"])


class Block(MessageAction):
    """Put the address, or its domain, on the owner's deny list: new mail from it is no longer stored."""

    key, label, icon, shortcut, sent = "block", "Block email", "ban", "B", False

    def do(self, staff: Staff, message: Message, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        what = data.get("what", "address")
        target = message.from_address if what == "address" else domain_of(message.from_address)
        try:
            pattern = parse_pattern(target)
        except ValueError as error:
            raise ActionRefused(
                "bad_address", f"This sender has no address that could be blocked. {error}"
            ) from error
        entry, made = DenyEntry.objects.get_or_create(mailbox_id=message.mailbox_id, pattern=pattern)
        hidden = _hide_from(message, pattern, what) if data.get("remove") else []
        return f"{pattern} blocked", {"entry": entry.pk if made else None, "hidden": hidden}

    def undo(self, staff: Staff, data: dict[str, Any]) -> None:
        DenyEntry.objects.filter(pk=data["entry"]).delete()
        Message.objects.owned_by(staff).filter(pk__in=data["hidden"]).update(deleted_at=None)


class Delete(MessageAction):
    """Hide it here and remember it; on the server it stays, unless it shall move to Trash too."""

    key, label, icon, shortcut = "delete", "Delete message", "trash-2", "#"

    def do(self, staff: Staff, message: Message, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        now = datetime.now(UTC)
        Message.objects.filter(pk=message.pk).update(deleted_at=now)
        if data.get("trash"):
            due = clock.now() + timedelta(seconds=UNDO_SECONDS + 5)
            again = {"mailbox_id": message.mailbox_id, "not_before": due, "failed_at": None}
            Errand.objects.update_or_create(
                message=message,
                kind=Errand.Kind.TRASH,
                # Begun before, it may have left a copy in Trash: the first attempt now is not the first.
                defaults=again | {"attempts": 1},
                create_defaults=again,
            )
            notify("postern_errands", {"mailbox": message.mailbox_id})
        return f"“{message.subject[:60] or message.who}” deleted", {"message": message.pk}

    def undo(self, staff: Staff, data: dict[str, Any]) -> None:
        rows = Message.objects.owned_by(staff).filter(pk=data["message"])
        Errand.objects.filter(message__in=rows, kind=Errand.Kind.TRASH).delete()
        rows.update(deleted_at=None)


class Unread(MessageAction):
    """Mark as unread, for this person."""

    key, label, icon, shortcut = "unread", "Mark as unread", "mail", "U"

    def do(self, staff: Staff, message: Message, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        MessageRead.objects.filter(staff=staff, message=message).delete()
        return "Marked as unread", {"message": message.pk}

    def undo(self, staff: Staff, data: dict[str, Any]) -> None:
        message = Message.objects.visible_to(staff).filter(pk=data["message"]).first()
        if message is not None:
            mark_read(staff=staff, message=message)


class Unpair(MessageAction):
    """Take the sender's address off the customer again, and its mail becomes Author not found; or, of a message that
    was filed by hand, that one off the customer."""

    key, label, icon, unknown = "unpair", "Unpair", "unlink", False

    def fits(self, message: Message) -> bool:
        if message.outgoing:
            return any(party.by_hand for party in message.parties.all())
        return super().fits(message)

    def do(self, staff: Staff, message: Message, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        by_hand = Party.objects.filter(message=message, by_hand=True).first()
        if by_hand is not None:
            unfile(message=message, customer_id=by_hand.customer_id)
            return "No longer filed here", {
                "again": "by_hand",
                "message": message.pk,
                "customer": by_hand.customer_id,
            }
        address = Address.objects.filter(email=message.from_address).first()
        if message.outgoing or address is None:
            raise ActionRefused("not_paired", "The sender of this message is not paired to anybody.")
        customer = address.customer
        taken = taken_off(staff=staff, address=address)
        return f"Unpaired from {customer.name}", {
            "again": "address",
            "customer": customer.pk,
            "taken": asdict(taken),
        }

    def undo(self, staff: Staff, data: dict[str, Any]) -> None:
        customer = _customer(data["customer"])
        if data["again"] == "by_hand":
            message = Message.objects.owned_by(staff).get(pk=data["message"])
            file_by_hand(message=message, customer=customer)
            return
        _refusing(lambda: put_back(staff=staff, customer=customer, taken=Taken(**data["taken"])))


ACTIONS: dict[str, MessageAction] = {
    cls.key: cls() for cls in (View, Pair, Add, Reply, Forward, Block, Delete, Unread, Unpair)
}


def actions_for(staff: Staff, message: Message) -> list[MessageAction]:
    """Return the actions offered on a message: the owner's five; for a reader View, and Reply where granted."""
    if message.mailbox.owner_id != staff.pk:
        return [ACTIONS["view"], *([ACTIONS["reply"]] if may_answer(staff, message) else [])]
    return [action for action in ACTIONS.values() if action.fits(message)]


def perform(*, staff: Staff, key: str, message: Message, data: dict[str, Any]) -> Action:
    """Do an action and remember how to undo it. Raises ActionRefused."""
    action = ACTIONS.get(key)
    if action is None or action.opens:
        raise ActionRefused("no_such_action", "There is no such action.")
    if message.mailbox.owner_id != staff.pk and key != "unread":
        raise ActionRefused("not_owner", "Only the owner of this mailbox can do that.")
    if not action.fits(message):
        raise ActionRefused("not_offered", "This action is not possible on this message.")
    with transaction.atomic():  # refused half-way leaves nothing behind
        label, undo_data = action.do(staff, message, data)
        return Action.objects.create(staff=staff, key=key, label=label, data=undo_data)


def undo(*, staff: Staff, action_id: int) -> Action:
    """Undo one of the person's own actions. Raises ActionRefused: `nothing_to_undo` or `too_late`."""
    row = Action.objects.select_for_update().filter(staff=staff, pk=action_id, undone_at=None).first()
    if row is None:
        raise ActionRefused("nothing_to_undo", "There is nothing to undo.")
    if row.created_at < datetime.now(UTC) - _UNDO_GRACE:
        raise ActionRefused("too_late", "It is too late to undo this. Do the opposite by hand.")
    with transaction.atomic():
        ACTIONS[row.key].undo(staff, row.data)
        row.undone_at = datetime.now(UTC)
        row.save(update_fields=["undone_at"])
    return row


def mark_read(*, staff: Staff, message: Message) -> None:
    """Remember that this person opened the message. Nothing on the server changes."""
    MessageRead.objects.get_or_create(
        staff=staff, message=message, defaults={"mailbox_id": message.mailbox_id}
    )


def _customer(pk: Any) -> Customer:
    customer = Customer.objects.filter(pk=typed_id(str(pk or ""))).first()
    if customer is None:
        raise ActionRefused("no_such_customer", "Choose a customer or lead from the list.")
    return customer


def _refusing(step: Any) -> Any:
    try:
        return step()
    except PairingRefused as error:
        raise ActionRefused(error.code, str(error)) from error


def _pair(staff: Staff, message: Message, customer: Customer) -> dict[str, Any]:
    kind = Address.Kind.OTHER if customer.addresses.exists() else Address.Kind.MAIN
    already = Address.objects.filter(customer=customer, email=message.from_address).exists()
    address = _refusing(
        lambda: add_address(staff=staff, customer=customer, email=message.from_address, kind=kind)
    )
    return {"address": None if already else address.pk, "customer": customer.pk, "email": address.email}


def _unpair(staff: Staff, data: dict[str, Any]) -> None:
    if "message" in data:
        message = Message.objects.owned_by(staff).get(pk=data["message"])
        unfile(message=message, customer_id=data["customer"])
        return
    address = Address.objects.filter(pk=data["address"], added_by=staff).first()
    if address is not None:
        remove_address(staff=staff, address=address)
    else:
        # It was there before, or is another's by now: the letters count no more than before.
        follow(staff=staff, customer_ids=[data["customer"]], anew=data.get("email", ""))


def _hide_from(message: Message, pattern: str, what: str) -> list[int]:
    rows = Message.objects.filter(mailbox_id=message.mailbox_id, outgoing=False, deleted_at=None)
    if what == "address":
        rows = rows.filter(from_address=pattern)
    else:
        rows = rows.filter(from_address__regex=rf"[@.]{pattern.replace('.', '[.]')}$")
    ids = list(rows.values_list("pk", flat=True))
    Message.objects.filter(pk__in=ids).update(deleted_at=datetime.now(UTC))
    return ids
