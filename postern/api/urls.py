"""Addresses of the API, mounted at /api/v1/."""

from django.urls import path
from ninja import NinjaAPI

api = NinjaAPI(title="Postern", version="1", docs_url=None)

urlpatterns = [path("", api.urls)]
