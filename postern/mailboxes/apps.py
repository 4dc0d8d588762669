"""Django's entry for this room."""

from django.apps import AppConfig


class Config(AppConfig):
    """The room `mailboxes`."""

    name = "postern.mailboxes"
    label = "mailboxes"
