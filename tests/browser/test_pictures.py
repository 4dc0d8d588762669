"""Every screen in light, dark and on a phone: no complaint in the console, no sideways scrolling, a picture of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import DESK, PHONE

if TYPE_CHECKING:
    from tests.web.office import Office

LOOKS = {"light": (DESK, False), "dark": (DESK, True), "mobile-light": (PHONE, False)}


def screens(office: Office) -> dict[str, str]:
    """The owner's screens by name."""
    mail, customer = office.mail, office.brandt.pk
    return {
        "inbox": "/messages/inbox/",
        "unknown": f"/messages/inbox/{mail['unknown'].pk}/",
        "known": f"/messages/inbox/{mail['known'].pk}/",
        "broken": f"/messages/inbox/{mail['broken'].pk}/",
        "gone": f"/messages/inbox/{mail['gone'].pk}/",
        "sent": f"/messages/sent/{mail['sent'].pk}/",
        "source": f"/messages/{mail['unknown'].pk}/source/",
        "pair": f"/messages/{mail['unknown'].pk}/do/pair/",
        "add": f"/messages/{mail['unknown'].pk}/do/add/",
        "block": f"/messages/{mail['unknown'].pk}/do/block/",
        "delete": f"/messages/{mail['unknown'].pk}/do/delete/",
        "blocked": "/messages/blocked/",
        "drafts": "/messages/drafts/",
        "compose": f"/compose/?customer={customer}",
        "draft": f"/compose/{office.out['draft'].pk}/",
        "failed": f"/compose/{office.out['failed'].pk}/",
        "fate": f"/compose/{office.out['unknown'].pk}/",
        "customers": "/customers/",
        "import": "/customers/import/",
        "edit": f"/customers/{customer}/edit/",
        "information": f"/customers/{customer}/",
        "communication": f"/customers/{customer}/communication/",
        "lead": f"/customers/{office.lead.pk}/communication/",
        "profile": "/profile/",
        "profile-email": "/profile/email/",
        "reader-log": "/profile/reader-log/",
        "search": "/jump/?q=brandt",
    }


PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("look", LOOKS)
def test_screens_of_the_owner(
    part: int, look: str, office: Office, visit: Callable[..., Any], shoot: Callable[..., None]
) -> None:
    size, dark = LOOKS[look]
    page = visit(office.marta, size, dark)
    for name, path in list(screens(office).items())[part::PARTS]:
        page.goto(path)
        page.wait_for_load_state("load")
        if "data-editor" in page.content():
            page.wait_for_selector(".ProseMirror")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
        shoot(page, f"{name}-{look}")


@pytest.mark.parametrize("look", LOOKS)
def test_screens_of_others(
    look: str, office: Office, visit: Callable[..., Any], shoot: Callable[..., None]
) -> None:
    from postern.mailboxes.models import Mailbox, Reader

    size, dark = LOOKS[look]
    page = visit(None, size, dark)
    page.goto("/sign-in/")
    shoot(page, f"sign-in-{look}")
    boss = visit(office.boss, size, dark)
    for name, path in {
        "config-email": "/config/email/",
        "administrators": "/config/administrators/",
        "administrator": f"/config/administrators/{office.tom.pk}/",
        "empty-inbox": "/messages/inbox/",
        "empty-email": "/profile/email/",
    }.items():
        boss.goto(path)
        shoot(boss, f"{name}-{look}")
    elena = visit(office.elena, size, dark)
    elena.goto(f"/messages/inbox/{office.mail['unknown'].pk}/")
    shoot(elena, f"reader-{look}")
    tom = visit(office.tom, size, dark)
    tom.goto("/messages/inbox/")
    shoot(tom, f"waits-{look}")
    with office.acting_as("superuser"):
        Reader.objects.all().delete()
        Mailbox.objects.filter(owner=office.elena).update(has_imap_secret=True)
    elena.goto("/messages/inbox/")
    shoot(elena, f"nothing-waiting-{look}")


def test_the_first_run(db: None, visit: Callable[..., Any], shoot: Callable[..., None]) -> None:
    for look, (size, dark) in LOOKS.items():
        page = visit(None, size, dark)
        page.goto("/welcome/")
        shoot(page, f"first-run-{look}")
