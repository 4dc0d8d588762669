"""Settings are saved whole or not at all, and every fault is named by its field."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from postern.mail.access import at_mailbox, viewing_as
from postern.mailboxes.models import DenyEntry, Mailbox, MailboxHealth, Secret, SystemEmail
from postern.mailboxes.save import SettingsError, accept_certificate, save_mailbox, save_system_email
from postern.mailboxes.secrets import read_secret, read_system_secret
from tests.roles import allow_unchecked

from .people import SETTINGS, make_mailbox, make_staff


@pytest.fixture
def marta(db):
    return make_staff("marta")


@pytest.fixture
def mailbox(marta):
    return make_mailbox(marta)


def save(staff, mailbox, **data):
    with viewing_as(staff):
        return save_mailbox(staff=staff, mailbox=mailbox, data=data)


@pytest.fixture
def everything(acting_as):
    """A function that returns all there is in the settings' tables."""

    def look() -> list[object]:
        with acting_as("superuser"), connection.cursor() as cursor:
            state = []
            for table in ("mailbox", "secret", "denyentry", "mailboxhealth", "systememail", "systemsecret"):
                cursor.execute(f"SELECT t::text FROM mailboxes_{table} t ORDER BY 1")
                state.append(cursor.fetchall())
        return state

    return look


@pytest.fixture
def refused(everything):
    """A function that returns the error saving raises, and proves that nothing was saved."""

    def attempt(staff, mailbox, **data) -> SettingsError:
        before = everything()
        with pytest.raises(SettingsError) as caught:
            save(staff, mailbox, **data)
        assert everything() == before
        return caught.value

    return attempt


def password(mailbox, field, acting_as):
    with acting_as({"imap": "sync", "smtp": "send"}[field]), at_mailbox(mailbox.pk):
        return read_secret(Mailbox.objects.get(pk=mailbox.pk), field)


def test_a_new_mailbox_is_saved_with_everything(marta, acting_as):
    box = make_mailbox(marta, deny_list="spam.example # loud\n# only a note\n*@Deals.Example", tracking="on")
    with viewing_as(marta):
        kept = Mailbox.objects.get(pk=box.pk)
        assert kept.imap_ready and kept.has_smtp_secret and kept.tracking
        assert [str(e) for e in DenyEntry.objects.filter(mailbox=box)] == [
            "spam.example # loud",
            "# only a note",
            "deals.example",
        ]
        assert MailboxHealth.objects.get(mailbox=box).state == "new"
    assert password(box, "imap", acting_as) == password(box, "smtp", acting_as) == "correct horse"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("imap_host", "imap example.com", "spaces"),
        ("imap_host", "https://imap.example.com/", "http://"),
        ("imap_host", "-bad-.example", "not a server’s name"),
        ("imap_host", "localhost.localdomain", "not"),
        ("imap_host", "169.254.169.254", "not the address"),
        ("imap_host", "imap.example.com\r\nX", "control characters"),
        ("imap_port", "0", "1 to 65535"),
        ("imap_port", "65536", "1 to 65535"),
        ("imap_port", "abc", "1 to 65535"),
        ("imap_port", "", "1 to 65535"),
        ("imap_port", "-993", "1 to 65535"),
        ("imap_port", "22", "not a port for mail"),
        ("imap_security", "none", "without encryption"),
        ("imap_security", "opportunistic", "Choose one of"),
        ("smtp_auth", "ntlm", "Choose one of"),
        ("smtp_security", "none", "without encryption"),
        ("address", "marta", "@ is missing"),
        ("address", "", "empty"),
        ("address", "Marta <marta@northlink.example>", "without a name"),
        ("reply_to", "marta@", "not an e-mail address"),
        ("reply_to", "a@b.example\r\nBcc: c@d.example", "control"),
        ("tracking", "perhaps", "yes or no"),
        ("process", "some", "Choose one of"),
        ("sent_folder", "INBOX", "inbox"),
        ("sent_folder", "Drafts", "drafts"),
        ("sent_folder", "Papierkorb", "deleted"),
        ("sent_folder", "Junk", "junk"),
        ("historic_since", "yesterday", "date like"),
        ("deny_list", "good.example\nnonsense line", "Line 2:"),
        ("use_system_smtp", "on", "not set up yet"),
        ("owner", "1", "no such setting"),
        ("imap_pinned_sha256", "ab", "no such setting"),
        ("has_imap_secret", "1", "no such setting"),
    ],
)
def test_each_fault_is_named_by_its_field(marta, mailbox, field, value, says, refused):
    error = refused(marta, mailbox, **{field: value, "mark_as_read": "on"})
    assert says in " ".join(error.fields[field])
    assert error.code == "invalid"


