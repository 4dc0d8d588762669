"""The one error a mail server's refusal becomes: what happened, what to do, and whether waiting helps."""


class MailError(Exception):
    """A mail server, or the way to it, refused.

    ``code`` is a stable word for programs, ``message`` says what happened, ``advice`` what to do about it.
    ``temporary`` is True when the same request may succeed later without anybody changing anything.
    ``server_text`` is the server's own reply; it is a stranger's text, to be shown quoted and escaped.
    ``retry_after`` is how many seconds to wait at least: the server asked for it, or its limit takes so long to pass.
    It is four hours at most, None when neither is so.
    """

    def __init__(
        self,
        code: str,
        message: str,
        advice: str = "",
        *,
        temporary: bool,
        server_text: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.advice = advice
        self.temporary = temporary
        self.server_text = server_text
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()

    def __repr__(self) -> str:
        return f"MailError({self.code!r}, {self.message!r}, temporary={self.temporary})"


def quoted(server_text: str) -> str:
    """A server's words in quotation marks, which they cannot end by themselves (S-041); '' where it said nothing."""
    said = server_text.strip().replace("”", '"')
    return f"“{said}”" if said else ""


def host_not_found(host: str, *, temporary: bool) -> MailError:
    """The name has no address, or the name service did not answer (``temporary``)."""
    if temporary:
        return MailError(
            "host_not_found",
            f"The name service could not be asked about “{host}”.",
            "This usually passes by itself; Postern tries again.",
            temporary=True,
        )
    return MailError(
        "host_not_found",
        f"There is no server called “{host}”.",
        "Check the spelling of the server's name.",
        temporary=False,
    )


def host_vanished(host: str) -> MailError:
    """A name that was found before is not found now: name services fail, and people let domains lapse (R-031)."""
    return MailError(
        "host_not_found",
        f"“{host}” cannot be found at the moment.",
        "It was found before, so this usually passes by itself; Postern tries again.",
        temporary=True,
    )


def unchecked_refused(host: str) -> MailError:
    """The certificate would go unchecked, and whoever runs Postern does not allow that (S-039)."""
    return MailError(
        "unchecked_refused",
        f"Your company does not allow connections whose certificate is not checked, so “{host}” is not connected to.",
        "Switch “Don’t validate certificate” off. If the server has no certificate that holds, ask for one, "
        "or ask a super-administrator to allow it in Config → Main → Email.",
        temporary=False,
    )


def timed_out(what: str, seconds: float) -> MailError:
    """``what`` did not finish within ``seconds``."""
    return MailError(
        "timeout",
        f"{what} took longer than {seconds:.0f} seconds.",
        "The server or the network is slow, or the port is blocked by a firewall.",
        temporary=True,
    )


def connection_lost(while_doing: str) -> MailError:
    """The connection ended while something was under way."""
    return MailError(
        "connection_lost",
        f"The server closed the connection while {while_doing}.",
        "This usually passes by itself; Postern tries again.",
        temporary=True,
    )


def control_bytes(what: str) -> MailError:
    """An argument held a line break, NUL or another control byte and was not sent at all (S-042, S-044)."""
    return MailError(
        "control_bytes",
        f"{what} contains a line break or another control character.",
        "Remove it; nothing was sent to the server.",
        temporary=False,
    )
