"""The settings as a form: it draws fields and keeps what was typed; `save_mailbox` decides what is valid."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from postern.mailboxes.cleaning import SettingsError
from postern.mailboxes.models import Mailbox, SystemEmail
from postern.mailboxes.sections import FIELDS, PASSWORDS, SYSTEM_FIELDS

_PASSWORD = forms.PasswordInput(attrs={"autocomplete": "new-password"})


class MailboxForm(forms.ModelForm):  # type: ignore[type-arg]
    """Every setting of rows 1 to 18."""

    imap_password = forms.CharField(label="Password", required=False, widget=_PASSWORD)
    smtp_password = forms.CharField(
        label="SMTP password",
        required=False,
        widget=_PASSWORD,
        help_text="Only with an SMTP username of its own.",
    )
    deny_list = forms.CharField(
        label="Deny list",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"}),
        help_text="One address or domain per line; # begins a comment. A domain covers its subdomains. "
        "These messages are never copied to Postern.",
    )

    class Meta:
        model = Mailbox
        fields = tuple(f for f in FIELDS if f not in (*PASSWORDS, "deny_list"))
        widgets = {
            "historic_since": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "process": forms.RadioSelect,
            "address": forms.EmailInput,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("imap_port", "smtp_port"):
            self.fields[name].widget.attrs |= {"inputmode": "numeric"}
        for field in self.fields.values():
            field.widget.attrs.setdefault("form", "settings")


class SystemForm(forms.ModelForm):  # type: ignore[type-arg]
    """Config → Main → Email."""

    smtp_password = forms.CharField(label="Password", required=False, widget=_PASSWORD)

    class Meta:
        model = SystemEmail
        fields = tuple(f for f in SYSTEM_FIELDS if f != "smtp_password")


def typed(post: QueryDict, form: forms.BaseForm) -> dict[str, Any]:
    """The settings named by a form's POST; a box that is not ticked is off."""
    data: dict[str, Any] = {}
    for name, field in form.fields.items():
        if isinstance(field, forms.BooleanField):
            data[name] = name in post
        elif name in post:
            data[name] = post[name]
    return data


def show_refusal(form: forms.BaseForm, error: SettingsError) -> None:
    """Put each message beside its field; what belongs to no field stands on top."""
    form.full_clean()
    form.errors.clear()
    for name, messages in error.fields.items():
        for message in messages:
            form.add_error(name if name in form.fields else None, message)
