"""Passwords open for their own row and place, with their own key, and for nothing else."""

import dataclasses

import pytest
from django.db import ProgrammingError, connection, transaction

from postern.mail.access import at_mailbox, viewing_as
from postern.mailboxes import secrets
from postern.mailboxes.models import Mailbox, Secret, SystemEmail
from postern.mailboxes.secrets import Place, SecretError, read_secret, seal, unseal

from .people import make_mailbox, make_staff

HERE = Place("imap", "imap.example.com", 993, "marta", "ssl")


@pytest.fixture
def key_file(tmp_path, settings_key):
    path = tmp_path / "secret.key"
    path.write_text("11" * 32 + "\n")
    settings_key(path)
    return path


@pytest.fixture
def settings_key(monkeypatch):
    from django.conf import settings

    return lambda path: monkeypatch.setattr(settings, "KEY_FILE", path)


def test_a_password_comes_back_whole(key_file):
    for password in ("x", "pässwörd ✓", "with spaces ", 'quo"te\\'):
        assert unseal(seal(password, "mailbox 1 imap", HERE), "mailbox 1 imap", HERE) == password


def test_the_same_password_never_looks_the_same(key_file):
    assert seal("x", "mailbox 1 imap", HERE) != seal("x", "mailbox 1 imap", HERE)


@pytest.mark.parametrize(
    ("owner", "change"),
    [
        ("mailbox 2 imap", {}),
        ("mailbox 1 smtp", {}),
        ("probe 1", {}),
        ("mailbox 1 imap", {"protocol": "smtp"}),
        ("mailbox 1 imap", {"host": "imap.evil.example"}),
        ("mailbox 1 imap", {"port": 143}),
        ("mailbox 1 imap", {"user": "marta2"}),
        ("mailbox 1 imap", {"security": "none"}),
        ("mailbox 1 imap", {"host": 'imap.example.com", 993', "port": 993}),
    ],
)
def test_moved_or_redirected_it_does_not_open(key_file, owner, change):
    sealed = seal("x", "mailbox 1 imap", HERE)
    with pytest.raises(SecretError) as caught:
        unseal(sealed, owner, dataclasses.replace(HERE, **change))
    assert caught.value.code == "secret_unreadable"
    assert not caught.value.temporary


def test_any_changed_byte_is_noticed(key_file):
    sealed = seal("x", "mailbox 1 imap", HERE)
    for at in range(len(sealed)):
        bent = bytearray(sealed)
        bent[at] ^= 1
        with pytest.raises(SecretError):
            unseal(bytes(bent), "mailbox 1 imap", HERE)
    for length in range(len(sealed)):
        with pytest.raises(SecretError):
            unseal(sealed[:length], "mailbox 1 imap", HERE)


def test_an_empty_password_is_refused(key_file):
    with pytest.raises(ValueError, match="empty"):
        seal("", "mailbox 1 imap", HERE)


def test_an_older_key_still_opens_and_a_lost_one_says_so(key_file):
    sealed = seal("x", "o", HERE)
    key_file.write_text("22" * 32 + "\n" + "11" * 32 + "\n")
    assert unseal(sealed, "o", HERE) == "x"
    assert seal("x", "o", HERE)[1:5] != sealed[1:5]
    key_file.write_text("22" * 32 + "\n")
    with pytest.raises(SecretError, match="another key"):
        unseal(sealed, "o", HERE)


@pytest.mark.parametrize("content", ["", "not hex", "11" * 31])
def test_a_damaged_key_file_encrypts_nothing(key_file, content):
    key_file.write_text(content)
    with pytest.raises(SecretError, match="key file"):
        seal("x", "o", HERE)


def test_web_writes_a_password_and_cannot_read_it(db, acting_as):
    marta = make_staff("marta")
    mailbox = make_mailbox(marta)
    with viewing_as(marta), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        list(Secret.objects.values_list("ciphertext"))
    for role, field in (("sync", "imap"), ("send", "smtp")):
        with acting_as(role), at_mailbox(mailbox.pk):
            assert read_secret(mailbox, field) == "correct horse"


def test_the_row_holds_no_password(db, acting_as):
    mailbox = make_mailbox(make_staff("marta"))
    with acting_as("superuser"), connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(s)::text, ciphertext FROM mailboxes_secret s")
        rows = cursor.fetchall()
    assert len(rows) == 2
    assert all(b"correct" not in bytes(raw) and "correct" not in text for text, raw in rows)
    assert mailbox.has_imap_secret


@pytest.mark.rule("S-093")
def test_a_ciphertext_moved_to_a_colleagues_row_does_not_open(db, acting_as):
    mine, other = make_mailbox(make_staff("marta")), make_mailbox(make_staff("elena"))
    with acting_as("superuser"):
        stolen = Secret.objects.get(mailbox=mine, field="imap").ciphertext
        Secret.objects.filter(mailbox=other, field="imap").update(ciphertext=stolen)
    with acting_as("sync"):
        with at_mailbox(other.pk), pytest.raises(SecretError) as refused:
            read_secret(other, "imap")
        assert refused.value.code == "secret_unreadable"
        with at_mailbox(mine.pk):
            assert read_secret(mine, "imap") == "correct horse"


def test_a_host_changed_behind_our_back_does_not_get_the_password(db, acting_as):
    mailbox = make_mailbox(make_staff("marta"))
    with acting_as("superuser"):
        Mailbox.objects.filter(pk=mailbox.pk).update(imap_host="imap.evil.example")
    refusal = pytest.raises(SecretError, match="other connection settings")
    with acting_as("sync"), at_mailbox(mailbox.pk), refusal:
        read_secret(Mailbox.objects.get(pk=mailbox.pk), "imap")


def test_the_systems_password_is_bound_to_its_server(db, acting_as):
    with acting_as("superuser"):
        system = SystemEmail(pk=1, smtp_host="smtp.northlink.example", smtp_username="office")
        system.save()
        secrets.store_system_secret(system, "company")
    with acting_as("send"):
        assert secrets.read_system_secret() == "company"
    with acting_as("superuser"):
        SystemEmail.objects.update(smtp_host="smtp.evil.example")
    with acting_as("send"), pytest.raises(SecretError):
        secrets.read_system_secret()


def test_no_password_says_so(db, acting_as):
    mailbox = make_mailbox(make_staff("marta"), smtp_host="")
    with acting_as("send"), at_mailbox(mailbox.pk):
        with pytest.raises(SecretError) as caught:
            read_secret(mailbox, "smtp")
        assert caught.value.code == "secret_missing"
        with pytest.raises(SecretError):
            secrets.read_system_secret()
