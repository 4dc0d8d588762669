"""Django's entry for this room."""

from django.apps import AppConfig


class Config(AppConfig):
    """The room `mail`."""

    name = "postern.mail"
    label = "mail"
