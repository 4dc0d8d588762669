"""Which folder is for what: first by what the server says (RFC 6154), then by well-known names.

The names are data: the words that servers and mail programs give these folders in each language.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from postern.wire.imap.mutf7 import decode_mutf7, encode_mutf7
from postern.wire.imap.responses import Folder


@dataclass(frozen=True)
class FolderInfo:
    """A folder as LIST told it. ``name`` is for people, ``wire_name`` is what the server calls it."""

    name: str
    wire_name: bytes
    delimiter: str | None
    flags: frozenset[str]
    special_use: str | None

    @property
    def selectable(self) -> bool:
        """False for a mere node of the tree."""
        return not {"\\noselect", "\\nonexistent"} & {flag.lower() for flag in self.flags}


# Of a folder with several the first counts: one that holds other letters beside the sent ones would make them sent too.
# \All and \Important are views of letters that lie elsewhere; \Flagged likewise.
SPECIAL_USES = ("\\All", "\\Trash", "\\Junk", "\\Drafts", "\\Flagged", "\\Important", "\\Archive", "\\Sent")
_BY_LOWER = {use.lower(): use for use in SPECIAL_USES} | {"\\allmail": "\\All", "\\spam": "\\Junk"}

_NAMES: dict[str, tuple[str, ...]] = {
    "\\Sent": (
        # English: Dovecot, Gmail, Exchange, Apple
        *("sent", "sent mail", "sent items", "sent messages", "sent-mail", "sent_mail", "sent mails"),
        *("gesendet", "gesendete elemente", "gesendete objekte", "gesendete nachrichten"),  # German
        *("gesendete e-mails", "postausgang gesendet", "versendet"),
        *("envoyés", "messages envoyés", "éléments envoyés", "courrier envoyé", "envoyes"),  # French
        *("enviados", "elementos enviados", "correo enviado", "mensajes enviados"),  # Spanish
        *("itens enviados", "mensagens enviadas", "e-mails enviados", "enviadas"),  # Portuguese
        *("inviata", "posta inviata", "inviati", "elementi inviati", "messaggi inviati"),  # Italian
        *("verzonden", "verzonden items", "verzonden berichten", "verzonden objecten"),  # Dutch
        *("skickat", "skickade", "skickade objekt", "skickade meddelanden"),  # Swedish
        *(
            "sendt",
            "sendte elementer",
            "sendt post",
            "sendte elementer",
            "sendte e-poster",
        ),  # Norwegian, Danish
        *("sendte meddelelser", "sendte mails"),
        *("lähetetyt", "lähetetyt viestit"),  # Finnish
        *("wysłane", "elementy wysłane", "wiadomości wysłane", "poczta wysłana"),  # Polish
        *("odeslané", "odeslaná pošta", "odeslaná", "odoslané", "odoslaná pošta"),  # Czech, Slovak
        *("elküldött", "elküldött elemek", "elküldött üzenetek"),  # Hungarian
        *("trimise", "mesaje trimise", "elemente trimise"),  # Romanian
        *("отправленные", "надіслані", "відправлені", "изпратени"),  # Russian, Ukrainian, Bulgarian
        *("gönderilmiş öğeler", "gönderilmiş postalar", "gönderilenler", "gönderilmiş"),  # Turkish
        *("απεσταλμένα", "σταλμένα"),  # Greek
        *("已发送", "已发送邮件", "已傳送", "寄件備份", "已发邮件"),  # Chinese
        *("送信済み", "送信済みメール", "送信済みアイテム", "送信済みトレイ"),  # Japanese
        *("보낸편지함", "보낸 편지함", "보낸메일함"),  # Korean
        *("فرستاده‌شده", "العناصر المرسلة", "الرسائل المرسلة", "דואר שנשלח", "פריטים שנשלחו"),  # fa ar he
        *(
            "poslano",
            "poslana pošta",
            "poslane stavke",
            "išsiųsta",
            "nosūtītie",
            "saadetud",
        ),  # sl hr lt lv et
    ),
    "\\Trash": (
        *("trash", "deleted", "deleted items", "deleted messages", "bin", "wastebasket"),
        *("papierkorb", "gelöscht", "gelöschte elemente", "gelöschte objekte", "mülleimer"),
        *("corbeille", "éléments supprimés", "messages supprimés", "poubelle"),
        *("papelera", "papelera de reciclaje", "elementos eliminados", "eliminados"),
        *("lixo", "lixeira", "itens excluídos", "itens eliminados", "reciclagem"),
        *("cestino", "posta eliminata", "elementi eliminati", "cancellata"),
        *("prullenbak", "verwijderd", "verwijderde items", "verwijderde berichten"),
        *("papperskorg", "papperskorgen", "borttaget", "borttagna objekt"),
        *("papirkurv", "papirkurven", "slettet", "slettede elementer", "slettet post", "søppel"),
        *("roskakori", "poistetut"),
        *("kosz", "elementy usunięte", "usunięte"),
        *("koš", "odstraněná pošta", "kôš", "odstránené položky"),
        *("kuka", "lomtár", "törölt elemek"),
        *("coș de gunoi", "gunoi", "elemente șterse"),
        *("корзина", "удаленные", "удалённые", "кошик", "видалені", "кошче", "изтрити"),
        *("çöp kutusu", "çöp", "silinmiş öğeler"),
        *("κάδος απορριμμάτων", "διαγραμμένα"),
        *("已删除", "已删除邮件", "垃圾桶", "刪除的郵件", "废纸篓"),
        *("ゴミ箱", "ごみ箱", "削除済みアイテム", "휴지통", "지운 편지함"),
        *("المهملات", "العناصر المحذوفة", "אשפה", "פריטים שנמחקו"),
        *("koš za smeće", "smeti", "šiukšlinė", "miskaste", "prügikast"),
    ),
    "\\Drafts": (
        *("drafts", "draft", "entwürfe", "entwurf", "brouillons", "brouillon", "borradores", "borrador"),
        *("rascunhos", "bozze", "concepten", "utkast", "kladder", "kladde", "luonnokset", "szkice"),
        *("kopie robocze", "wersje robocze", "koncepty", "rozepsané", "piszkozatok", "ciorne", "черновики"),
        *("чернетки", "чернови", "taslaklar", "πρόχειρα", "草稿", "草稿箱", "下書き", "임시보관함"),
        *("المسودات", "טיוטות", "osnutki", "skice", "juodraščiai", "melnraksti", "mustandid"),
    ),
    "\\Junk": (
        *("junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail", "bulk", "unwanted"),
        *("spamverdacht", "junk-e-mail", "unerwünscht", "indésirables", "courrier indésirable", "pourriel"),
        *("correo no deseado", "no deseado", "lixo eletrônico", "lixo electrónico", "lixo eletrónico"),
        *("posta indesiderata", "indesiderata", "ongewenste e-mail", "ongewenst", "skräppost"),
        *("søppelpost", "uønsket post", "uønsket e-mail", "roskaposti", "wiadomości-śmieci", "śmieci"),
        *("nevyžádaná pošta", "nevyžiadaná pošta", "levélszemét", "спам", "нежелательная почта"),
        *("gereksiz e-posta", "önemsiz e-posta", "istenmeyen", "ανεπιθύμητα", "垃圾邮件", "垃圾郵件"),
        *("迷惑メール", "스팸함", "스팸메일함", "بريد غير هام", "דואר זבל", "neželena pošta"),
    ),
}
_NAMES = {use: tuple(name.casefold() for name in names) for use, names in _NAMES.items()}
_USE_OF_NAME = {name: use for use, names in _NAMES.items() for name in names}


def folder_info(folder: Folder, *, utf8: bool = False) -> FolderInfo | None:
    """A LIST line for people; None when its name holds control characters and cannot be handled safely.

    ``utf8``: names are UTF-8 on this connection (RFC 6855). A name that is not modified UTF-7 where it
    should be is shown as UTF-8 (a server with UTF8=ACCEPT habits) or Latin-1.
    """
    if not folder.wire_name:
        return None
    name = _decoded(folder.wire_name, utf8=utf8)
    if name.upper() == "INBOX":
        name = "INBOX"
    if any(ord(mark) < 32 or 127 <= ord(mark) < 160 for mark in name) or len(name) > 1000:
        return None
    told = {_BY_LOWER.get(flag.lower()) for flag in folder.flags}
    use = next((use for use in SPECIAL_USES if use in told), None)
    return FolderInfo(name, folder.wire_name, folder.delimiter, folder.flags, use)


def _decoded(wire: bytes, *, utf8: bool) -> str:
    for read in (bytes.decode,) if utf8 else (decode_mutf7, bytes.decode):
        try:
            return read(wire)
        except ValueError:
            continue
    return wire.decode("latin-1")


def wire_name(name: str, *, utf8: bool) -> bytes:
    """The folder's name as this connection spells it. Raises ``MailError("control_bytes")``."""
    modified = encode_mutf7(name)  # refuses what may stand in no spelling
    return name.encode() if utf8 else modified


