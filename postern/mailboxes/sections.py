"""The five sections of My Profile → Email, and the fields in each, in the order they are shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One card of the page. `fields` are the names that `save_mailbox` takes; readers have their own form."""

    key: str
    title: str
    note: str
    fields: tuple[str, ...]


SECTIONS = (
    Section(
        "tracking",
        "Email tracking",
        "Which messages reach Postern.",
        (
            "tracking",
            "process",
            "historic",
            "historic_since",
            "mark_as_read",
            "only_customers",
            "stranger_days",
            "deny_list",
        ),
    ),
    Section("access", "Access settings", "Who besides you can read your mail here.", ()),
    Section(
        "credentials",
        "Credentials",
        "Your password is encrypted and is never shown again.",
        ("address", "imap_username", "imap_auth", "imap_password"),
    ),
    Section(
        "imap",
        "IMAP settings",
        "How Postern reads your mail.",
        ("imap_host", "imap_port", "imap_security", "imap_skip_validation", "sent_folder"),
    ),
    Section(
        "smtp",
        "SMTP settings",
        "How Postern sends your mail.",
        (
            "sending",
            "reply_to",
            "use_system_smtp",
            "smtp_host",
            "smtp_port",
            "smtp_security",
            "smtp_auth",
            "smtp_username",
            "smtp_password",
            "smtp_skip_validation",
        ),
    ),
)

FIELDS = tuple(name for section in SECTIONS for name in section.fields)
"""Every setting of a mailbox that its owner may change."""

PASSWORDS = ("imap_password", "smtp_password")
"""Write-only: empty keeps what is stored."""

SYSTEM_FIELDS = (
    "sender_email",
    "sender_name",
    "smtp_host",
    "smtp_port",
    "smtp_security",
    "smtp_auth",
    "smtp_username",
    "smtp_password",
    "sending",
    "hourly_limit",
    "unchecked_certificates",
)
"""Config → Main → Email."""
