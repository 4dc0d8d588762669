"""Config → Administrators: who may sign in. It never opens anybody's mail."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from postern.mailboxes.models import SystemEmail
from postern.people.handover import consent_of, end_handover, hand_over, in_force
from postern.people.models import Handover, Staff
from postern.people.staff import StaffRefused, add_staff, change_staff, one_time_ended, renew_first
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
        fields = ("name", "title", "role")


class HandoverForm(forms.Form):
    """To whom, until when, why."""

    successor = forms.ModelChoiceField(Staff.objects.none(), empty_label="Choose…")
    until = forms.DateField(label="Until", widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3}))


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
    return _list(request, form, made)


@for_super
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """Change somebody's name or role; the ways to disable and enable them, and to hand their mail over."""
    staff = get_object_or_404(Staff, pk=pk)
    form = ChangeForm(request.POST or None, instance=staff)
    if request.method == "POST" and form.is_valid() and _changed(request, staff, form.cleaned_data, form):
        return _back(request, f"{staff.name} saved")
    return _page_of(request, staff, form)


@for_super
@require_POST
def first_password(request: HttpRequest, pk: int) -> HttpResponse:
    """Give another first password, shown once, to somebody who never chose one of their own."""
    staff = get_object_or_404(Staff, pk=pk)
    try:
        first = renew_first(by=person(request), staff=staff)
    except StaffRefused as refusal:
        form = ChangeForm({"name": staff.name, "title": staff.title, "role": staff.role}, instance=staff)
        form.add_error(None, str(refusal))
        return _page_of(request, staff, form)
    return _list(request, NewForm(), (Staff.objects.get(pk=pk), first))


@for_super
@require_http_methods(["GET", "HEAD", "POST"])
def disable(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what disabling somebody does, ask, and do it."""
    staff = get_object_or_404(Staff, pk=pk, is_active=True)
    form = forms.Form(request.POST or None)
    if request.method == "POST" and _changed(request, staff, {"is_active": False}, form):
        response = redirect("administrator", pk)  # where the mail can be handed over
        toast(request, response, f"{staff.name} can no longer sign in")
        return response
    wrong = bool(form.errors)
    return _render(request, "config/disable.html", wrong, page_title=staff.name, one=staff, form=form)


@for_super
@require_POST
def enable(request: HttpRequest, pk: int) -> HttpResponse:
    """Let somebody sign in again; what was handed over ends."""
    staff = get_object_or_404(Staff, pk=pk, is_active=False)
    _changed(request, staff, {"is_active": True}, forms.Form())
    return _back(request, f"{staff.name} can sign in again; their mailbox asks for its password")


@for_super
@require_POST
def handover(request: HttpRequest, pk: int) -> HttpResponse:
    """Hand a disabled person's mail to a successor, to read until a day."""
    by, owner = person(request), get_object_or_404(Staff, pk=pk)
    form = _handover_form(by, owner, request.POST)
    if form.is_valid():
        said = form.cleaned_data
        ends_at = timezone.make_aware(datetime.combine(said["until"], time(23, 59, 59)))
        try:
            hand_over(by=by, owner=owner, successor=said["successor"], reason=said["reason"], ends_at=ends_at)
        except StaffRefused as refusal:
            field = {"ends_at": "until"}.get(refusal.field, refusal.field)
            form.add_error(field if field in form.fields else None, str(refusal))
        else:
            response = redirect("administrator", pk)
            toast(request, response, f"{said['successor'].name} can read the mail; {owner.name} is told")
            return response
    return _page_of(request, owner, ChangeForm(instance=owner), form)


@for_super
@require_POST
def handover_end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a handover before its day."""
    owner = get_object_or_404(Staff, pk=pk)
    end_handover(by=person(request), owner=owner)
    response = redirect("administrator", pk)
    toast(request, response, "Ended: nobody reads this mail any more")
    return response


def _changed(request: HttpRequest, staff: Staff, changes: dict[str, Any], form: forms.BaseForm) -> bool:
    """Make the change; False with the reason on the form when it is refused."""
    try:
        change_staff(by=person(request), staff=staff, changes=changes)
    except StaffRefused as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return False
    return True


def _list(request: HttpRequest, form: NewForm, made: tuple[Staff, str] | None) -> HttpResponse:
    rows = Staff.objects.with_ended().order_by("-is_active", "name")
    context = {"rows": rows, "form": form, "made": made}
    return _render(request, "config/administrators.html", bool(form.errors), page_title="Config", **context)


def _handover_form(by: Staff, owner: Staff, data: QueryDict | None = None) -> HandoverForm:
    form = HandoverForm(data)
    choice = form.fields["successor"]
    assert isinstance(choice, forms.ModelChoiceField)
    choice.queryset = Staff.objects.filter(is_active=True).exclude(pk__in=[by.pk, owner.pk]).order_by("name")
    return form


def _page_of(
    request: HttpRequest, staff: Staff, form: forms.BaseForm, handing: HandoverForm | None = None
) -> HttpResponse:
    system = SystemEmail.current()
    log = Handover.objects.filter(owner=staff).select_related("by", "successor")
    context = {
        "page_title": staff.name,
        "one": staff,
        "form": form,
        "handing": handing or _handover_form(person(request), staff),
        "consent": consent_of(staff),
        "in_force": in_force(staff),
        "log": log,
        "was_reset": any(line.ground == Handover.Ground.PASSWORD for line in log),
        "ended": one_time_ended(staff),
        "mails": system.sending and bool(system.smtp_host),
    }
    return _render(request, "config/administrator.html", bool((handing or form).errors), **context)


def _render(request: HttpRequest, template: str, wrong: bool, **context: Any) -> HttpResponse:
    context = {"nav": "config", "tab": "administrators"} | context
    return render(request, template, context, status=422 if wrong else 200)


def _back(request: HttpRequest, said: str) -> HttpResponse:
    response = redirect("administrators")
    toast(request, response, said)
    return response
