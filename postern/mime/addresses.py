"""Addresses: tokenised first, names decoded after, so that a decoded comma never makes a recipient."""

import re
from dataclasses import dataclass
from functools import lru_cache

import idna

from postern.mime.words import BLANK, decode_words, one_line

# One recipient of a plain list, with its comma: bare, named, named in quotes without backslashes, or only a name.
_BARE = r'[^\s<>@"(),;:\\=]++@[^\s<>@"(),;:\\=]++'
_ANGLE = r'[^\s<>@"(),;:\\]++@[^\s<>@"(),;:\\]++'
_NAME = rf'(?:[^"(),;:<>@\\=]++|=\?[^?{BLANK}]{{1,75}}+\?[bBqQ]\?[^?{BLANK}]*+\?=|=)'
_LISTED = re.compile(
    rf'\s*+(?:({_BARE})|"([^"\\]*+)"\s*+<({_ANGLE})>|({_NAME}*+)(?:<({_ANGLE})>)?+)\s*+(?:,|\Z)', re.DOTALL
)
_TOKEN = re.compile(
    r'=\?[^?\s]{1,75}\?[bBqQ]\?[^?\r\n]*+\?=|"(?:[^"\\]|\\.)*+"|\\.|[^\s"(),;:<>\\=]++|\s++|.', re.DOTALL
)
_QUOTED = re.compile(r"\\(.)", re.DOTALL)
_BLANKS = re.compile(r"\s+")
_LOCAL = re.compile(r"[^\s\"(),:;<>@\[\]\\\x00-\x20\x7f-\xa0]{1,64}")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Mailaddr:
    """A person in a header: the name decoded, the address as written ('' when the header gave only a name)."""

    name: str
    address: str


def parse_addresses(header: str) -> list[Mailaddr]:
    """Addresses of an unfolded header value, groups opened, comments used as names. Linear, never raises."""
    header = header.strip()
    if not header:
        return []
    return _plain_list(header) or _Scan().run(header)


def _plain_list(header: str) -> list[Mailaddr]:
    """The addresses of a list without groups, comments and surprises; empty when it holds any."""
    found = []
    position, end = 0, len(header)
    while position < end and (match := _LISTED.match(header, position)):
        bare, quoted, beside, words, address = match.groups()
        if bare:
            found.append(Mailaddr("", one_line(bare)))
        elif address or beside:
            found.append(Mailaddr(_phrase(quoted or words or ""), one_line(address or beside)))
        elif words:
            name = _phrase(words)
            word = "=?" not in words and " " not in name  # `root` on some machine: rather an address
            found.append(Mailaddr("", name) if word else Mailaddr(name, ""))
        else:
            return []
        position = match.end()
    return found if position == end else []


def _phrase(words: str) -> str:
    """A display name: blanks collapsed, encoded words decoded."""
    words = " ".join(words.split())
    return decode_words(words) if "=?" in words or not words.isprintable() else words


class _Scan:
    """One pass over the tokens of an address list."""

    def __init__(self) -> None:
        self.found: list[Mailaddr] = []
        self.phrase: list[str] = []  # tokens before the angle bracket, quoted strings still quoted
        self.has_at = False  # the phrase holds an @
        self.angle: list[str] | None = None  # tokens inside < >
        self.closed = False  # the angle bracket was closed
        self.comment: list[str] = []
        self.depth = 0  # of comments

    def run(self, header: str) -> list[Mailaddr]:
        for match in _TOKEN.finditer(header):
            piece = match[0]
            if self.depth:
                self._in_comment(piece)
            elif piece == "(":
                self.depth = 1
            elif piece in ",;":
                self._separator(piece)
            elif piece == "<":
                self._open()
            elif piece == ">":
                self.closed = self.angle is not None
            elif piece == ":" and self.angle is None and not self.has_at:
                self.phrase = []  # the name of a group
            elif self.angle is not None and not self.closed:
                self.angle.append(piece)
            else:
                self.phrase.append(piece)
                self.has_at = self.has_at or "@" in piece
        self._flush()
        return self.found

    def _in_comment(self, piece: str) -> None:
        self.depth += (piece == "(") - (piece == ")")
        if self.depth:
            self.comment.append(piece)

    def _separator(self, piece: str) -> None:
        route = self.angle is not None and not self.closed and "".join(self.angle).startswith("@")
        if route and self.angle is not None and len(self.angle) < 60 and piece == ",":
            self.angle.append(piece)  # <@relay,@relay:person@host>, RFC 5322 4.4
        else:
            self._flush()

    def _open(self) -> None:
        if self.angle is not None:  # a comma was forgotten
            self._flush()
        self.angle = []

    def _flush(self) -> None:
        angle = None if self.angle is None else "".join(self.angle)
        if angle is not None:
            self._add("".join(map(_unquoted, self.phrase)), angle)
        elif self.phrase:
            self._without_brackets()
        self.phrase, self.angle, self.comment = [], None, []
        self.closed = self.has_at = False

    def _without_brackets(self) -> None:
        """`person@host`, `Name person@host`, `"odd local"@host`, or only a name."""
        words = (
            "".join(self.phrase).split()
            if not any(w[0] == '"' for w in self.phrase)
            else _joined(self.phrase)
        )
        at = next((index for index, word in enumerate(words) if "@" in word[1:] and word[-1:] != '"'), -1)
        if at < 0 and len(words) == 1 and words[0][0] != '"' and "=?" not in words[0]:
            self._add("", words[0])
        elif at < 0:
            self._add(" ".join(map(_unquoted, words)), "")
        else:
            self._add(" ".join(_unquoted(word) for index, word in enumerate(words) if index != at), words[at])

    def _add(self, name: str, address: str) -> None:
        if address.startswith("@") and ":" in address:
            address = address.rpartition(":")[2]
        name = decode_words(_BLANKS.sub(" ", name))
        if not name and self.comment:
            name = decode_words(_BLANKS.sub(" ", "".join(map(_unquoted, self.comment))))
        address = one_line(_BLANKS.sub("", address) if '"' not in address else address.strip())
        if "=?" in address and "@" not in address:  # some programs encode the whole mailbox
            address = decode_words(address)
        if name or address:
            self.found.append(Mailaddr(name, address))


