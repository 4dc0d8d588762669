"""One conversation shared with one colleague by name: give, take back, and add a letter that stands aside of it, or take it out again."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from postern.mail.models import Aside, ConversationShare, Message
from postern.mail.sharing import add_aside, share, take_back, take_out
from postern.mail.visibility import Visibility, watch
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.ids import typed_id
from postern.people.models import Staff
from postern.web.base.dates import end_of
from postern.web.base.toast import toast
from postern.web.inbox.content import visible
from postern.web.inbox.views import person

_ENDED = "can no longer read this conversation"


@login_required
@require_POST
def give(request: HttpRequest, pk: int) -> HttpResponse:
    """Share the conversation of a message with a colleague, or change until when."""
    message = _own(request, pk)
    chosen = request.POST.get("colleague", "")
    colleague = Staff.objects.filter(pk=typed_id(chosen), is_active=True).first()
    response = redirect(_back(request, message))
    if colleague is None:
        toast(request, response, "Choose a colleague.", red=True)
        return response
    try:
        share(
            staff=person(request),
            conversation=message.conversation_id,
            colleague=colleague,
            ends_at=end_of(request.POST.get("until", "")),
            messages=typed_id(request.POST.get("messages")) or None,
        )
    except (SettingsError, ValueError) as error:
        toast(request, response, str(error), red=True)
    else:
        waits = any(one.waits for one in _watched(request, pk).not_seeing if one.grant.staff == colleague)
        when = "can read this conversation once a mailbox of their own is set up"
        toast(request, response, f"{colleague.name} {when if waits else 'can now read this conversation'}.")
    return response


@login_required
@require_POST
def remove(request: HttpRequest, pk: int, colleague: int) -> HttpResponse:
    """Take it back; it ends with the next request."""
    message = _own(request, pk)
    try:
        row = take_back(staff=person(request), conversation=message.conversation_id, colleague=colleague)
    except ConversationShare.DoesNotExist:
        raise Http404 from None
    response = redirect(_back(request, message))
    still = any(one.grant.staff == row.staff for one in _watched(request, pk).seeing)
    ended = "still reads this, through the access you gave to the mailbox" if still else _ENDED
    toast(request, response, f"{row.staff.name} {ended}.")
    return response


def _watched(request: HttpRequest, pk: int) -> Visibility:
    """Who sees the message from now on: it was read anew, for sharing gives a letter another place at the wall."""
    message = _own(request, pk)
    return watch(person(request), [message]).over([message])


@login_required
@require_POST
def add(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a letter to the shared conversation that it answers."""
    return _moved(request, pk, add_aside, "Added to the conversation.")


@login_required
@require_POST
def take(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a letter out of it again that was added."""
    return _moved(request, pk, take_out, "Taken out of the conversation again.")


def _moved(request: HttpRequest, pk: int, move: Callable[..., int], said: str) -> HttpResponse:
    message = _own(request, pk)
    try:
        move(staff=person(request), message=message)
    except Aside.DoesNotExist:
        raise Http404 from None
    response = redirect(_back(request, message))
    toast(request, response, said)
    return response


def _own(request: HttpRequest, pk: int) -> Message:
    """The message, if it lies in a mailbox of the person's own; else it is not there."""
    message = visible(request, pk)
    if message.mailbox.owner_id != person(request).pk:
        raise Http404
    return message


def _back(request: HttpRequest, message: Message) -> str:
    """Where the person came from: a customer's Communication, or the message."""
    customer = typed_id(request.POST.get("back"))
    if customer:
        thread = Message.objects.filter(pk=message.pk).values_list("conversation_id", flat=True).get()
        return f"{reverse('communication', args=[customer])}?thread={thread}"
    return reverse("sent-message" if message.outgoing else "message", args=[message.pk])
