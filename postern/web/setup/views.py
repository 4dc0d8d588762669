"""First run: make the first super-administrator. Closed for good as soon as there is one."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from postern.people.models import Staff
from postern.people.staff import first_of_all, nobody_yet

BACKEND = "django.contrib.auth.backends.ModelBackend"
DEMO_SALT = "postern demo sign-in"
DEMO_SECONDS = 24 * 3600


class FirstForm(forms.Form):
    """Who the first super-administrator is."""

    name = forms.CharField(label="Your name", max_length=120)
    email = forms.EmailField(label="Sign-in address", max_length=254)
    password = forms.CharField(
        min_length=10,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters. A sentence is fine.",
    )

    def clean_password(self) -> str:
        """Refuse what is on every list of guesses."""
        password: str = self.cleaned_data["password"]
        try:
            validate_password(password)
        except ValidationError as error:
            raise forms.ValidationError(error.messages) from error
        return password


@require_http_methods(["GET", "HEAD", "POST"])
def first_run(request: HttpRequest) -> HttpResponse:
    """Make the first super-administrator and sign them in. Not there once somebody exists."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7008)")
    if not nobody_yet():
        raise Http404
    form = FirstForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        staff = first_of_all(**form.cleaned_data)
        login(request, staff, backend=BACKEND)
        return redirect("profile-email")
    context = {"form": form, "page_title": "Welcome"}
    return render(request, "setup/first_run.html", context, status=422 if form.errors else 200)


def demo_token(staff: Staff) -> str:
    """A signed sign-in for one of the demo's people."""
    return signing.dumps(staff.pk, salt=DEMO_SALT)


@require_safe
def demo_sign_in(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in as one of the demo's people. Only in `postern demo`; elsewhere it is not there."""
    if not settings.DEMO:
        raise Http404
    try:
        staff = Staff.objects.filter(pk=signing.loads(token, salt=DEMO_SALT, max_age=DEMO_SECONDS)).first()
    except signing.BadSignature:
        staff = None
    if staff is None:
        raise Http404
    login(request, staff, backend=BACKEND)
    return redirect("inbox")
