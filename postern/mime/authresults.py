"""What the mailbox's own server found out about a sender (RFC 8601). From is a claim; this is the proof."""

import re
from dataclasses import dataclass

from postern.mime.addresses import ascii_domain, domain_of, parse_addresses
from postern.mime.headers import Headers, read_headers

_COMMENT = re.compile(r"\([^()]{0,1000}\)")
_RESULT = re.compile(r"\s*([a-z0-9-]{1,30})(?:/\d+)?\s*=\s*([a-z]{1,20})\b(.*)", re.IGNORECASE | re.DOTALL)
_PROPERTY = re.compile(r'\b([a-z]{1,20}\.[a-z-]{1,20})\s*=\s*"?([^\s;"]{1,320})', re.IGNORECASE)
_MAX_RESULTS = 60


@dataclass(frozen=True)
class Verdict:
    """dmarc, spf and dkim as the server's words ('' when not said); `verified` only when From is proven."""

    verified: bool
    reason: str
    dmarc: str = ""
    spf: str = ""
    dkim: str = ""


def verdict(raw_headers: bytes | Headers, authserv_id: str) -> Verdict:
    """Judge the topmost Authentication-Results of that authserv-id; every other one may be forged (RFC 8601 5).

    raw_headers: the letter, its header block, or a Letter's `headers`. Never raises.
    """
    headers = raw_headers if isinstance(raw_headers, Headers) else _read(raw_headers)
    wanted = authserv_id.strip().lower()
    if not wanted:
        return Verdict(False, "no authentication server is configured for this mailbox")
    if headers.count("from") != 1:
        return Verdict(False, "the letter does not have exactly one From header")
    authors = [domain_of(person.address) for person in parse_addresses(headers.text("from"))]
    if len(authors) != 1 or not authors[0]:
        return Verdict(False, "the From header does not name exactly one address")
    for value in headers.texts("authentication-results"):
        server, _, results = _COMMENT.sub(" ", value).partition(";")
        if (server.split() or [""])[0].lower() == wanted:
            return _judge(results, authors[0])
    return Verdict(False, "the mailbox's server added no result")


def _read(raw: bytes) -> Headers:
    return read_headers(raw, 0, len(raw), lambda defect: None)[0]


def _judge(results: str, author: str) -> Verdict:
    said: dict[str, str] = {}
    aligned = ""
    for piece in results.split(";")[:_MAX_RESULTS]:
        found = _RESULT.match(piece)
        if not found:
            continue
        method, result = found[1].lower(), found[2].lower()
        passed_before = said.get(method) == "pass"
        said[method] = "pass" if passed_before and method == "dkim" else said.get(method, result)
        if method == "dkim" and result == "pass":
            said[method] = "pass"
        if method in ("dkim", "spf") and result == "pass" and _aligned(method, found[3], author):
            aligned = aligned or method
    return _verdict(said, aligned)


def _verdict(said: dict[str, str], aligned: str) -> Verdict:
    dmarc, spf, dkim = said.get("dmarc", ""), said.get("spf", ""), said.get("dkim", "")
    if dmarc == "pass":
        return Verdict(True, "DMARC passed", dmarc, spf, dkim)
    if dmarc == "fail":
        return Verdict(False, "DMARC failed", dmarc, spf, dkim)
    if aligned:
        return Verdict(True, f"{aligned.upper()} passed for the sender's domain", dmarc, spf, dkim)
    return Verdict(False, "nothing proves the sender's domain", dmarc, spf, dkim)


def _aligned(method: str, properties: str, author: str) -> bool:
    """Relaxed alignment without a public suffix list: equal, or one a subdomain of the other, never of a bare TLD."""
    names = ("header.d", "header.i") if method == "dkim" else ("smtp.mailfrom", "smtp.from")
    for name, value in _PROPERTY.findall(properties):
        domain = ascii_domain(value.rpartition("@")[2])
        if name.lower() not in names or "." not in domain:
            continue
        if domain == author or author.endswith("." + domain) or domain.endswith("." + author):
            return True
    return False
