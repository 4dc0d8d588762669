"""Load, Test connection and Send a test email: started here, done by the worker, shown step by step."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.models import Mailbox, Probe
from postern.mailboxes.probe import TooMany, start_probe
from postern.web.inbox.views import person
from postern.web.profile.email import own_mailbox, page
from postern.web.profile.form import MailboxForm, SystemForm, show_refusal, typed

TITLES = {
    Probe.Kind.IMAP: "Receiving (IMAP)",
    Probe.Kind.LOAD: "Loading folders",
    Probe.Kind.SMTP: "Sending (SMTP)",
    Probe.Kind.SEND: "Test email",
    Probe.Kind.SYSTEM: "System SMTP",
}


@login_required
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a test of the settings as they stand in the form, saved or not."""
    staff = person(request)
    kind = request.POST.get("probe", "")
    system = kind == Probe.Kind.SYSTEM
    mailbox = None if system else own_mailbox(staff)
    form = (
        SystemForm(request.POST)
        if system
        else MailboxForm(request.POST, instance=mailbox or Mailbox(owner=staff))
    )
    problem = ""
    try:
        probe = start_probe(
            staff=staff,
            mailbox=mailbox,
            kind=kind,
            data={k: v for k, v in typed(request.POST, form).items() if k != "deny_list"},
            recipient=request.POST.get("recipient", ""),
        )
        return _shown(request, form, probe)
    except TooMany as error:
        problem = str(error)
    except PermissionDenied:
        raise Http404 from None
    except SettingsError as error:
        problem = str(error)
        if not request.headers.get("HX-Request") and isinstance(form, MailboxForm):
            show_refusal(form, error)
            return page(request, form, mailbox, status=422)
    return render(
        request,
        "profile/_refused.html",
        {"problem": problem, "title": TITLES.get(Probe.Kind(kind)) if kind in Probe.Kind.values else ""},
        status=422,
    )


def _shown(request: HttpRequest, form: MailboxForm | SystemForm, probe: Probe) -> HttpResponse:
    if request.headers.get("HX-Request") or isinstance(form, SystemForm):
        return render(request, "profile/_probe.html", context_of(probe))
    return page(request, form, own_mailbox(person(request)), probe=probe)


@login_required
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """The steps of a test so far; the fragment asks again until it is over."""
    probe = Probe.objects.filter(staff=person(request), pk=pk).first()
    if probe is None:
        raise Http404
    return render(request, "profile/_probe.html", context_of(probe))


def context_of(probe: Probe) -> dict[str, object]:
    """What the fragment shows."""
    return {
        "probe": probe,
        "title": TITLES[Probe.Kind(probe.kind)],
        "over": probe.state in (Probe.State.WORKS, Probe.State.FAILED),
        "folders": [
            f for f in probe.result.get("folders", []) if f.get("selectable") and not f.get("refused")
        ],
    }
