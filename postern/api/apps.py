"""Django's entry for this room."""

from django.apps import AppConfig


class Config(AppConfig):
    """The room `api`."""

    name = "postern.api"
    label = "api"
