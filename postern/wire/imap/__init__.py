"""IMAP4rev1 of our own: ``open_session`` gives a ``Session``; the rest of the room serves these two."""

from postern.wire.imap.answers import Changed, Copied, Fetched, Known, Listed, Namespaces, Selected, Status
from postern.wire.imap.beginnings import HEADER_BYTES
from postern.wire.imap.folders import (
    FolderInfo,
    choose_sent_folder,
    choose_trash_folder,
    sent_folder_refused,
)
from postern.wire.imap.grammar import UNKNOWN_DATE, ProtocolError
from postern.wire.imap.mutf7 import decode_mutf7, encode_mutf7
from postern.wire.imap.opening import open_session
from postern.wire.imap.session import Session
from postern.wire.imap.uidset import UidSet
from postern.wire.login import Login

__all__ = [
    "HEADER_BYTES",
    "UNKNOWN_DATE",
    "Changed",
    "Copied",
    "Fetched",
    "FolderInfo",
    "Known",
    "Listed",
    "Login",
    "Namespaces",
    "ProtocolError",
    "Selected",
    "Session",
    "Status",
    "UidSet",
    "choose_sent_folder",
    "choose_trash_folder",
    "decode_mutf7",
    "encode_mutf7",
    "open_session",
    "sent_folder_refused",
]
