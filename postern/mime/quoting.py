# ruff: noqa: SIM905  (word lists read better as one string)
"""Where the quoted earlier letter begins. Used to fold it away, never to delete: both halves together are the text."""

import re

_LOOKED_AT = 400  # characters of a line
_QUOTED = re.compile(r"\s{0,3}>")
_SEPARATOR = re.compile(
    r"\s*(?:[-_]{2,}\s*(?:original message|forwarded message|original[- ]nachricht|ursprüngliche nachricht|"
    r"weitergeleitete nachricht|message d'origine|message transféré|mensaje original|messaggio originale|"
    r"messaggio inoltrato|oorspronkelijk bericht|mensagem original|oryginalna wiadomość|původní zpráva|"
    r"ursprungligt meddelande|oprindelig meddelelse|opprinnelig melding|исходное сообщение|"
    r"пересылаемое сообщение|eredeti üzenet|alkuperäinen viesti)\s*[-_]{2,}|begin forwarded message:|"
    r"anfang der weitergeleiteten nachricht:|début du message réexpédié :)\s*$",
    re.IGNORECASE,
)
_WROTE = re.compile(
    r"(?:\b(?:wrote|writes|schrieb|schrieben|escribió|escribio|escreveu|schreef|skrev|napsal|napsala|napsal\(a\)|"
    r"napisał|napisała|napisał\(a\)|kirjoitti|написал|написала|пишет|írta|a scris|пише|yazdı|scritto|écrit))"
    r"[^:]{0,80}:\s*$",
    re.IGNORECASE,
)
_OPENS = re.compile(
    r"\s*(?:on|am|le|el|il|op|den|dne|em|w dniu|dnia|в|at|vào|on,|le,|sö|fre|lör|mån|tis|ons|tors|pe|ma|ti|ke|to|la|su|"
    r"\d{1,4}[./-]\d{1,2})\b",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"\s*\*?(?:from|sent|date|to|cc|subject|von|gesendet|datum|an|betreff|de|envoyé|date|à|objet|enviado|para|asunto|"
    r"da|inviato|a|oggetto|van|verzonden|aan|onderwerp|från|skickat|till|ämne|fra|sendt|til|emne|od|wysłano|do|temat|"
    r"odesláno|komu|předmět|от|отправлено|дата|кому|тема|копия)\s?:\*?\s*\S",
    re.IGNORECASE,
)
_HEAD = re.compile(r"\s*\*?(?:from|von|de|da|van|från|fra|od|от|lähettäjä)\s?:\*?\s*\S", re.IGNORECASE)
# What every line that can begin a quote begins with: one look instead of four at all the others.
_FIRST = re.compile(r"[\s*]*+([-_]{2}|\w+)")
_FIRST_WORDS = frozenset(
    "begin anfang début on am le el il op den dne em w dnia в at vào sö fre lör mån tis ons tors pe ma ti ke to la su "
    "from von de da van från fra od от lähettäjä".split()
)
_RULE = re.compile(r"\s*_{10,}\s*$")


def split_quote(text: str) -> tuple[str, str]:
    """(fresh, quoted) with fresh + quoted == text. Answers written between or below quotes stay in fresh.

    Linear: every line is looked at a fixed number of times.
    """
    lines = text.splitlines(keepends=True)
    tail = _quoted_tail(lines)
    for index in range(tail):
        if _may_start(lines[index], index) and _starts_quote(lines, index, tail):
            tail = index
            break
    return "".join(lines[:tail]), "".join(lines[tail:])


def _may_start(line: str, index: int) -> bool:
    """One look that tells most lines. A blank line may come before a copied header at the top of the text."""
    first = _FIRST.match(line, 0, _LOOKED_AT)
    if first is not None:
        word = first[1]
        if word.lower() in _FIRST_WORDS or word[0] in "-_0123456789":
            return True
    return index < 2 and (line.isspace() or not line.isascii())


def _starts_quote(lines: list[str], index: int, tail: int) -> bool:
    line = lines[index][:_LOOKED_AT]
    if _SEPARATOR.match(line):
        return True
    if _RULE.match(line) and _is_head(lines, index + 1):
        return True
    if _is_head(lines, index):
        return True
    return bool(_OPENS.match(line)) and _attribution_leads(lines, index, tail)


def _is_head(lines: list[str], index: int) -> bool:
    """Outlook's copied header: a From line and at least two more fields in the next four lines."""
    while index < len(lines) and not lines[index].strip() and index < 2:
        index += 1
    if index >= len(lines) or not _HEAD.match(lines[index][:_LOOKED_AT]):
        return False
    return sum(bool(_FIELD.match(line[:_LOOKED_AT])) for line in lines[index + 1 : index + 5]) >= 2


def _attribution_leads(lines: list[str], index: int, tail: int) -> bool:
    """`On ... wrote:`, perhaps over three lines, then the quoted tail, or unmarked text of a converted letter."""
    joined = ""
    for offset, line in enumerate(lines[index : index + 3]):
        joined += " " + line.strip()[:_LOOKED_AT]
        if _WROTE.search(joined[-_LOOKED_AT:]):
            following = next(
                (
                    n
                    for n in range(index + offset + 1, min(len(lines), index + offset + 4))
                    if lines[n].strip()
                ),
                -1,
            )
            if following < 0:
                return False
            marked = bool(_QUOTED.match(lines[following]))
            return following >= tail if marked else bool(re.search(r"\d", joined))
        if not line.strip():
            return False
    return False


def _quoted_tail(lines: list[str]) -> int:
    """Index of the first line of the block of `>` lines (and blanks) that ends the text; len(lines) when none."""
    index = len(lines)
    first = len(lines)
    while index and (not lines[index - 1].strip() or _QUOTED.match(lines[index - 1])):
        index -= 1
        if lines[index].strip():
            first = index
    return first
