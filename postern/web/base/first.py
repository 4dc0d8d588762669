"""What comes before every other page: a password of one's own, and notices that cannot be skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from postern.mailboxes.ids import typed_id
from postern.people.handover import notices_of, read_notices
from postern.people.models import Staff
from postern.people.staff import one_time_ended

OPEN = frozenset({"first-password", "notices", "sign-in", "sign-out", "theme", "font"})
"""Pages that open nevertheless."""


class FirstThings:
    """Middleware: leads a person there from every page, whatever they asked for. The API has no pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """Return the way there, None when nothing comes first."""
        place = _first(request.user) if isinstance(request.user, Staff) else ""
        match = request.resolver_match
        if not place or request.path.startswith("/api/") or (match and match.url_name in OPEN):
            return None
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(headers={"HX-Redirect": resolve_url(place)})
        return redirect(place)


def _first(staff: Staff) -> str:
    if staff.must_change_password:
        return "first-password"
    return "notices" if staff.has_notice else ""


class OwnPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """A password that only its person knows."""

    def clean_new_password1(self) -> str:
        """Refuse the one that somebody else made."""
        typed: str = self.cleaned_data["new_password1"]
        if self.user.check_password(typed):
            raise forms.ValidationError("Choose another than the one you were given.")
        return typed


@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def first_password(request: HttpRequest) -> HttpResponse:
    """Choose one's own password in place of the first, which whoever made the account knows."""
    staff = request.user
    if not isinstance(staff, Staff) or not staff.must_change_password:
        return redirect("home")
    if one_time_ended(staff):  # since they signed in
        logout(request)
        return redirect("sign-in")
    form = OwnPasswordForm(staff, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save(commit=False)
        staff.must_change_password = False
        staff.save(update_fields=["password", "must_change_password"])
        update_session_auth_hash(request, staff)
        return redirect("home")
    return render(request, "base/first_password.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def notices(request: HttpRequest) -> HttpResponse:
    """Show what the person must be told; only saying that one read it opens the other pages again."""
    staff = request.user
    assert isinstance(staff, Staff)
    upto = typed_id(request.POST.get("upto"))
    if upto:
        read_notices(staff=staff, upto=upto)
        return redirect("home")
    rows = notices_of(staff)
    if not rows:
        return redirect("home")
    return render(request, "base/notices.html", {"rows": rows, "upto": rows[-1].pk})