def test_strangers_are_forgotten_after_a_number_of_days(marta, mailbox, refused):
    for days in ("0", "3651", "soon"):
        error = refused(marta, mailbox, only_customers="on", stranger_days=days)
        assert "number" in error.fields["stranger_days"][0]
    kept = save(marta, mailbox, only_customers="on", stranger_days="7")
    assert (kept.only_customers, kept.stranger_days) == (True, 7)


def test_all_faults_are_told_at_once(marta, mailbox, refused):
    error = refused(marta, mailbox, imap_port="0", address="x", deny_list="a b", reply_to="c")
    assert set(error.fields) == {"imap_port", "address", "deny_list", "reply_to"}


def test_line_seven_of_the_deny_list_is_named(marta, mailbox, refused):
    text = "\n".join([f"d{n}.example" for n in range(6)] + ["!!!", "d8.example"])
    assert refused(marta, mailbox, deny_list=text).fields["deny_list"][0].startswith("Line 7:")


def test_history_needs_a_date_that_is_not_in_the_future(marta, mailbox, refused):
    tomorrow = timezone.localdate() + timedelta(days=1)
    assert "Choose the date" in refused(marta, mailbox, historic="on").fields["historic_since"][0]
    error = refused(marta, mailbox, historic="on", historic_since=tomorrow.isoformat())
    assert "future" in error.fields["historic_since"][0]
    kept = save(marta, mailbox, historic="on", historic_since=timezone.localdate().isoformat())
    assert kept.historic_since == timezone.localdate()


def test_none_is_for_hosts_the_operator_allowed(marta):
    box = make_mailbox(marta, imap_host="127.0.0.1", imap_port=143, imap_security="none")
    assert box.imap_security == "none"


@pytest.mark.rule("S-029")
@pytest.mark.parametrize(
    "change",
    [
        {"imap_host": "imap.evil.example"},
        {"imap_port": "143"},
        {"imap_username": "elena"},
        {"imap_security": "starttls"},
        {"smtp_host": "smtp.evil.example"},
        {"smtp_port": "587"},
        {"smtp_security": "starttls"},
    ],
)
def test_a_change_of_place_needs_the_password_again(marta, mailbox, change, acting_as, refused):
    error = refused(marta, mailbox, **change, imap_password="")
    assert error.code == "password_needed"
    assert set(error.fields) == {"imap_password"}
    assert "again" in error.fields["imap_password"][0]
    kept = save(marta, mailbox, **change, imap_password="new one")
    assert password(kept, "imap", acting_as) == password(kept, "smtp", acting_as) == "new one"


@pytest.mark.rule("S-029")
def test_a_retyped_equal_place_needs_no_password(marta, mailbox, acting_as):
    kept = save(marta, mailbox, imap_host=" IMAP.northlink.example. ", imap_port="993", imap_password="")
    assert kept.imap_host == "imap.northlink.example"
    assert password(kept, "imap", acting_as) == "correct horse"


def test_a_password_of_its_own_for_smtp(marta, mailbox, acting_as, refused):
    error = refused(marta, mailbox, smtp_username="sender")
    assert error.code == "password_needed" and set(error.fields) == {"smtp_password"}
    kept = save(marta, mailbox, smtp_username="sender", smtp_password="other")
    assert password(kept, "smtp", acting_as) == "other"
    assert password(kept, "imap", acting_as) == "correct horse"
    assert "smtp_username" in refused(marta, kept, smtp_username="", smtp_password="x").fields


def test_a_typed_password_never_comes_back(marta, mailbox):
    assert "correct horse" not in repr(vars(mailbox))


def test_only_smtp_is_enough(marta, acting_as):
    box = make_mailbox(marta, imap_host="")
    assert not box.has_imap_secret and box.has_smtp_secret
    assert password(box, "smtp", acting_as) == "correct horse"


def test_no_authentication_needs_no_password(marta):
    box = make_mailbox(marta, imap_host="", imap_password="", smtp_auth="none")
    assert not box.has_smtp_secret


def test_leaving_out_the_server_forgets_its_password(marta, mailbox, acting_as):
    kept = save(marta, mailbox, imap_host="")
    assert not kept.has_imap_secret
    with acting_as("superuser"):
        assert list(Secret.objects.values_list("field", flat=True)) == ["smtp"]


@pytest.mark.parametrize("missing", ["imap_username", "imap_password"])
def test_a_server_without_a_way_in_is_refused(marta, missing, refused):
    assert missing in refused(marta, None, **(SETTINGS | {missing: ""})).fields


