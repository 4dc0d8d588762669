"""The pages as one Django app: templates, static files and template tags are found through it."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "postern.web"
    label = "web"
    verbose_name = "Pages"
