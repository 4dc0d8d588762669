"""Kinds of column of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from postern.mail.packing import pack, unpack
from postern.mailboxes.models import Mailbox

if TYPE_CHECKING:
    _Text = models.Field[str, str]
    _Bytes = models.Field[bytes, bytes]
else:
    _Text = _Bytes = models.Field


def MailboxCopy() -> models.ForeignKey[Mailbox, Mailbox]:
    """Return the key of a message's mailbox, copied to a row of the message for the row policies.

    The row's key to its message is checked by the database; checking this one as well cost a tenth of intake,
    and nothing looks for such rows by mailbox.
    """
    return models.ForeignKey(
        Mailbox, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )


class PackedText(_Text):
    """Text kept zstd-compressed: a third of what PostgreSQL's own compression leaves, at a tenth of its time.

    It cannot be searched by SQL; that is what SearchVector is for.
    """

    def db_type(self, connection: object) -> str:
        """Return the column's type."""
        return "bytea"

    def get_prep_value(self, value: Any) -> Any:
        """Return what is stored."""
        return None if value is None else pack(str(value).encode())

    def from_db_value(self, value: Any, expression: object, connection: object) -> str | None:
        """Return the text of a stored value."""
        return None if value is None else unpack(bytes(value)).decode() if value else ""


class SearchVector(_Bytes):
    """A tsvector, made by postern.mail.words."""

    def db_type(self, connection: object) -> str:
        """Return the column's type."""
        return "tsvector"