def folder_named(name: str, folders: Iterable[FolderInfo]) -> FolderInfo | None:
    """The folder of this name; in other case where there is no such, since some servers open that one."""
    alike = [folder for folder in folders if folder.name.casefold() == name.casefold()]
    return next((folder for folder in alike if folder.name == name), next(iter(alike), None))


def choose_sent_folder(folders: Iterable[FolderInfo]) -> FolderInfo | None:
    """The folder for sent letters, None when nothing points to one."""
    return _choose(folders, "\\Sent")


def choose_trash_folder(folders: Iterable[FolderInfo]) -> FolderInfo | None:
    """The folder for deleted letters, None when nothing points to one."""
    return _choose(folders, "\\Trash")


def sent_folder_refused(name: str, folders: Iterable[FolderInfo]) -> str | None:
    """Why ``name`` must not serve as the folder for sent letters; None when it may."""
    if name.strip().upper() == "INBOX":
        return "The inbox cannot be the folder for sent letters."
    found = folder_named(name, folders)
    use = (found.special_use if found else None) or _use_by_name(name, found.delimiter if found else None)
    if found is not None and not found.selectable:
        return f"“{name}” cannot hold letters."
    if use in (None, "\\Sent", "\\Archive"):
        return None
    return f"“{name}” is the folder for {_MEANING[use]}."


