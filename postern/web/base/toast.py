"""One line about what just happened, with Undo where it can be undone."""

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse


def toast(
    request: HttpRequest, response: HttpResponse, text: str, *, undo: str = "", red: bool = False
) -> None:
    """Show `text` for ten seconds; `undo` is the address that takes it back by POST.

    To htmx it travels as an HX-Trigger event with this response; otherwise it waits for the next page.
    """
    if request.headers.get("HX-Request") == "true" and not 300 <= response.status_code < 400:
        trigger(response, "toast", {"text": text, "undo": undo, "red": red})
    else:
        messages.add_message(request, messages.ERROR if red else messages.INFO, text, extra_tags=undo)


def trigger(response: HttpResponse, event: str, detail: object = None) -> None:
    """Add one event to HX-Trigger beside those already there. `mail:new` makes lists and counts refresh."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    events[event] = detail
    # ASCII: a header may hold nothing else, and json escapes the rest.
    response.headers["HX-Trigger"] = json.dumps(events)