def test_the_pinned_certificate_goes_with_its_host(marta, mailbox, acting_as):
    allow_unchecked()
    save(marta, mailbox, imap_skip_validation="on")
    with acting_as("sync"), at_mailbox(mailbox.pk):
        Mailbox.objects.filter(pk=mailbox.pk).update(imap_pinned_sha256="ab" * 32)
    assert save(marta, mailbox, mark_as_read="on").imap_pinned_sha256 == "ab" * 32
    kept = save(marta, mailbox, imap_host="imap2.northlink.example", imap_password="x")
    assert kept.imap_pinned_sha256 == ""
    with acting_as("sync"), at_mailbox(mailbox.pk):
        Mailbox.objects.filter(pk=mailbox.pk).update(imap_pinned_sha256="ab" * 32)
    assert save(marta, mailbox, imap_skip_validation="off").imap_pinned_sha256 == ""


def test_a_changed_certificate_is_accepted_only_as_shown(marta, mailbox, acting_as):
    allow_unchecked()
    save(marta, mailbox, imap_skip_validation="on")
    with acting_as("sync"):
        MailboxHealth.objects.filter(mailbox=mailbox).update(seen_sha256="cd" * 32)
    with viewing_as(marta):
        with pytest.raises(SettingsError):
            accept_certificate(staff=marta, mailbox=mailbox, seen_sha256="ee" * 32)
        with pytest.raises(SettingsError):
            accept_certificate(staff=marta, mailbox=mailbox, seen_sha256="")
        kept = accept_certificate(staff=marta, mailbox=mailbox, seen_sha256="cd" * 32)
    assert kept.imap_pinned_sha256 == "cd" * 32


def test_the_supervisor_hears_of_it_only_when_it_is_saved(marta, mailbox, acting_as, refused):
    import json

    import psycopg

    from postern.project.database import libpq

    with psycopg.connect(**libpq("superuser"), autocommit=True) as listener:
        listener.execute("LISTEN postern_mailboxes")
        refused(marta, mailbox, imap_port="0")
        before = mailbox.settings_version
        assert save(marta, mailbox, mark_as_read="on").settings_version == before + 1
        heard = [json.loads(n.payload) for n in listener.notifies(timeout=5, stop_after=1)]
        assert heard == [{"mailbox": mailbox.pk}]
        assert list(listener.notifies(timeout=0.1)) == []


def test_a_colleagues_mailbox_is_not_there(marta, mailbox, everything):
    elena = make_staff("elena")
    before = everything()
    for who in (elena, make_staff("sue", role="super")):
        with viewing_as(who), pytest.raises(Mailbox.DoesNotExist):
            save_mailbox(staff=who, mailbox=mailbox, data={"reply_to": ""})
    assert everything() == before


def test_the_same_address_twice_is_refused(marta, mailbox, refused):
    assert "already" in refused(marta, None, **SETTINGS).fields["address"][0]


SYSTEM = {
    "sender_email": "office@northlink.example",
    "sender_name": "Northlink",
    "smtp_host": "smtp.northlink.example",
    "smtp_username": "office",
    "smtp_password": "company secret",
    "sending": "on",
    "hourly_limit": "100",
}


def test_the_companys_account_is_the_super_administrators(db, acting_as, everything):
    sue, marta = make_staff("sue", role="super"), make_staff("marta")
    with viewing_as(sue):
        system = save_system_email(staff=sue, data=SYSTEM)
    assert system.has_smtp_secret and system.hourly_limit == 100
    with acting_as("send"):
        assert read_system_secret() == "company secret"
    before = everything()
    with viewing_as(marta), pytest.raises(PermissionDenied):
        save_system_email(staff=marta, data={"smtp_host": "smtp.evil.example"})
    assert everything() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sender_email": "office"}, "sender_email"),
        ({"sender_email": ""}, "sender_email"),
        ({"sender_email": "Office <office@northlink.example>"}, "sender_email"),
        ({"smtp_host": ""}, "smtp_host"),
        ({"smtp_port": "80"}, "smtp_port"),
        ({"smtp_host": "smtp.evil.example"}, "smtp_password"),
        ({"smtp_username": "root"}, "smtp_password"),
        ({"smtp_security": "starttls"}, "smtp_password"),
        ({"smtp_username": ""}, "smtp_username"),
        ({"hourly_limit": "-1"}, "hourly_limit"),
        ({"id": "2"}, "id"),
    ],
)
def test_the_companys_account_refuses(db, change, field, everything):
    sue = make_staff("sue", role="super")
    with viewing_as(sue):
        save_system_email(staff=sue, data=SYSTEM)
    before = everything()
    with viewing_as(sue), pytest.raises(SettingsError) as caught:
        save_system_email(staff=sue, data=change)
    assert field in caught.value.fields
    assert everything() == before
    assert SystemEmail.objects.count() == 1
