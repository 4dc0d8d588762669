"""What every template may use without its view giving it. Nothing is asked of the database until drawn."""

from itertools import groupby
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import cached_property

from postern.web.base import nav, shortcuts
from postern.web.base import sidebar as source
from postern.web.base.middleware import nonce

THEMES = ("light", "dark")


class Shell:
    """The sidebar of one request: counts and health are asked at most once, and only when drawn."""

    def __init__(self, request: HttpRequest) -> None:
        self.staff = request.user

    @cached_property
    def counts(self) -> dict[str, int]:
        return source.counts(self.staff)

    @cached_property
    def entries(self) -> list[nav.Entry]:
        return nav.entries(self.staff, self.counts)

    @property
    def groups(self) -> list[tuple[str, list[nav.Entry]]]:
        return [(name, list(found)) for name, found in groupby(self.entries, lambda entry: entry.place.group)]

    @property
    def tabs(self) -> list[nav.Entry]:
        """The bottom tabs of a phone."""
        return [
            entry for entry in self.entries if entry.place.key in ("inbox", "unknown", "customers", "leads")
        ]

    @property
    def rest(self) -> list[nav.Entry]:
        """What a phone keeps in the menu."""
        tabs = self.tabs
        return [entry for entry in self.entries if entry not in tabs]

    @property
    def single_keys(self) -> bool:
        """False when this person turned single-key shortcuts off (WCAG 2.1.4)."""
        return bool(getattr(self.staff, "single_keys", True))

    @cached_property
    def health(self) -> source.Health:
        return source.health(self.staff)

    @property
    def compose(self) -> str:
        return nav.link("compose")

    @property
    def profile(self) -> str:
        return nav.link("profile")

    @property
    def mailbox_settings(self) -> str:
        return nav.link("profile-email") or self.profile

    @property
    def events(self) -> str:
        return nav.link("events")


def sidebar(request: HttpRequest) -> dict[str, Any]:
    """Context processor: shell, theme, shortcuts, company, csp_nonce. Asks nothing of the database by itself."""
    theme = request.COOKIES.get("theme", "")
    return {
        "csp_nonce": nonce(request),
        "theme": theme if theme in THEMES else "",
        "company": settings.COMPANY,
        "shortcuts": shortcuts.SHORTCUTS,
        "shell": Shell(request) if hasattr(request, "user") else None,
    }
