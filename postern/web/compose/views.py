"""The composer: a new letter, a draft, a reply; saving as you type, sending with Undo, and each letter's fate."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postern.mail.access import may_answer
from postern.mail.models import Message
from postern.mailboxes.ids import typed_id
from postern.mailboxes.models import Mailbox
from postern.outbox import compose as outbox
from postern.outbox.behalf import Seen, seen_by
from postern.outbox.compose import ComposeError
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Customer
from postern.web.base.toast import toast
from postern.web.compose.composer import FIELDS, composer_of, docked, first_address
from postern.web.inbox.opening import What, opened
from postern.web.inbox.views import person


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def compose(request: HttpRequest) -> HttpResponse:
    """A new letter. Nothing is stored until something is saved or sent."""
    staff = person(request)
    customer = _customer(request.POST.get("customer") or request.GET.get("customer", ""))
    if request.method != "POST":
        to = request.GET.get("to", "") or first_address(customer)
        return _page(request, None, {"to": to, "customer": customer})
    try:
        delivery = outbox.new(staff=staff, mailbox=_chosen_mailbox(request), customer=customer)
    except ComposeError as error:
        return _refused(request, None, error)
    return _store(request, delivery)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def draft(request: HttpRequest, pk: int) -> HttpResponse:
    """A draft, or a letter that was not sent: change it, save it, send it. One on its way is shown."""
    if request.method == "POST":
        return _store(request, _mine(request, pk))
    seen = _seen(request, pk)
    if seen.can_edit:
        return _page(request, seen, {})
    return _fate(request, seen)


def _fate(request: HttpRequest, seen: Seen) -> HttpResponse:
    """What became of a letter, or what is left of an answer that may no longer be sent."""
    context = {
        "nav": "drafts",
        "page_title": seen.row.subject or "Letter",
        "delivery": seen.row,
        "seen": seen,
    }
    return render(request, "compose/fate.html", context)


def _store(request: HttpRequest, delivery: Delivery) -> HttpResponse:
    """Save what was typed; then send it, if that was the button."""
    key = request.POST.get("key", "")[:80]
    if key and delivery.key == key and not delivery.editable:
        return redirect(_after(delivery))  # a second click on Send
    values: dict[str, Any] = {name: request.POST.get(name, "") for name in FIELDS}
    values |= {"html": request.POST.get("html"), "text": request.POST.get("text")}
    try:
        delivery = outbox.save(delivery=delivery, mailbox=_chosen_mailbox(request), **values)
        for upload in request.FILES.getlist("files"):
            _attach(delivery, upload)
        if request.POST.get("do") != "send":
            return _saved(request, delivery)
        delivery = outbox.send(delivery=delivery, key=key)
    except ComposeError as error:
        return _refused(request, delivery, error)
    response = redirect(_after(delivery))
    toast(request, response, "Sending in 10 seconds", undo=reverse("compose-undo", args=[delivery.pk]))
    return response


def _saved(request: HttpRequest, delivery: Delivery) -> HttpResponse:
    if request.POST.get("do") == "autosave":
        return JsonResponse({"draft": reverse("draft", args=[delivery.pk]), "id": delivery.pk})
    response = redirect(_composer_for(request, delivery))
    toast(request, response, "Draft saved")
    return response


def _composer_for(request: HttpRequest, delivery: Delivery) -> str:
    """Where to go on writing: below the customer's conversation when that is where it began."""
    customer = _customer(request.POST.get("dock", ""))
    return docked(customer.pk, delivery.pk) if customer else reverse("draft", args=[delivery.pk])


def _after(delivery: Delivery) -> str:
    if delivery.customer_id is not None:
        return reverse("communication", args=[delivery.customer_id])
    return reverse("inbox")


@login_required
@require_POST
def reply(request: HttpRequest, pk: int) -> HttpResponse:
    """Start a reply to a message, one's own or one that one may answer in its owner's name; `?all=1` to everybody."""
    message = _answerable(request, pk)
    opened(request, [message], What.REPLY)
    return _start(
        request, lambda staff: outbox.reply(staff=staff, message=message, to_all="all" in request.GET)
    )


@login_required
@require_POST
def forward(request: HttpRequest, pk: int) -> HttpResponse:
    """Start forwarding a message of one's own mailbox."""
    message = _answerable(request, pk)
    if message.mailbox.owner_id != person(request).pk:
        raise Http404
    return _start(request, lambda staff: outbox.forward(staff=staff, message=message))


def _start(request: HttpRequest, make: Any) -> HttpResponse:
    try:
        delivery: Delivery = make(person(request))
    except ComposeError as error:
        response = redirect("compose")
        toast(request, response, str(error), red=True)
        return response
    return redirect(_composer_for(request, delivery))


