"""The composer in a browser: rich text under the policy, saving as you type, files, sending and taking back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.browser.conftest import PHONE

if TYPE_CHECKING:
    from tests.web.office import Office

Visit = Callable[..., Any]


def delivery_of(office: Office, page: Any) -> Any:
    """The draft whose page is open."""
    from postern.mail.access import viewing_as
    from postern.outbox.models import Delivery

    pk = int(re.search(r"(?:/compose/|write=)(\d+)", page.url)[1])  # type: ignore[index]
    with viewing_as(office.marta):
        return Delivery.objects.prefetch_related("files").get(pk=pk)


def test_a_draft_saves_itself_as_it_is_typed(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"/customers/{office.brandt.pk}/communication/")
    page.keyboard.press("c")
    page.wait_for_url("**/communication/?write=new")
    page.wait_for_selector(".ProseMirror")
    assert page.get_by_label("To", exact=True).input_value() == "greta@brandt-bakery.example"
    page.get_by_label("Subject").fill("A visit")
    page.locator(".ProseMirror").click()
    page.keyboard.press("Control+b")
    page.keyboard.type("Dear Greta")
    page.get_by_text("Draft saved").wait_for()
    page.wait_for_url(re.compile(r"/communication/\?write=\d+$"))
    draft = delivery_of(office, page)
    assert draft.html == "<p><strong>Dear Greta</strong></p>" and draft.subject == "A visit"
    page.reload()
    page.wait_for_selector(".ProseMirror strong")
    page.goto("/messages/drafts/")
    page.get_by_role("link", name="A visit").click()
    page.wait_for_url(f"**/compose/{draft.pk}/")


def test_a_file_is_attached_and_taken_off(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"/compose/{office.out['draft'].pk}/")
    page.wait_for_selector(".ProseMirror")
    page.locator("[data-upload]").set_input_files(
        {"name": "Visit.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 " * 200}
    )
    page.locator(".file", has_text="2 KB").wait_for()
    assert [f.name for f in delivery_of(office, page).files.all()] == ["Visit.pdf"]
    page.get_by_label("Remove Visit.pdf").click()
    page.locator(".file").wait_for(state="detached")
    page.reload()
    page.wait_for_selector(".ProseMirror")
    assert page.locator(".file").count() == 0


def test_sending_and_undo(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"/compose/{office.out['draft'].pk}/")
    page.wait_for_selector(".ProseMirror")
    page.locator(".ProseMirror").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_url(f"**/customers/{office.brandt.pk}/communication/")
    page.get_by_text("Sending in 10 seconds").wait_for()
    page.keyboard.press("z")
    page.wait_for_url(f"**/compose/{office.out['draft'].pk}/")
    page.wait_for_selector(".ProseMirror")
    assert delivery_of(office, page).state == "draft"


def test_a_bad_recipient_keeps_everything_typed(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto("/compose/")
    page.wait_for_selector(".ProseMirror")
    page.get_by_label("To", exact=True).fill("greta at brandt")
    page.get_by_label("Subject").fill("A visit")
    page.locator(".ProseMirror").click()
    page.keyboard.type("Dear Greta")
    page.get_by_role("button", name="Send").click()
    page.locator(".help.bad").first.wait_for()
    assert page.get_by_label("To", exact=True).input_value() == "greta at brandt"
    page.locator(".ProseMirror", has_text="Dear Greta").wait_for()


def test_send_pressed_while_the_draft_is_being_saved_leaves_no_draft(office: Office, visit: Visit) -> None:
    from postern.mail.access import viewing_as
    from postern.outbox.models import Delivery

    held: list[Any] = []

    def hold(route: Any) -> None:
        if route.request.method == "POST" and "autosave" in (route.request.post_data or "") and not held:
            held.append(route)
        else:
            route.continue_()

    page = visit(office.marta)
    page.goto(f"/compose/?customer={office.brandt.pk}")
    page.wait_for_selector(".ProseMirror")
    page.route("**/compose/**", hold)
    page.get_by_label("Subject").fill("Once only")
    page.locator(".ProseMirror").click()
    page.keyboard.type("Dear Greta")
    while not held:
        page.wait_for_timeout(50)
    page.get_by_role("button", name="Send").click(no_wait_after=True)
    page.wait_for_timeout(300)
    held[0].continue_()
    page.wait_for_url("**/communication/")
    with viewing_as(office.marta):
        assert [row.state for row in Delivery.objects.filter(subject="Once only")] == ["queued"]


def test_a_forgotten_attachment_is_asked_about(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"/compose/{office.out['draft'].pk}/")
    page.locator(".ProseMirror").click()
    page.keyboard.type("The plan is attached. ")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.get_by_role("button", name="Send").click()
    page.wait_for_timeout(300)
    assert len(asked) == 1 and page.url.endswith(f"/compose/{office.out['draft'].pk}/")


def test_reply_quotes_and_forward_carries_the_files(office: Office, visit: Visit) -> None:
    page = visit(office.marta)
    page.goto(f"/messages/inbox/{office.mail['known'].pk}/")
    page.keyboard.press("r")
    page.wait_for_selector(".ProseMirror blockquote")
    assert "greta@brandt-bakery.example" in page.get_by_label("To", exact=True).input_value()
    assert page.get_by_label("Subject").input_value() == "Re: Packet loss in the mornings"
    page.goto(f"/messages/inbox/{office.mail['unknown'].pk}/")
    page.keyboard.press("f")
    page.wait_for_selector(".ProseMirror")
    names = page.locator(".file b").all_inner_texts()
    assert names[-2:] == ["Floor-plan-Mill-Lane.pdf", "cabinet-cellar.jpg"]


def test_on_a_phone_the_composer_fits(office: Office, visit: Visit) -> None:
    page = visit(office.marta, PHONE)
    page.goto(f"/compose/{office.out['draft'].pk}/")
    page.wait_for_selector(".ProseMirror")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Send", exact=True).wait_for()
