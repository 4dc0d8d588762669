"""Django's entry for this room."""

from django.apps import AppConfig


class Config(AppConfig):
    """The room `outbox`."""

    name = "postern.outbox"
    label = "outbox"
