"""From a mailbox's settings to what the wire needs: endpoints, logins, and who the sender is."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from django.conf import settings

from postern.mailboxes import secrets
from postern.mailboxes.models import ImapAuth, Mailbox, Probe, Secret, SmtpAuth, SystemEmail
from postern.mime.addresses import Mailaddr
from postern.wire import smtp
from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.login import Login


class Sender(NamedTuple):
    """Whom a letter is from: the From header, the envelope sender, and Reply-To when there is one."""

    from_: Mailaddr
    envelope: str
    reply_to: Mailaddr | None


def policy() -> Policy:
    """Return what the operator allows beyond public mail servers, and the company beyond checked certificates.

    Raises ValueError for a broken setting.
    """
    return _policy(settings.MAIL_HOSTS, SystemEmail.current().unchecked_certificates)


@lru_cache(maxsize=4)
def _policy(text: str, unchecked: bool) -> Policy:
    return Policy.from_setting(text, unchecked=unchecked)


def imap_endpoint(mailbox: Mailbox) -> Endpoint:
    """Return the mailbox's IMAP server."""
    return Endpoint(
        mailbox.imap_host,
        mailbox.imap_port,
        Security(mailbox.imap_security),
        pinned_sha256=mailbox.imap_pinned_sha256,
        skip_validation=mailbox.imap_skip_validation,
    )


def imap_login(mailbox: Mailbox) -> Login:
    """Return the mailbox's IMAP sign-in; workers only. Raises SecretError."""
    secret = secrets.read_secret(mailbox, Secret.Field.IMAP)
    return Login(mailbox.imap_username, secret, token=mailbox.imap_auth == ImapAuth.TOKEN)


def smtp_endpoint(mailbox: Mailbox) -> Endpoint:
    """Return the server the mailbox sends through: its own, or the company's (row 16)."""
    if mailbox.use_system_smtp:
        return system_endpoint(SystemEmail.current())
    return Endpoint(
        mailbox.smtp_host,
        mailbox.smtp_port,
        Security(mailbox.smtp_security),
        pinned_sha256=mailbox.smtp_pinned_sha256,
        skip_validation=mailbox.smtp_skip_validation,
    )


def unchecked(mailbox: Mailbox) -> tuple[str, ...]:
    """Return which of the mailbox's servers, imap and smtp, are connected to without checking their certificate."""
    servers = {"imap": (mailbox.imap_host, imap_endpoint(mailbox))}
    if not mailbox.use_system_smtp:  # the company's own is always checked
        servers["smtp"] = (mailbox.smtp_host, smtp_endpoint(mailbox))
    return tuple(name for name, (host, endpoint) in servers.items() if host and endpoint.unchecked)


def smtp_login(mailbox: Mailbox) -> Login | None:
    """Return the sign-in that goes with `smtp_endpoint`, None for a server without one. Raises SecretError."""
    if mailbox.use_system_smtp:
        return system_login(SystemEmail.current())
    if mailbox.smtp_auth == SmtpAuth.NONE:
        return None
    user = mailbox.smtp_username or mailbox.imap_username
    return Login(user, secrets.read_secret(mailbox, Secret.Field.SMTP), token=smtp_has_token(mailbox))


def smtp_has_token(mailbox: Mailbox) -> bool:
    """True when the secret for the mailbox's own SMTP server is an access token."""
    shared = not mailbox.smtp_username and mailbox.imap_auth == ImapAuth.TOKEN
    return shared or mailbox.smtp_auth == SmtpAuth.XOAUTH2


def smtp_auth(mailbox: Mailbox) -> smtp.SmtpAuth:
    """Return the authentication type that goes with `smtp_endpoint`."""
    chosen = SystemEmail.current().smtp_auth if mailbox.use_system_smtp else mailbox.smtp_auth
    return smtp.SmtpAuth(chosen)


def system_endpoint(system: SystemEmail) -> Endpoint:
    """Return the company's SMTP server."""
    return Endpoint(system.smtp_host, system.smtp_port, Security(system.smtp_security))


def system_login(system: SystemEmail) -> Login | None:
    """Return the company's SMTP sign-in; workers only. Raises SecretError."""
    if system.smtp_auth == SmtpAuth.NONE:
        return None
    return Login(system.smtp_username, secrets.read_system_secret())


def sender(mailbox: Mailbox) -> Sender:
    """Return who letters of this mailbox are from.

    Through the company's server (row 16): From is its Sender's email exactly, under the administrator's
    name, and answers come back to the mailbox's own address unless Reply-To says otherwise.
    """
    name = mailbox.owner.name
    reply_to = Mailaddr("", mailbox.reply_to) if mailbox.reply_to else None
    if mailbox.use_system_smtp:
        address = SystemEmail.current().sender_email
        return Sender(Mailaddr(name, address), address, reply_to or Mailaddr(name, mailbox.address))
    return Sender(Mailaddr(name, mailbox.address), mailbox.address, reply_to)


def probe_endpoint(probe: Probe) -> Endpoint:
    """Return the server that a test is about."""
    kept = probe.settings
    return Endpoint(
        kept["host"],
        int(kept["port"]),
        Security(kept["security"]),
        pinned_sha256=kept.get("pinned_sha256", ""),
        skip_validation=bool(kept.get("skip_validation")),
    )


def probe_login(probe: Probe) -> Login | None:
    """Return the sign-in of a test; workers only. Raises SecretError.

    A password typed for it comes first. A stored one opens only for the place it was stored for, so a
    test cannot carry it to another server (S-029). None: the server is to be used without a sign-in.
    """
    kept = probe.settings
    if kept.get("auth") == SmtpAuth.NONE:
        return None
    password = secrets.read_probe_secret(probe)
    if password is None:
        password = _stored(probe)
    return Login(kept["username"], password, token=bool(kept.get("token")))


def probe_auth(probe: Probe) -> smtp.SmtpAuth:
    """Return the authentication type of an SMTP test."""
    return smtp.SmtpAuth(probe.settings.get("auth") or SmtpAuth.AUTO)


def _stored(probe: Probe) -> str:
    place = secrets.probe_place(probe)
    if probe.settings.get("system"):
        return secrets.read_system_secret(place)
    if probe.mailbox is None:
        raise secrets.SecretError(
            "secret_missing", "No password is saved for this connection.", "Enter the password."
        )
    return secrets.read_secret(probe.mailbox, place.protocol, place)
