"""Config → Administrators: who may sign in. It never opens anybody's mail."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from postern.people.models import Staff
from postern.people.staff import StaffRefused, add_staff, change_staff
from postern.web.base.toast import toast
from postern.web.config.views import for_super
from postern.web.inbox.views import person


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
        try:
            made = add_staff(by=person(request), **form.cleaned_data)
            form = NewForm()
        except StaffRefused as refusal:
            form.add_error(refusal.field, str(refusal))
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
        try:
            change_staff(by=person(request), staff=staff, changes=form.cleaned_data)
        except StaffRefused as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            response = redirect("administrators")
            toast(request, response, f"{staff.name} saved")
            return response
    context = {"nav": "config", "page_title": staff.name, "tab": "administrators", "form": form, "one": staff}
    return render(request, "config/administrator.html", context, status=422 if form.errors else 200)