@login_required
@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Undo send: the letter is a draft again, if its ten seconds are not over. The owner can stop a reader's."""
    try:
        outbox.undo_send(delivery=_seen(request, pk).row, staff=person(request))
    except ComposeError as error:
        response: HttpResponse = (
            HttpResponse(status=200) if request.headers.get("HX-Request") else redirect("draft", pk)
        )
        toast(request, response, str(error), red=True)
        return response
    if request.headers.get("HX-Request"):
        response = HttpResponse()
        response.headers["HX-Redirect"] = reverse("draft", args=[pk])
        return response
    return redirect("draft", pk)


@login_required
@require_POST
def attach(request: HttpRequest, pk: int) -> JsonResponse:
    """Add one file to a draft as it is dropped; answers with its id, name and size."""
    delivery = _mine(request, pk)
    upload = request.FILES.get("file")
    if upload is None:
        return JsonResponse({"error": "No file came with the request."}, status=422)
    try:
        row = _attach(delivery, upload)
    except ComposeError as error:
        return JsonResponse({"error": str(error)}, status=422)
    return JsonResponse({"id": row.pk, "name": row.name, "size": row.size})


@login_required
@require_POST
def detach(request: HttpRequest, pk: int, file: int) -> HttpResponse:
    """Take a file off a draft."""
    delivery = _mine(request, pk)
    try:
        outbox.detach(delivery=delivery, file_id=file)
    except OutgoingFile.DoesNotExist:
        raise Http404 from None
    except ComposeError as error:
        return JsonResponse({"error": str(error)}, status=422)
    return HttpResponse(status=204) if request.headers.get("X-Composer") else redirect("draft", pk)


@login_required
@require_POST
def settle(request: HttpRequest, pk: int) -> HttpResponse:
    """The author, or the owner in whose name it went, says what became of a letter whose fate is unknown."""
    response = redirect("draft", pk)
    arrived = request.POST.get("arrived") == "yes"
    try:
        outbox.settle(delivery=_seen(request, pk).row, arrived=arrived, staff=person(request))
    except ComposeError as error:
        toast(request, response, str(error), red=True)
    return response


@login_required
@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw a draft away."""
    delivery = _mine(request, pk)
    response = redirect("drafts" if _seen(request, pk).ended else _after(delivery))
    try:
        outbox.discard(delivery=delivery)
        toast(request, response, "Draft discarded")
    except ComposeError as error:
        toast(request, response, str(error), red=True)
    return response


@login_required
@require_safe
def drafts(request: HttpRequest) -> HttpResponse:
    """Drafts, and letters that are under way or were not sent."""
    staff = person(request)
    found = Delivery.objects.of(staff).exclude(state=Delivery.State.ACCEPTED)[:200]
    context = {"nav": "drafts", "page_title": "Drafts", "rows": seen_by(staff, found)}
    return render(request, "compose/drafts.html", context)


def _mine(request: HttpRequest, pk: int) -> Delivery:
    """A letter that this person wrote."""
    staff = person(request)
    delivery = Delivery.objects.of(staff).written_by(staff).filter(pk=pk).first()
    if delivery is None:
        raise Http404
    return delivery


def _seen(request: HttpRequest, pk: int) -> Seen:
    """A letter as this person may see it."""
    staff = person(request)
    found = seen_by(staff, Delivery.objects.of(staff).filter(pk=pk))
    if not found:
        raise Http404
    return found[0]


def _answerable(request: HttpRequest, pk: int) -> Message:
    staff = person(request)
    message = Message.objects.visible_to(staff).select_related("mailbox").filter(pk=pk).first()
    if message is None or not may_answer(staff, message):
        raise Http404
    return message


def _attach(delivery: Delivery, upload: Any) -> Any:
    return outbox.attach(
        delivery=delivery,
        name=upload.name,
        content_type=upload.content_type or "application/octet-stream",
        data=upload.read(),
    )


def _refused(request: HttpRequest, delivery: Delivery | None, error: ComposeError) -> HttpResponse:
    """Show the composer again with everything that was typed, and what is wrong with it."""
    if request.POST.get("do") == "autosave":
        return JsonResponse({"error": str(error)}, status=422)
    typed = {name: request.POST.get(name, "") for name in FIELDS}
    typed |= {"html": request.POST.get("html", ""), "text": request.POST.get("text", "")}
    told = typed | {"errors": error.fields, "problem": str(error)}
    return _page(request, _seen(request, delivery.pk) if delivery else None, told, status=422)


def _page(request: HttpRequest, seen: Seen | None, values: dict[str, Any], status: int = 200) -> HttpResponse:
    context = {
        "nav": "drafts" if seen else "compose",
        "page_title": "Send email",
        **composer_of(person(request), seen),
        **values,
    }
    return render(request, "compose/compose.html", context, status=status)


def _chosen_mailbox(request: HttpRequest) -> Mailbox | None:
    """The mailbox chosen under From, None where there was no choice."""
    pk = typed_id(request.POST.get("mailbox"))
    return Mailbox.objects.filter(owner=person(request), pk=pk).first() if pk else None


def _customer(pk: str) -> Customer | None:
    return Customer.objects.filter(pk=typed_id(pk)).first()
