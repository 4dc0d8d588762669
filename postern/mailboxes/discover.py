"""What is known about large providers: their servers, and how one gets a password that works (row 8). Data."""

from __future__ import annotations

from dataclasses import dataclass

from postern.mime.addresses import domain_of


@dataclass(frozen=True)
class Hint:
    """A provider's servers as it documents them, all with their ports; `advice` is about the password."""

    provider: str
    imap_host: str
    smtp_host: str
    smtp_port: int
    smtp_security: str
    advice: str
    imap_port: int = 993
    imap_security: str = "ssl"


_GMAIL = Hint(
    "Gmail",
    "imap.gmail.com",
    "smtp.gmail.com",
    465,
    "ssl",
    "Gmail wants an app password: Google Account, Security, 2-Step Verification, App passwords. "
    "Your ordinary password does not work here.",
)
_OUTLOOK = Hint(
    "Outlook.com and Microsoft 365",
    "outlook.office365.com",
    "smtp.office365.com",
    587,
    "starttls",
    "Microsoft has switched off signing in with a password for most accounts. Ask your administrator "
    "whether your mailbox still allows it.",
)
_YAHOO = Hint(
    "Yahoo Mail",
    "imap.mail.yahoo.com",
    "smtp.mail.yahoo.com",
    465,
    "ssl",
    "Yahoo wants an app password: Account security, Generate app password.",
)
_ICLOUD = Hint(
    "iCloud Mail",
    "imap.mail.me.com",
    "smtp.mail.me.com",
    587,
    "starttls",
    "Apple wants an app-specific password: account.apple.com, Sign-In and Security.",
)
_GMX = Hint(
    "GMX",
    "imap.gmx.net",
    "mail.gmx.net",
    587,
    "starttls",
    "Switch IMAP on in GMX under Settings, POP3/IMAP. With two-factor sign-in you need an application password.",
)
_WEBDE = Hint(
    "WEB.DE",
    "imap.web.de",
    "smtp.web.de",
    587,
    "starttls",
    "Switch IMAP on in WEB.DE under Settings, POP3/IMAP. With two-factor sign-in you need an application password.",
)
_FASTMAIL = Hint(
    "Fastmail",
    "imap.fastmail.com",
    "smtp.fastmail.com",
    465,
    "ssl",
    "Fastmail wants an app password: Settings, Privacy & Security, Manage app passwords.",
)
_ZOHO = Hint(
    "Zoho Mail",
    "imap.zoho.com",
    "smtp.zoho.com",
    465,
    "ssl",
    "Switch IMAP on in Zoho Mail. With two-factor sign-in you need an application-specific password.",
)

PROVIDERS: dict[str, Hint] = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), _GMAIL),
    **dict.fromkeys(("outlook.com", "hotmail.com", "live.com", "msn.com"), _OUTLOOK),
    **dict.fromkeys(("yahoo.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "ymail.com"), _YAHOO),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), _ICLOUD),
    **dict.fromkeys(("gmx.net", "gmx.de", "gmx.at", "gmx.ch"), _GMX),
    "web.de": _WEBDE,
    **dict.fromkeys(("fastmail.com", "fastmail.fm"), _FASTMAIL),
    **dict.fromkeys(("zoho.com", "zohomail.com"), _ZOHO),
}


def hint(address: str) -> Hint | None:
    """Return what is known about the provider of an address, None for a domain of one's own. Asks nobody."""
    return PROVIDERS.get(domain_of(address))