def _joined(tokens: list[str]) -> list[str]:
    """Words of a phrase where a quoted string sticks to what follows it without a blank."""
    words: list[str] = []
    fresh = True
    for piece in tokens:
        if piece.isspace():
            fresh = True
            continue
        if fresh:
            words.append(piece)
        else:
            words[-1] += piece
        fresh = False
    return words


def _unquoted(piece: str) -> str:
    if len(piece) > 1 and piece[0] == piece[-1] == '"':
        piece = piece[1:-1]
    return _QUOTED.sub(r"\1", piece) if "\\" in piece else piece


@lru_cache(maxsize=20_000)
def normalise(address: str) -> str:
    """The form addresses are compared in: trimmed, lower case, IDN domain in ASCII; '' when not an address."""
    address = address.strip().strip("<>").strip()
    local, at, domain = address.rpartition("@")
    if len(local) > 2 and local[0] == local[-1] == '"':
        local = local[1:-1]
    if not at or len(address) > 320 or not _LOCAL.fullmatch(local) or _INVISIBLE.search(address):
        return ""
    host = ascii_domain(domain)
    return f"{local.lower()}@{host}" if host and len(local) + len(host) < 254 else ""


def ascii_domain(domain: str) -> str:
    """The domain in lower-case ASCII (IDNA 2008, UTS 46 mapping); '' when it is none."""
    domain = domain.strip().rstrip(".").lower()
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError, ValueError, IndexError):
            return ""
    if not domain or len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        return ""
    return domain


def domain_of(address: str) -> str:
    """The normalised domain of an address; '' when it is not an address."""
    return normalise(address).rpartition("@")[2]


def strict_address(text: str) -> Mailaddr:
    """One address typed by a person, as `Name <person@host>` or `person@host`.

    Raises ValueError with a sentence for the person. What is returned is exactly what the person sees:
    names holding another address, quoted local parts, comments and groups are refused (RFC 5321 4.1.2).
    """
    if _CONTROL.search(text):
        raise ValueError("An address may not contain line breaks or control characters.")
    if _INVISIBLE.search(text):
        raise ValueError("The address contains invisible characters; type it again.")
    text = text.strip()
    if not text:
        raise ValueError("The address is empty.")
    name, address = _split_typed(text)
    if "<" in name or ">" in name or ("@" in name and normalise(name) != normalise(address)):
        raise ValueError(f"“{text}” names two addresses; give them one by one.")
    return Mailaddr(name, _checked(address))


def _split_typed(text: str) -> tuple[str, str]:
    if not text.endswith(">"):
        return "", text
    name, opened, address = text[:-1].rpartition("<")
    if not opened:
        raise ValueError(f"“{text}” has a > without a <.")
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = _QUOTED.sub(r"\1", name[1:-1])
    return _BLANKS.sub(" ", name), address.strip()


def _checked(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if not at:
        raise ValueError(f"“{address}” is not an e-mail address: the @ is missing.")
    if not local.isascii():
        raise ValueError(f"“{address}”: only plain letters, digits and signs can be used before the @.")
    if not _LOCAL.fullmatch(local) or local[0] == "." or local[-1] == "." or ".." in local:
        raise ValueError(f"“{address}” is not an e-mail address: “{local}” before the @ cannot be used.")
    host = ascii_domain(domain)
    if not host or "_" in host or len(local) + len(host) > 253:
        raise ValueError(f"“{address}” is not an e-mail address: “{domain}” is not a domain.")
    return f"{local}@{host}"
