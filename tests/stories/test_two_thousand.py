"""Two thousand letters from a real Dovecot: none missing, none twice, every byte as the server gives it.

The real letters of the folder `shared/letters` beside the repository where it is there; generated ones for
the rest.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from tests.stories.office import Admin
from tests.stories.outsider import letter
from tests.stories.product import wait_for

pytestmark = [pytest.mark.dovecot, pytest.mark.postfix]
ALL, IN_SENT, LATE = 2000, 60, 40
REAL = Path(__file__).resolve().parents[3] / "shared" / "letters"
PROMISED = timedelta(days=300)


def real_letters() -> list[bytes]:
    """Test letters of public mail libraries; [] where they are absent."""
    return [path.read_bytes() for path in sorted(REAL.rglob("*.eml"))]


def generated(number: int, dice: random.Random) -> bytes:
    """A letter as it might be: several scripts, shapes and sizes, sometimes broken."""
    name = dice.choice(["Greta Brandt", "=?utf-8?b?xb1pZ2E=?=", '"Ünal, A."', "李雷", ""])
    sender = f"{name} <sender{dice.randrange(300)}@client{dice.randrange(9)}.test>"
    lines = dice.choice([1, 3, 20, 400])
    text = "".join(f"Line {n} of letter {number}: {dice.random()}\r\n" for n in range(lines))
    kind = dice.randrange(6)
    if kind == 0:
        html = {"MIME_Version": "1.0", "Content_Type": "text/html; charset=utf-8"}
        return letter(sender, "me@isp.test", f"Letter {number}", f"<p>{text}</p>\r\n", **html)
    if kind == 1:  # a boundary that never comes
        broken = {"MIME_Version": "1.0", "Content_Type": 'multipart/mixed; boundary="gone"'}
        return letter(sender, "me@isp.test", f"Letter {number}", text, **broken)
    if kind == 2:
        noise = bytes(dice.choices(range(1, 256), k=2000)).replace(b"\r", b" ").replace(b"\n", b"\r\n")
        return letter(sender, "me@isp.test", f"Letter {number}", "") + noise + b"\r\n"
    if kind == 3:
        return f"Subject: Letter {number} without a sender\r\n\r\n{text}".encode()
    return letter(sender, "me@isp.test", f"Letter {number} ☂", text)


def server_says(admin: Admin, folder: str) -> dict[int, str]:
    """UID to SHA-256, asked by Python's imaplib."""
    return admin.imap.digests(admin.address, folder)


def product_says(admin: Admin, role: str) -> dict[int, str]:
    """UID to SHA-256 of the bytes that are stored, unpacked anew; a UID without a message has ''."""
    rows = admin.office.product.sql(
        "SELECT s.uid, r.data FROM mail_sighting s JOIN mailboxes_folder f ON f.id = s.folder_id"
        " LEFT JOIN mail_raw r ON r.message_id = s.message_id WHERE f.mailbox_id = %s AND f.role = %s",
        admin.mailbox,
        role,
    )
    assert len({uid for uid, _ in rows}) == len(rows)  # each UID once
    unpack = zstandard.ZstdDecompressor().decompress
    return {uid: hashlib.sha256(unpack(bytes(data))).hexdigest() if data else "" for uid, data in rows}


def counted(admin: Admin, query: str) -> int:
    """A number from the database about one mailbox."""
    return int(admin.office.product.sql(query, admin.mailbox)[0][0])


def test_two_thousand_letters_none_missing_none_twice(office, marta):
    dice = random.Random(2026)
    now = datetime.now(UTC)
    real = real_letters()[: ALL - 500]
    letters = real + [generated(n, dice) for n in range(ALL - IN_SENT - LATE - len(real) - 3)]
    letters += letters[-3:]  # the same bytes under another UID are no second message
    dice.shuffle(letters)
    for raw in letters:
        marta.imap.deliver(marta.address, raw, date=now - dice.random() * PROMISED)
    for n in range(IN_SENT):
        raw = letter(marta.address, "greta@client.test", f"Sent {n}")
        marta.imap.append(marta.address, "Sent", raw, flags=["\\Seen"], date=now - dice.random() * PROMISED)

    since = str((now - PROMISED - timedelta(days=2)).date())
    assert marta.saves(historic="on", historic_since=since).status == 200
    for n in range(LATE):  # new mail arrives while the first sync is under way
        marta.gets(f"Late {n}")
    wait_for(lambda: counted(marta, SIGHTED) >= ALL, "the whole import", seconds=240)
    marta.until_health("In sync", seconds=60)

    for folder, role in (("INBOX", "inbox"), ("Sent", "sent")):
        truth = server_says(marta, folder)
        assert product_says(marta, role) == truth
    distinct = set(server_says(marta, "INBOX").values()) | set(server_says(marta, "Sent").values())
    assert counted(marta, MESSAGES) == len(distinct)
    assert counted(marta, f"{MESSAGES} AND quarantined <> ''") == 0
    assert all(marta.imap.flags(marta.address, "INBOX", uid) == set() for uid in (1, 1000, ALL - IN_SENT))

    said = office.product.postern("mailbox", "reconcile", str(marta.mailbox))
    assert f"INBOX: {ALL - IN_SENT} on the server" in said and f"Sent: {IN_SENT} on the server" in said
    assert said.rstrip().endswith("Nothing is missing.")

    # What was lost here by whatever accident is noticed and brought back.
    lost = office.product.sql(
        "SELECT s.id, s.message_id FROM mail_sighting s JOIN mailboxes_folder f ON f.id = s.folder_id"
        " WHERE f.mailbox_id = %s AND s.uid BETWEEN 500 AND 504",
        marta.mailbox,
    )
    for sighting, message in lost:
        office.product.sql("DELETE FROM mail_sighting WHERE id = %s", sighting)
        for table in ("raw", "body", "attachment", "party", "messageread", "sighting", "messagesearch"):
            office.product.sql(f"DELETE FROM mail_{table} WHERE message_id = %s", message)
        office.product.sql("DELETE FROM mail_message WHERE id = %s", message)
    assert counted(marta, SIGHTED) < ALL
    again = office.product.postern("mailbox", "reconcile", str(marta.mailbox))
    assert "fetched just now" in again and again.rstrip().endswith("Nothing is missing.")
    assert product_says(marta, "inbox") == server_says(marta, "INBOX")


SIGHTED = "SELECT count(*) FROM mail_sighting WHERE mailbox_id = %s"
MESSAGES = "SELECT count(*) FROM mail_message WHERE mailbox_id = %s"
