"""Django's entry for this room."""

from django.apps import AppConfig


class Config(AppConfig):
    """The room `people`."""

    name = "postern.people"
    label = "people"
