"""The mail itself. One noun a file."""

from postern.mail.models.action import Action
from postern.mail.models.conversation import Conversation, Reference
from postern.mail.models.digest import Digest
from postern.mail.models.errand import Errand
from postern.mail.models.message import Attachment, Bcc, Body, Message, MessageRead, Party, Raw
from postern.mail.models.opening import Opening
from postern.mail.models.search import MessageSearch
from postern.mail.models.sharing import Aside, ConversationShare
from postern.mail.models.sighting import Sighting

__all__ = [
    "Action",
    "Aside",
    "Attachment",
    "Bcc",
    "Body",
    "Conversation",
    "ConversationShare",
    "Digest",
    "Errand",
    "Message",
    "MessageRead",
    "MessageSearch",
    "Opening",
    "Party",
    "Raw",
    "Reference",
    "Sighting",
]
