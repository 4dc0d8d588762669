"""Signing in and out. One refusal for a wrong password, an unknown address and a closed account (S-097)."""

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from postern.mail.access import set_viewer
from postern.mail.events import notify
from postern.people.models import Staff
from postern.people.staff import nobody_yet, one_time_ended
from postern.web.base import throttle

WRONG = "E-mail or password is wrong."
ENDED = "Your one-time password has ended. Ask whoever gave it to you for another."
TOO_MANY = "Too many attempts. Wait 15 minutes, then try again."


class SignInForm(forms.Form):
    """E-mail and password; both may be filled by a password manager."""

    email = forms.CharField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


def local(request: HttpRequest, target: str) -> str:
    """`target` when it is a path of this site, else the front page (S-103)."""
    host = {request.get_host()}
    safe = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=host)
    return target if safe else resolve_url("home")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page; the first run while nobody could sign in. 429 when refused by the throttle, 422 when the pair is wrong."""
    if nobody_yet():
        return redirect("first-run")
    target = request.POST.get("next") or request.GET.get("next", "")
    if request.user.is_authenticated:
        return redirect(local(request, target))
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = _try(request, form)
        if status == 200:
            return redirect(local(request, target))
    page = {"form": form, "next": target, "demo": settings.DEMO}
    return render(request, "base/sign_in.html", page, status=status)


def _try(request: HttpRequest, form: SignInForm) -> int:
    ip = request.META.get("REMOTE_ADDR", "")
    if not form.is_valid():
        return 422
    account, password = form.cleaned_data["email"], form.cleaned_data["password"]
    if throttle.refused(ip, account):
        form.add_error(None, TOO_MANY)
        return 429
    staff = authenticate(request, username=account, password=password)
    if staff is None:
        throttle.failed(ip, account)
        form.add_error(None, WRONG)
        return 422
    if isinstance(staff, Staff) and one_time_ended(staff):  # told to nobody who does not know it
        throttle.failed(ip, account)
        form.add_error(None, ENDED)
        return 422
    throttle.succeeded(ip, account)
    set_viewer(staff.pk)
    if isinstance(staff, Staff):
        staff.hash_anew(password)
    login(request, staff)  # takes a new session id
    return 200


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session on the server with its open streams, and tell the browser to drop what it kept."""
    if isinstance(request.user, Staff):  # other browsers of the same person ask anew and are let in
        notify("postern_events", {"kind": "access", "mailbox": 0, "id": request.user.pk})
    logout(request)
    response = redirect(settings.LOGIN_URL)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
