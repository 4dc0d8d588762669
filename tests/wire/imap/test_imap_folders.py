"""Which folder is for what: by the server's word, by its name in twenty languages, and never by guessing."""

import pytest

from postern.wire.imap.folders import (
    FolderInfo,
    choose_sent_folder,
    choose_trash_folder,
    folder_info,
    sent_folder_refused,
)
from postern.wire.imap.mutf7 import encode_mutf7
from postern.wire.imap.responses import Folder


def folders(*rows: str, delimiter: str | None = "/") -> list[FolderInfo]:
    """``"name"`` or ``"name \\Flag \\Flag"``."""
    found = []
    for row in rows:
        name, _, flags = row.partition(" \\")
        told = frozenset("\\" + flag for flag in flags.split(" \\") if flag)
        info = folder_info(Folder(told, delimiter, encode_mutf7(name)))
        assert info is not None
        found.append(info)
    return found


def name(found: FolderInfo | None) -> str | None:
    return found.name if found else None


@pytest.mark.parametrize(
    ("rows", "sent"),
    [
        (["INBOX", "Sent", "Out \\Sent"], "Out"),
        (["INBOX", "[Gmail]/Gesendet \\Sent", "Sent"], "[Gmail]/Gesendet"),
        (["INBOX", "Sent \\Trash"], None),
        (["INBOX", "Sent \\NoSelect", "Sent Items"], "Sent Items"),
        (["INBOX", "INBOX/Sent"], "INBOX/Sent"),
        (["INBOX", "Customers/Sent", "Gesendete Objekte"], "Gesendete Objekte"),
        (["INBOX", "Archive/Sent", "INBOX/Sent Items"], "INBOX/Sent Items"),
        (["INBOX", "Sent Items", "Sent"], "Sent"),
        (["INBOX", "SENT"], "SENT"),
        (["INBOX", "sent letters of 2019"], None),
        (["INBOX", "x \\sent"], "x"),
        (["INBOX", "Everything \\Sent \\All", "Sent"], "Sent"),
        (["INBOX", "Sent \\Sent \\All"], None),
        (["INBOX", "Sent \\Sent \\Trash"], None),
        (["INBOX", "Sent \\Archive \\Sent"], None),
        (["INBOX"], None),
        ([], None),
    ],
)
def test_choose_sent(rows: list[str], sent: str | None) -> None:
    assert name(choose_sent_folder(folders(*rows))) == sent


@pytest.mark.parametrize(
    ("sent", "trash"),
    [
        ("Gesendete Elemente", "Gelöschte Elemente"),
        ("Éléments envoyés", "Éléments supprimés"),
        ("Elementos enviados", "Elementos eliminados"),
        ("Itens Enviados", "Lixeira"),
        ("Posta inviata", "Cestino"),
        ("Verzonden items", "Prullenbak"),
        ("Skickat", "Papperskorgen"),
        ("Sendt", "Papirkurv"),
        ("Lähetetyt", "Roskakori"),
        ("Elementy wysłane", "Kosz"),
        ("Odeslaná pošta", "Koš"),
        ("Elküldött elemek", "Törölt elemek"),
        ("Elemente trimise", "Elemente șterse"),
        ("Отправленные", "Корзина"),
        ("Надіслані", "Кошик"),
        ("Gönderilmiş Öğeler", "Silinmiş Öğeler"),
        ("Απεσταλμένα", "Διαγραμμένα"),
        ("已发送邮件", "已删除邮件"),
        ("送信済みアイテム", "ゴミ箱"),
        ("보낸편지함", "휴지통"),
        ("דואר שנשלח", "אשפה"),
        ("العناصر المرسلة", "العناصر المحذوفة"),
    ],
)
@pytest.mark.parametrize("delimiter", ["/", ".", None])
def test_names_in_many_languages(sent: str, trash: str, delimiter: str | None) -> None:
    listed = folders("INBOX", trash, sent, "Projects", delimiter=delimiter)
    assert name(choose_sent_folder(listed)) == sent
    assert name(choose_trash_folder(listed)) == trash


@pytest.mark.rule("R-023")
@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ("INBOX", "inbox"),
        ("Inbox", "inbox"),
        ("Drafts", "drafts"),
        ("Entwürfe", "drafts"),
        ("Bin \\Trash", "deleted"),
        ("INBOX/Spam", "junk"),
        ("All Mail \\All", "all letters"),
        ("Alla mejl \\AllMail", "all letters"),
        ("Sent \\Sent \\All", "all letters"),
        ("Sent \\sent \\ALL \\HasNoChildren", "all letters"),
        ("Sent \\Sent \\Trash", "deleted"),
        ("Old \\Archive \\Junk", "junk"),
        ("Old \\Archive \\Drafts", "drafts"),
        ("Node \\NoSelect", "cannot hold"),
        ("Sent", None),
        ("Sent \\Sent", None),
        ("My letters", None),
        ("Archive \\Archive", None),
        ("Archive \\Archive \\Sent", None),
    ],
)
def test_sent_folder_refused(chosen: str, word: str | None) -> None:
    reason = sent_folder_refused(chosen.partition(" \\")[0], folders("INBOX", chosen))
    assert (reason is None) == (word is None)
    assert word is None or word in (reason or "")


@pytest.mark.rule("R-023")
@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ("[gmail]/all mail", "all letters"),
        ("sent", None),
        ("ABLAGE", "junk"),
        ("Ablage", None),
        ("ablage", "junk"),
    ],
)
def test_a_folder_named_in_other_case_is_the_one_that_the_server_may_open(
    chosen: str, word: str | None
) -> None:
    listed = folders("INBOX", "[Gmail]/All Mail \\All", "Sent \\Sent", "ABLAGE \\Junk", "Ablage")
    assert (sent_folder_refused(chosen, listed) is None) == (word is None)
    assert word is None or word in (sent_folder_refused(chosen, listed) or "")


@pytest.mark.parametrize("wire", [b"", b"a\r\nb", b"a\0b", b"&AA0ACg-", b"\x1b[2J", b"x" * 10_000])
def test_names_that_cannot_be_handled_are_left_out(wire: bytes) -> None:
    assert folder_info(Folder(frozenset(), "/", wire)) is None


@pytest.mark.parametrize(
    ("wire", "shown"),
    [
        (b"inbox", "INBOX"),
        (b"a&b", "a&b"),
        ("Größe".encode(), "Größe"),
        (b"Gr\xf6\xdfe", "Größe"),
        (b"&2D0-x", "&2D0-x"),
    ],
)
def test_names_against_the_rules_are_shown_and_kept(wire: bytes, shown: str) -> None:
    info = folder_info(Folder(frozenset(), "/", wire))
    assert info is not None
    assert (info.name, info.wire_name) == (shown, wire)
