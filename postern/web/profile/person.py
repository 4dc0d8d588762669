"""My Profile → Information and API tokens: name, password, keys."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from postern.mailboxes.ids import typed_id
from postern.people import handover
from postern.people.models import Consent, Handover, Staff, Token
from postern.people.staff import StaffRefused
from postern.people.tokens import make_token
from postern.web.base.toast import toast
from postern.web.inbox.views import person


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]
    """What everybody may change of themselves."""

    class Meta:
        model = Staff
        fields = ("name", "title", "single_keys")
        help_texts = {
            "single_keys": "J, K, P and the other single keys. Off for people who dictate or use switches."
        }


def _password_form(staff: Staff, data: QueryDict | None = None) -> PasswordChangeForm:
    """Without the focus that Django gives it: the page opens at its top, and keys are shortcuts there."""
    form = PasswordChangeForm(staff, data)
    form.fields["old_password"].widget.attrs.pop("autofocus", None)
    return form


def _page(request: HttpRequest, status: int = 200, **context: Any) -> HttpResponse:
    staff = person(request)
    fresh = Staff.objects.get(pk=staff.pk)
    context = {
        "nav": "profile",
        "page_title": "My Profile",
        "tab": "information",
        "form": PersonForm(instance=fresh),
        "password_form": _password_form(fresh),
        "tokens": Token.objects.filter(staff=staff),
        "consent": handover.consent_of(staff),
        "colleagues": Staff.objects.filter(is_active=True).exclude(pk=staff.pk).order_by("name"),
        "handovers": Handover.objects.filter(owner=staff).select_related("by", "successor"),
    } | context
    return render(request, "profile/information.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def information(request: HttpRequest) -> HttpResponse:
    """Name, title and shortcuts."""
    if request.method != "POST":
        return _page(request)
    form = PersonForm(request.POST, instance=Staff.objects.get(pk=person(request).pk))
    if not form.is_valid():
        return _page(request, status=422, form=form)
    # These columns alone: what was read before somebody was disabled must not enable them again.
    form.save(commit=False).save(update_fields=list(form.fields))
    response = redirect("profile")
    toast(request, response, "Saved")
    return response


@login_required
@require_POST
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; other sessions end."""
    form = _password_form(person(request), request.POST)
    if not form.is_valid():
        return _page(request, status=422, password_form=form)
    staff = form.save(commit=False)
    staff.save(update_fields=["password"])
    update_session_auth_hash(request, staff)
    response = redirect("profile")
    toast(request, response, "Password changed. Other sessions have ended.")
    return response


@login_required
@require_POST
def tokens(request: HttpRequest) -> HttpResponse:
    """Make an API token; it is shown this once."""
    name = request.POST.get("name", "").strip()[:80]
    if not name:
        return _page(request, status=422, token_problem="Say what the token is for.")  # noqa: S106
    _, secret = make_token(staff=person(request), name=name)
    return _page(request, new_token=secret)


@login_required
@require_POST
def remove_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke one of the person's own tokens."""
    token = Token.objects.filter(staff=person(request), pk=pk).first()
    if token is None:
        raise Http404
    token.delete()
    response = redirect("profile")
    toast(request, response, f"Token “{token.name}” no longer works")
    return response


@login_required
@require_POST
def consent(request: HttpRequest) -> HttpResponse:
    """Choose what becomes of one's mail when one leaves; nobody gets it unless chosen here."""
    staff = person(request)
    chosen = request.POST.get("successor", "none")
    successor = Staff.objects.filter(pk=typed_id(chosen)).first()
    if chosen not in ("none", "anyone") and successor is None:
        return _page(request, status=422, consent_problem="Choose somebody from the list.")
    try:
        handover.choose(
            staff=staff,
            agreed=chosen != "none",
            successor=successor,
            customers_only="customers_only" in request.POST,
        )
    except StaffRefused as refusal:
        return _page(request, status=422, consent_problem=str(refusal))
    response = redirect(f"{reverse('profile')}#leaving")
    toast(request, response, _agreed(handover.consent_of(staff)))
    return response


def _agreed(consent: Consent | None) -> str:
    if consent is None:
        return "Saved. It takes a written reason to read your mail when you leave."
    who = consent.successor.name if consent.successor else "whoever a super-administrator names"
    what = "customers’ conversations" if consent.customers_only else "all your mail"
    return f"Saved. When you leave, {who} may read {what}."
