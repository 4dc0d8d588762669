"""Config → Administrators: who may sign in. It never opens anybody's mail."""

from __future__ import annotations

import secrets

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from postern.people.models import Staff
from postern.web.base.toast import toast
from postern.web.config.views import for_super


class NewForm(forms.Form):
    """A new administrator."""

    name = forms.CharField(max_length=120)
    email = forms.EmailField(label="Sign-in address", max_length=254)
    role = forms.ChoiceField(choices=Staff.Role.choices, initial=Staff.Role.ADMIN)


class ChangeForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a super-administrator may change of somebody: never their address or password, so never their mail."""

    class Meta:
        model = Staff
        fields = ("name", "title", "role", "is_active")
        help_texts = {"is_active": "Off: sessions end, the mailbox stops, nobody reads it."}


@for_super
@require_http_methods(["GET", "HEAD", "POST"])
def everybody(request: HttpRequest) -> HttpResponse:
    """List administrators and add one, with a first password shown once."""
    form = NewForm(request.POST or None)
    made: tuple[Staff, str] | None = None
    if request.method == "POST" and form.is_valid():
        if Staff.objects.filter(email=form.cleaned_data["email"].lower()).exists():
            form.add_error("email", "Somebody with this address is here already.")
        else:
            first = secrets.token_urlsafe(12)
            made = (Staff.objects.create_staff(password=first, **form.cleaned_data), first)
            form = NewForm()
    context = {
        "nav": "config",
        "page_title": "Config",
        "tab": "administrators",
        "rows": Staff.objects.order_by("-is_active", "name"),
        "form": form,
        "made": made,
    }
    return render(request, "config/administrators.html", context, status=422 if form.errors else 200)


@for_super
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """Change somebody's name, role, or whether they may sign in."""
    staff = get_object_or_404(Staff, pk=pk)
    form = ChangeForm(request.POST or None, instance=staff)
    if request.method == "POST" and form.is_valid():
        if _last_super(pk, form):
            form.add_error(None, "Somebody else has to be super-administrator first.")
        else:
            form.save()
            response = redirect("administrators")
            toast(request, response, f"{staff.name} saved")
            return response
    context = {"nav": "config", "page_title": staff.name, "tab": "administrators", "form": form, "one": staff}
    return render(request, "config/administrator.html", context, status=422 if form.errors else 200)


def _last_super(pk: int, form: ChangeForm) -> bool:
    """True when the change would leave nobody to manage Postern."""
    keeps = form.cleaned_data["role"] == Staff.Role.SUPER and form.cleaned_data["is_active"]
    others = Staff.objects.filter(role=Staff.Role.SUPER, is_active=True).exclude(pk=pk)
    return not keeps and not others.exists()
