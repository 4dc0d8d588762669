"""Access settings: who may read the mailbox. Only its owner gives and takes."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from postern.mail.visibility import WAITS, idle
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.ids import typed_id
from postern.mailboxes.models import Reader
from postern.mailboxes.readers import grant, revoke
from postern.people.models import Staff
from postern.web.base.dates import end_of
from postern.web.base.toast import toast
from postern.web.inbox.views import person
from postern.web.profile.email import own_mailbox


@login_required
@require_POST
def give(request: HttpRequest) -> HttpResponse:
    """Give an administrator access, or change what they may read."""
    staff = person(request)
    mailbox = own_mailbox(staff)
    chosen = request.POST.get("reader", "")
    reader = Staff.objects.filter(pk=typed_id(chosen), is_active=True).first()
    response = redirect("/profile/email/#access")
    if mailbox is None or reader is None:
        text = "Save your mailbox first." if mailbox is None else "Choose an administrator."
        toast(request, response, text, red=True)
        return response
    try:
        row = grant(
            staff=staff,
            mailbox=mailbox,
            reader=reader,
            incoming_only="incoming_only" in request.POST,
            customers_only="customers_only" in request.POST,
            may_reply="may_reply" in request.POST,
            ends_at=end_of(request.POST.get("until", "")),
        )
    except (SettingsError, ValueError) as error:
        toast(request, response, str(error), red=True)
    else:
        answers = " and answer in your name" if row.may_reply else ""
        may = f"{row.staff.name} can read this mailbox{answers} once a mailbox of their own is set up."
        if idle(mailbox).get(reader.pk) != WAITS:
            may = f"{row.staff.name} can now read this mailbox{answers}."
        toast(request, response, may)
    return response


@login_required
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take access back; it ends with the next request."""
    staff = person(request)
    row = Reader.objects.filter(mailbox__owner=staff, pk=pk).select_related("staff", "mailbox").first()
    if row is None:
        raise Http404
    revoke(staff=staff, mailbox=row.mailbox, reader=row.staff)
    response = redirect("/profile/email/#access")
    toast(request, response, f"{row.staff.name} can no longer read this mailbox.")
    return response
