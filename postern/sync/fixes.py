"""One fix for a failed test: which field, what to put there, and why. Pure; a table where it can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postern.wire.errors import MailError

Fix = dict[str, Any]

# (protocol, port, security chosen) -> (field, value, text): pairs that cannot work.
_PAIRS: dict[tuple[str, int, str], tuple[str, Any, str]] = {
    ("imap", 143, "ssl"): ("security", "starttls", "Port 143 begins without encryption: use STARTTLS."),
    ("imap", 993, "starttls"): ("security", "ssl", "Port 993 is encrypted from the start: use SSL/TLS."),
    ("imap", 993, "none"): ("security", "ssl", "Port 993 is encrypted from the start: use SSL/TLS."),
    ("smtp", 587, "ssl"): ("security", "starttls", "Port 587 begins without encryption: use STARTTLS."),
    ("smtp", 25, "ssl"): ("security", "starttls", "Port 25 begins without encryption: use STARTTLS."),
    ("smtp", 465, "starttls"): ("security", "ssl", "Port 465 is encrypted from the start: use SSL/TLS."),
    ("smtp", 465, "none"): ("security", "ssl", "Port 465 is encrypted from the start: use SSL/TLS."),
}
_PORTS = {("imap", "ssl"): 993, ("imap", "starttls"): 143, ("smtp", "ssl"): 465, ("smtp", "starttls"): 587}

_APP_PASSWORDS: dict[str, str] = {
    "gmail.com": "Google wants an app password: Google Account → Security → 2-Step Verification → App passwords.",
    "googlemail.com": "Google wants an app password: Google Account → Security → App passwords.",
    "yahoo.com": "Yahoo wants an app password: Account security → Generate app password.",
    "icloud.com": "Apple wants an app-specific password, made at account.apple.com.",
    "me.com": "Apple wants an app-specific password, made at account.apple.com.",
    "mail.me.com": "Apple wants an app-specific password, made at account.apple.com.",
    "fastmail.com": "Fastmail wants an app password: Settings → Privacy & Security → App passwords.",
    "gmx.net": "GMX lets mail programs in only after POP3/IMAP was switched on in its own settings.",
    "web.de": "WEB.DE lets mail programs in only after POP3/IMAP was switched on in its own settings.",
    "office365.com": "Microsoft 365 takes no passwords from mail programs any more.",
    "outlook.com": "Microsoft takes no passwords from mail programs any more.",
}
_NO_CERTIFICATE = (
    "Ask whoever runs the server for a certificate that holds. Without one, a super-administrator has to allow "
    "such servers in Config → Main → Email."
)
_MISFIT = {
    "tls_failed",
    "timeout",
    "connect_failed",
    "connection_lost",
    "not_a_mail_server",
    "protocol_error",
}


def suggest(
    kind: str, settings: Mapping[str, Any], error: MailError, address: str = "", *, unchecked: bool = False
) -> Fix | None:
    """Return {"field", "value", "text"} for the most likely cause, None when nothing is likely.

    `field` is a settings field's name ('' when no field helps), `value` what to fill in (None: the person
    knows). `address` is the mailbox's own; `unchecked` says whether certificates may go unchecked here.
    """
    protocol = "imap" if kind in ("imap", "load") else "smtp"
    if error.code == "starttls_missing":
        return _fix(protocol, "security", "ssl", "The server offers no STARTTLS: use SSL/TLS.")
    if error.code in _MISFIT:
        return _pair(protocol, settings, error)
    if error.code == "token_rejected":
        return _fix(protocol, "password", None, "The token has ended or is not for mail: get a new one.")
    if error.code == "password_rejected":
        return _password(protocol, settings, address)
    if error.code == "folder_missing" and protocol == "imap":
        return _folder(error)
    if error.code == "certificate_invalid" and "self-signed" in error.message:
        if not unchecked:
            return {"field": "", "value": None, "text": _NO_CERTIFICATE}
        text = "If this is your own server: remember this certificate instead of checking it."
        return _fix(protocol, "skip_validation", True, text)
    if error.code == "host_not_found" and str(settings.get("host", "")).startswith(("http:", "https:")):
        return _fix(protocol, "host", None, "Enter the server's name only, like imap.example.com.")
    return None


def _fix(protocol: str, field: str, value: Any, text: str) -> Fix:
    return {"field": f"{protocol}_{field}", "value": value, "text": text}


def _pair(protocol: str, settings: Mapping[str, Any], error: MailError) -> Fix | None:
    port, security = int(settings.get("port") or 0), str(settings.get("security") or "")
    found = _PAIRS.get((protocol, port, security))
    if found is not None:
        return _fix(protocol, *found)
    if security == "ssl" and "does not begin with encryption" in error.message:
        return _fix(protocol, "security", "starttls", f"Port {port} begins without encryption: use STARTTLS.")
    if security != "ssl" and error.code == "timeout" and error.message.startswith("Waiting for the server"):
        return _fix(protocol, "security", "ssl", f"Port {port} may be encrypted from the start: use SSL/TLS.")
    usual = _PORTS.get((protocol, security))
    if usual is not None and port != usual and port != 25:
        return _fix(protocol, "port", usual, f"The usual port for this security mode is {usual}.")
    return None


def _password(protocol: str, settings: Mapping[str, Any], address: str) -> Fix | None:
    user, host = str(settings.get("username") or ""), str(settings.get("host") or "").lower()
    field = "smtp_username" if protocol == "smtp" and settings.get("own_username") else "imap_username"
    if "@" not in user:
        text = "Most servers want the full email address as the user name."
        return {"field": field, "value": address or None, "text": text}
    domain = user.rpartition("@")[2].lower()
    for known, text in _APP_PASSWORDS.items():
        if domain == known or host == known or host.endswith("." + known):
            return {"field": field.replace("username", "password"), "value": None, "text": text}
    return None


def _folder(error: MailError) -> Fix:
    first, _, rest = error.advice.partition("“")
    name, mark, _ = rest.partition("” looks right")
    if not first and mark:
        return {"field": "sent_folder", "value": name, "text": error.advice}
    return {"field": "sent_folder", "value": None, "text": "Press Load and choose the folder."}
