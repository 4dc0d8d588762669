"""Config → Main → Email: the company's own SMTP account. For super-administrators."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from postern.mailboxes import trust
from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.models import SystemEmail
from postern.mailboxes.save import save_system_email
from postern.web.base.toast import toast
from postern.web.inbox.views import person
from postern.web.profile.form import SystemForm, show_refusal, typed

SHOWN = 20
"""Lines of the certificate log on the page; the API has them all."""


def for_super(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Only for super-administrators; for everybody else the page is not there."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not person(request).is_super:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@for_super
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The first page of Config."""
    return redirect("config-email")


@for_super
@require_http_methods(["GET", "HEAD", "POST"])
def email(request: HttpRequest) -> HttpResponse:
    """Show and save the system SMTP settings."""
    form = SystemForm(request.POST or None, instance=SystemEmail.current())
    if request.method == "POST":
        try:
            save_system_email(staff=person(request), data=typed(request.POST, form))
        except SettingsError as error:
            show_refusal(form, error)
            return _page(request, form, 422)
        response = redirect("config-email")
        toast(request, response, "Saved")
        return response
    return _page(request, form)


def _page(request: HttpRequest, form: SystemForm, status: int = 200) -> HttpResponse:
    context = {
        "nav": "config",
        "page_title": "Config",
        "tab": "email",
        "form": form,
        "system": SystemEmail.current(),
        "unchecked": trust.count_unchecked(),
        "log": trust.log_of()[:SHOWN],
    }
    return render(request, "config/email.html", context, status=status)
