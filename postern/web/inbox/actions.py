"""What is done with a message: a small form where a choice is needed, then the action, then the toast with Undo."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from postern.mail.actions import ACTIONS, ActionRefused, actions_for, perform
from postern.mail.actions import undo as undo_action
from postern.mail.models import Message
from postern.mail.owed import look_now
from postern.mail.pairing import suggestions
from postern.mailboxes.models import DenyEntry
from postern.mime.addresses import domain_of
from postern.people.models import Customer
from postern.web.base.toast import toast
from postern.web.inbox.content import visible
from postern.web.inbox.views import person

FORMS = ("pair", "add", "block", "delete")
FIELDS = ("customer", "kind", "name", "phone", "notes", "what", "remove", "trash")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """GET: the form of an action. POST: do it. A reader's try looks as if the action were not there."""
    message = visible(request, pk)
    offered = {a.key for a in actions_for(person(request), message)}
    if key not in ACTIONS or ACTIONS[key].opens or key not in offered:
        raise Http404
    if request.method != "POST":
        if key not in FORMS:
            raise Http404
        return _form(request, message, key)
    data = {name: request.POST[name] for name in FIELDS if name in request.POST}
    try:
        done = perform(staff=person(request), key=key, message=message, data=data)
    except ActionRefused as refusal:
        return _form(request, message, key, str(refusal), status=422)
    response = redirect(_after(message, key))
    toast(request, response, done.label, undo=reverse("undo", args=[done.pk]))
    return response


@login_required
@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an action back."""
    try:
        undone = undo_action(staff=person(request), action_id=pk)
        messages.info(request, f"Undone: {undone.label}")
    except ActionRefused as refusal:
        messages.error(request, str(refusal))
    if not request.headers.get("HX-Request"):
        return redirect("inbox")
    response = HttpResponse()
    response.headers["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def unblock(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an entry off the deny list."""
    entry = DenyEntry.objects.filter(mailbox__owner=person(request), pk=pk).first()
    if entry is None:
        raise Http404
    response = redirect("blocked")
    entry.delete()
    toast(request, response, f"{entry.pattern} is no longer blocked. New mail from it will be stored.")
    return response


@login_required
@require_POST
def check_now(request: HttpRequest) -> HttpResponse:
    """Ask the worker to look at the person's mailboxes now, and to try again what a server refused."""
    look_now(person(request))
    response = redirect("inbox")
    toast(request, response, "Checking for mail")
    return response


def _after(message: Message, key: str) -> str:
    if key in ("delete", "unread", "block"):
        return reverse("sent" if message.outgoing else "inbox")
    return reverse("message", args=[message.pk])


def _form(
    request: HttpRequest, message: Message, key: str, error: str = "", status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "nav": "inbox",
        "page_title": ACTIONS[key].label,
        "action": ACTIONS[key],
        "message": message,
        "error": error,
        "typed": request.POST,
        "domain": domain_of(message.from_address),
        "query": request.GET.get("q", ""),
        "kind": request.POST.get("kind") or request.GET.get("kind", Customer.Kind.CUSTOMER),
    }
    if key == "pair":
        context["suggestions"] = suggestions(message)
        context["found"] = Customer.objects.search(context["query"])[:20] if context["query"] else []
        older = Message.objects.visible_to(person(request)).filter(
            from_address=message.from_address, outgoing=False
        )
        context["older"] = older.exclude(pk=message.pk).count()
    return render(request, "inbox/act.html", context, status=status)
