"""RFC 2047 encoded words, read and written. Names and subjects pass through here, never addresses."""

import binascii
import re

from postern.mime.charset import codec_for, decode, storable

_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]+")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
# `\s` written out: such a set is looked up in a table, which takes three quarters of the time.
BLANK = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# A word as RFC 2047 wants it, its language left out (RFC 2231).
_WORD = re.compile(rf"=\?([^?*{BLANK}]{{1,60}}+)(?:\*[^?{BLANK}]{{0,20}}+)?\?([bBqQ])\?([^?{BLANK}]*+)\?=")
_B64 = re.compile(r"[A-Za-z0-9+/]*+={0,2}")
_NOT_B64 = re.compile(r"[^A-Za-z0-9+/]")
_CUT = re.compile(r"=[^?]?\?|==")  # an escape that ends in the middle, in texts of Q joined by question marks
_MANY = 4  # from so many words on it pays to decode those of one kind together


def one_line(text: str) -> str:
    """Text that cannot start a new header line or end a C string; runs of control characters become one space."""
    if text.isprintable():  # then it holds neither control characters nor surrogates
        return text.strip()
    return _CONTROL.sub(" ", storable(text)).strip()


def decode_words(value: str) -> str:
    """Decode every encoded word of an unfolded header value (RFC 2047 section 5, and what is really sent).

    Adjacent words of one charset are joined as bytes before decoding: programs split characters across words.
    Blanks are dropped between words only. Linear in the length of the value.
    """
    if "=?" not in value:
        return one_line(value)
    if one := _WORD.fullmatch(value):
        charset, coding, text = one.groups()
        return one_line(decode(_payload(text, coding, charset), charset))
    out: list[str] = []
    pending: list[bytes] = []
    pending_charset = ""
    words, rest = _words(value)
    for number, (between, charset, data) in enumerate(words):
        if not number or not (between.isspace() or not between):
            out += (decode(b"".join(pending), pending_charset), between)
            pending = []
        elif charset != pending_charset and codec_for(charset) != codec_for(pending_charset):
            out.append(decode(b"".join(pending), pending_charset))
            pending = []
        pending.append(data)
        pending_charset = charset
    out += (decode(b"".join(pending), pending_charset), rest)
    return one_line("".join(out))


def hides_controls(value: str) -> bool:
    """True when an encoded word of an unfolded value would bring a line end or another control character."""
    if "=?" not in value:
        return False
    return any(_CONTROL.search(decode(data, charset)) for _, charset, data in _words(value)[0])


def _words(value: str) -> tuple[list[tuple[str, str, bytes]], str]:
    """(what stands before it, charset, bytes) of each encoded word, found without going back; and the rest."""
    usual = _WORD.split(value)
    odd = value.count("=?") - len(usual) // 4
    if not odd or (odd == 1 and _is_cut(usual[-1])):  # every one is as it should be
        if len(usual) > 4 * _MANY and (text := _one_text(usual)):
            return [(usual[0], usual[1], _payload(text, "Q", usual[1]))], usual[-1]
        cut = zip(usual[0::4], usual[1::4], usual[2::4], usual[3::4], strict=False)
        return [
            (between, charset, _payload(text, coding, charset)) for between, charset, coding, text in cut
        ], usual[-1]
    found = []
    position, start = 0, value.find("=?")
    while start >= 0:
        charset_end = value.find("?", start + 2, start + 80)
        payload = charset_end + 3
        if charset_end < 0 or value[charset_end + 2 : payload] != "?":
            start = value.find("=?", start + 2)
            continue
        end = value.find("?=", payload)
        if end < 0:
            break
        following = value.find("=?", payload, end)
        if following >= 0 and value[following - 1 : following] in " \t":  # this word was never closed
            start = following
            continue
        coding = value[charset_end + 1]
        if coding in "bBqQ":
            charset = value[start + 2 : charset_end].partition("*")[0]
            found.append((value[position:start], charset, _payload(value[payload:end], coding, charset)))
            position = end + 2
        start = value.find("=?", end + 2)
    return found, value[position:]


def _is_cut(rest: str) -> bool:
    """True when what follows the last word begins another and has no end, as where a long header was cut."""
    return "=?" in rest and "?=" not in rest


def _one_text(usual: list[str]) -> str:
    """The text of all words in one, if they are of one charset, in Q, and neighbours; else ''."""
    if len(set(usual[1::4])) > 1 or not set(usual[2::4]) <= {"q", "Q"} or "".join(usual[4:-1:4]).strip():
        return ""
    texts = "?".join(usual[3::4])  # none of them holds one
    return texts.replace("?", "") if texts.isascii() and not _CUT.search(f"{texts}?") else ""


def _payload(text: str, coding: str, charset: str) -> bytes:
    if coding in "bB":
        return _base64(text)
    if text.isascii():
        data = text.encode("ascii")
    else:  # raw 8-bit inside Q: it was decoded with the header line, take it back to the word's charset
        try:
            data = text.encode(codec_for(charset) or "utf-8")
        except UnicodeError:
            data = text.encode("utf-8", "replace")
    if b"==" not in data and data[-1:] != b"=":  # there binascii drops what should stay
        return binascii.a2b_qp(data, header=True)
    return _HEX.sub(lambda found: bytes.fromhex(found[1].decode()), data.replace(b"_", b" "))


def _base64(text: str) -> bytes:
    if len(text) % 4 == 0 and _B64.fullmatch(text):
        return binascii.a2b_base64(text)
    text = _NOT_B64.sub("", text)
    if len(text) % 4 == 1:  # one stray character carries no byte
        text = text[:-1]
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


def encode_words(text: str) -> str:
    """ASCII form of a header text: unchanged when plain, else encoded words of UTF-8, never cutting a character.

    The words are joined with blanks; the caller folds. Expects text without control characters.
    """
    if text.isascii() and "=?" not in text and max(map(len, text.split(" ")), default=0) < 70:
        return text
    words, chunk = [], b""
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(chunk) + len(encoded) > 42:  # 42 bytes are 56 characters of base64, 68 with the frame
            words.append(chunk)
            chunk = b""
        chunk += encoded
    words.append(chunk)
    return " ".join(f"=?utf-8?b?{binascii.b2a_base64(word, newline=False).decode()}?=" for word in words)
