"""My Profile → Email: the five sections in one form, saved all or none; health and its one fix."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from postern.mail.lists import hidden_by
from postern.mail.visibility import idle
from postern.mailboxes import denylist, trust
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.comparing import compare_now
from postern.mailboxes.connection import unchecked
from postern.mailboxes.discover import hint
from postern.mailboxes.health import comparison, in_words
from postern.mailboxes.models import Mailbox, MailboxHealth, Probe, Reader, SystemEmail
from postern.mailboxes.readers import in_words as grant_in_words
from postern.mailboxes.save import accept_certificate, save_mailbox
from postern.mailboxes.sections import SECTIONS
from postern.people.models import Staff
from postern.web.base.toast import toast
from postern.web.inbox.views import person
from postern.web.profile.form import MailboxForm, show_refusal, typed

SHOWN = 10
"""Lines of the certificate log on the page; the API has them all."""


def own_mailbox(staff: Staff) -> Mailbox | None:
    """The person's mailbox, None before the first was saved."""
    return Mailbox.objects.filter(owner=staff).select_related("health").first()


def _owner(request: HttpRequest) -> tuple[Staff, Mailbox]:
    """The person and their mailbox. Raises Http404 before the first was saved."""
    staff = person(request)
    mailbox = own_mailbox(staff)
    if mailbox is None:
        raise Http404
    return staff, mailbox


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show and save the settings."""
    staff = person(request)
    mailbox = own_mailbox(staff)
    if request.method != "POST":
        return page(request, form_of(mailbox, staff), mailbox)
    form = MailboxForm(request.POST, instance=own_mailbox(staff) or Mailbox(owner=staff))
    try:
        save_mailbox(staff=staff, mailbox=mailbox, data=typed(request.POST, form))
    except SettingsError as error:
        show_refusal(form, error)
        return page(request, form, mailbox, status=422)
    response = redirect("profile-email")
    toast(request, response, "Saved. Postern connects now; the dot in the sidebar shows how it goes.")
    return response


def form_of(mailbox: Mailbox | None, staff: Staff) -> MailboxForm:
    """The form as it stands; before the first save the address proposes servers where the provider is known."""
    if mailbox is not None:
        lines = "\n".join(str(entry) for entry in mailbox.deny_entries.all())
        return MailboxForm(instance=mailbox, initial={"deny_list": lines})
    found = hint(staff.email)
    start: dict[str, Any] = {"address": staff.email, "imap_username": staff.email}
    if found is not None:
        start |= {
            "imap_host": found.imap_host,
            "imap_port": found.imap_port,
            "imap_security": found.imap_security,
            "smtp_host": found.smtp_host,
            "smtp_port": found.smtp_port,
            "smtp_security": found.smtp_security,
        }
    return MailboxForm(instance=Mailbox(), initial=start)


def page(
    request: HttpRequest,
    form: MailboxForm,
    mailbox: Mailbox | None,
    probe: Probe | None = None,
    status: int = 200,
) -> HttpResponse:
    """Draw the page, with a test beside the form where one runs."""
    staff = person(request)
    rows = Reader.objects.filter(mailbox=mailbox).select_related("staff").order_by("staff__name", "pk")
    readers = list(rows) if mailbox else []
    not_now = idle(mailbox) if readers and mailbox else {}
    health = getattr(mailbox, "health", None) if mailbox else None
    context = {
        "nav": "profile",
        "page_title": "My Profile",
        "tab": "email",
        "form": form,
        "sections": SECTIONS,
        "mailbox": mailbox,
        "health": health,
        "words": in_words(health) if health else None,
        "comparison": comparison(health) if health else "",
        "readers": [(r, grant_in_words(r), not_now.get(r.staff_id, "")) for r in readers],
        "reading": len(readers) - len(not_now),
        "colleagues": Staff.objects.filter(is_active=True).exclude(pk=staff.pk).order_by("name"),
        "system": SystemEmail.current(),
        "hint": hint(mailbox.address if mailbox else staff.email),
        "own_address": mailbox.address if mailbox else staff.email,
        "answers_to": (mailbox.reply_to or mailbox.address) if mailbox else staff.email,
        "probe": probe,
        "unchecked": unchecked(mailbox) if mailbox else (),
        "log": trust.log_of(mailbox)[:SHOWN] if mailbox else [],
        "demo_hint": "" if mailbox else settings.DEMO_HINT,
        "smtp_changed": bool(mailbox and health and health.smtp_seen_sha256 and mailbox.smtp_pinned_sha256),
        "stopped": health is not None
        and health.code not in ("disabled", "unchecked_refused")  # trying again helps nobody
        and health.state in (MailboxHealth.State.PASSWORD_REJECTED, MailboxHealth.State.FAILED),
    }
    return render(request, "profile/email.html", context, status=status)


@login_required
@require_POST
def deny_preview(request: HttpRequest) -> HttpResponse:
    """How many messages that are here the typed deny list would have hidden; bad lines by their number."""
    mailbox = own_mailbox(person(request))
    context: dict[str, Any] = {}
    try:
        lines = [line.pattern for line in denylist.parse(request.POST.get("deny_list", ""))]
        context["hidden"] = hidden_by(mailbox.pk, lines) if mailbox else 0
    except denylist.DenyListError as error:
        context["problems"] = [f"Line {number}: {reason}" for number, reason in error.lines.items()]
    return render(request, "profile/_deny_preview.html", context)


@login_required
@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """Try again after a refused password or a failure: saving the settings unchanged starts anew."""
    staff, mailbox = _owner(request)
    response = redirect("profile-email")
    try:
        save_mailbox(staff=staff, mailbox=mailbox, data={})
        toast(request, response, "Trying again")
    except SettingsError as error:
        toast(request, response, str(error), red=True)
    return response


@login_required
@require_POST
def compare(request: HttpRequest) -> HttpResponse:
    """Compare ledger and mail server now; the page says what came of it as soon as it is done."""
    staff, mailbox = _owner(request)
    compare_now(staff=staff, mailbox=mailbox)
    response = redirect("profile-email")
    toast(request, response, "Comparing with the mail server")
    return response


@login_required
@require_POST
def certificate(request: HttpRequest) -> HttpResponse:
    """Accept the certificate that the server shows now."""
    staff, mailbox = _owner(request)
    response = redirect("profile-email")
    try:
        smtp = request.POST.get("server") == "smtp"
        accept_certificate(
            staff=staff,
            mailbox=mailbox,
            seen_sha256=request.POST.get("sha256", ""),
            server="smtp" if smtp else "imap",
        )
        then = "Send again what was refused." if smtp else "Postern connects again."
        toast(request, response, f"The new certificate is remembered. {then}")
    except SettingsError as error:
        toast(request, response, str(error), red=True)
    return response
