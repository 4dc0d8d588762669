"""All pages. A page's folder brings its own urls.py; a folder that is not there yet has no addresses."""

from importlib.util import find_spec

from django.urls import include, path

PAGES = ("base", "inbox", "communication", "compose", "profile", "people", "config", "insights", "setup")


def _exists(page: str) -> bool:
    return find_spec(f"postern.web.{page}") is not None and find_spec(f"postern.web.{page}.urls") is not None


urlpatterns = [path("", include(f"postern.web.{page}.urls")) for page in PAGES if _exists(page)]