_MEANING = {
    "\\Drafts": "drafts",
    "\\Trash": "deleted letters",
    "\\Junk": "junk",
    "\\All": "all letters",
    "\\Flagged": "flagged letters",
    "\\Important": "important letters",
}


def _choose(folders: Iterable[FolderInfo], use: str) -> FolderInfo | None:
    usable = [folder for folder in folders if folder.selectable and folder.name != "INBOX"]
    told = [folder for folder in usable if folder.special_use == use]
    named = [
        folder
        for folder in usable
        if folder.special_use is None and _use_by_name(folder.name, folder.delimiter) == use
    ]
    # The same word may be a customer's folder deep in the tree: the topmost wins, then the better-known word.
    order = _NAMES[use]
    named.sort(
        key=lambda folder: (_depth(folder), order.index(_leaf(folder.name, folder.delimiter)), folder.name)
    )
    return next(iter(told + named), None)


def _use_by_name(name: str, delimiter: str | None) -> str | None:
    return _USE_OF_NAME.get(_leaf(name, delimiter))


def _leaf(name: str, delimiter: str | None) -> str:
    return (name.rsplit(delimiter, 1)[-1] if delimiter else name).strip().casefold()


def _depth(folder: FolderInfo) -> int:
    """INBOX and [Gmail] are mere prefixes on many servers."""
    if not folder.delimiter:
        return 0
    parts = folder.name.split(folder.delimiter)
    return len(parts) - 1 - (len(parts) > 1 and parts[0].upper() in ("INBOX", "[GMAIL]", "[GOOGLE MAIL]"))
