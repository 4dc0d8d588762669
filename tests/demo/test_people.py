"""The demo's people: saved through the models, and enough of them unknown to sort out."""

import pytest

from postern.demo.accounts import ELENA, MARTA, TOM
from postern.demo.inboxes import BOXES
from postern.demo.letters import person
from postern.demo.people import CLIENTS, seed
from postern.mailboxes.models import Mailbox
from postern.mailboxes.secrets import read_secret
from postern.mime.addresses import normalise
from postern.people.models import Address, Customer, Staff


@pytest.fixture
def team(db, acting_as):
    with acting_as("owner"):
        yield seed(imap_port=10143, smtp_port=10587)


def test_marta_has_a_mailbox_and_elena_has_none(team):
    box = Mailbox.objects.get()
    assert box.owner == team.marta
    assert (box.imap_ready, box.sent_folder, box.historic) == (True, "Sent", True)
    assert (box.imap_port, box.smtp_port) == (10143, 10587)
    assert read_secret(box, "imap") == read_secret(box, "smtp") != ""


def test_roles(team):
    assert set(Staff.objects.values_list("email", "role")) == {
        (MARTA, "admin"),
        (ELENA, "admin"),
        (TOM, "super"),
    }


def test_nobody_can_sign_in_with_a_password(team):
    for staff in (team.marta, team.elena, team.tom):
        assert not staff.has_usable_password()


def test_every_client_is_saved_with_its_addresses(team):
    assert Customer.objects.count() == len(CLIENTS)
    saved = set(Address.objects.values_list("customer__number", "email"))
    assert saved == {(client.number, email) for client in CLIENTS for email in client.addresses}


def test_addresses_are_written_as_matching_needs_them():
    for client in CLIENTS:
        for email in client.addresses:
            assert normalise(email) == email


def test_some_authors_are_known_and_some_are_not():
    known = {email for client in CLIENTS for email in client.addresses}
    incoming = [letter for letter in BOXES[MARTA] if letter.folder == "INBOX"]
    unknown = [letter for letter in incoming if person(letter.sender).address not in known]
    assert len(incoming) >= 12
    assert 4 <= len(unknown) <= len(incoming) - 4
