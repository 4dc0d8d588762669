"""RTF as Outlook sends it inside winmail.dat: unpacked (MS-OXRTFCP), and read as html or text (MS-OXRTFEX)."""

import re
import struct
from dataclasses import dataclass, replace
from itertools import islice

from postern.mime.charset import decode

MAX_SIZE = 4_000_000  # bytes, unpacked
MAX_TOKENS = 300_000
MAX_DEPTH = 200
_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbol"
    rb"ArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    + b"\r\n"
    + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_BITS = (1, 2, 4, 8, 16, 32, 64, 128)
_HTML = rb"\fromhtml1"
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,9})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)|[\r\n]+",
    re.DOTALL,
)
_SKIPPED = frozenset(
    (b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object", b"header", b"footer")
)
_SIGNS = {
    b"par": "\n", b"line": "\n", b"tab": "\t", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”",
    b"bullet": "•", b"endash": "–", b"emdash": "—", b"~": "\u00a0", b"_": "\u2011", b"{": "{", b"}": "}", b"\\": "\\",
    b"\n": "\n", b"\r": "\n",
}  # fmt: skip

# All other words say how the text looks: nine in ten.
_KNOWN_WORDS = _SKIPPED.union(_SIGNS, (b"u", b"uc", b"ansicpg", b"htmlrtf", b"htmltag"))


def wraps_html(data: bytes) -> bool:
    """True when what is packed is html in RTF's clothes; only its beginning is unpacked."""
    return _HTML in unpacked(data, 4096)


def unpacked(data: bytes, limit: int = MAX_SIZE) -> bytes:
    """The RTF behind PidTagRtfCompressed; empty when it is none. At most `limit` bytes, whatever its header says."""
    if len(data) < 16:
        return b""
    _, size, kind, _ = struct.unpack_from("<IIII", data)
    if kind == 0x414C454D:  # MELA: stored as it is
        return data[16 : 16 + min(size, limit)]
    return _lzfu(data, min(size, limit)) if kind == 0x75465A4C else b""


def _lzfu(data: bytes, size: int) -> bytes:
    """The references point into a ring of 4096 bytes that begins with _START; each is at most 17 bytes long."""
    out = bytearray(_START)
    position, end, wanted = 16, len(data), size + len(_START)
    have = len(_START)
    while position < end and have < wanted:
        flags = data[position]
        position += 1
        if not flags:  # eight signs as they are
            out += data[position : position + 8]
            position += 8
            have = len(out)
            continue
        for bit in _BITS:
            if position >= end:
                break
            if not flags & bit:
                out.append(data[position])
                position += 1
                have += 1
                continue
            reference = data[position] << 8 | data[position + 1] if position + 1 < end else data[position]
            position += 2
            # the ring's write place is len(out) modulo 4096: how far back is this?
            back = (have - (reference >> 4)) % 4096
            first = have - back
            if not back or first < 0:  # pointing at the write place means the end
                return bytes(out[len(_START) : wanted])
            length = (reference & 15) + 2
            out += out[first : first + length] if back >= length else (out[first:] * length)[:length]
            have += length
    return bytes(out[len(_START) : wanted])


@dataclass(frozen=True)
class _Group:
    """What holds inside the current braces."""

    silent: bool = False  # a destination that is not shown
    tag: bool = False  # {\*\htmltag ...}: html as it was
    rtf_only: bool = False  # between \htmlrtf and \htmlrtf0
    fallback: int = 1  # signs that follow \uN for old programs


def read_rtf(rtf: bytes) -> tuple[str, bool]:
    """(html or text, is html): html when Outlook wrapped html into the RTF, else the text alone. Never raises."""
    reader = _Reader(html=_HTML in rtf[:4096])
    for token in islice(_TOKEN.finditer(rtf), MAX_TOKENS):
        if (word := token[1]) and word not in _KNOWN_WORDS and not reader.star:
            continue
        reader.take(token)
        if len(reader.stack) > MAX_DEPTH:
            break
    reader.flush()
    return "".join(reader.out).replace("\0", ""), reader.html


class _Reader:
    def __init__(self, *, html: bool) -> None:
        self.html = html
        self.out: list[str] = []
        self.bytes = bytearray()  # not decoded yet: characters of several bytes come one by one
        self.charset = "cp1252"
        self.stack: list[_Group] = []
        self.group = _Group()
        self.skip = 0  # fallback signs still to be passed over
        self.star = False  # \* was just read

    def take(self, token: re.Match[bytes]) -> None:
        kind = token.lastindex
        star, self.star = self.star, False
        if kind == 5:
            self._brace(token[5])
        elif kind == 6:
            self._bytes(token[6])
        elif kind == 4:
            self._sign(token[4])
        elif kind == 3:
            self._bytes(bytes.fromhex(token[3].decode()))
        elif kind:
            self._word(token[1], token[2], star)

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self.star = True
        else:
            self._say(_SIGNS.get(sign, ""))

    def _brace(self, brace: bytes) -> None:
        self.skip = 0
        if brace == b"{":
            self.stack.append(self.group)
        elif self.stack:
            self.group = self.stack.pop()

    def _word(self, word: bytes, number: bytes | None, star: bool) -> None:
        if word == b"u" and number:
            self._say(chr(int(number) % 0x10000))
            self.skip = self.group.fallback
        elif word == b"uc":
            self.group = replace(self.group, fallback=min(int(number or 1), 20))
        elif word == b"ansicpg" and number:
            self.charset = "cp" + number.decode()
        elif word == b"htmlrtf" and self.html:
            self.group = replace(self.group, rtf_only=number != b"0")
        elif word == b"htmltag" and star:
            self.group = replace(self.group, tag=self.html, silent=not self.html)
        elif star or word in _SKIPPED:
            self.group = self.group if self.group.silent else replace(self.group, silent=True)
        elif word in _SIGNS:
            self._say(_SIGNS[word])

    def _hidden(self) -> bool:
        return self.group.silent or (self.group.rtf_only and not self.group.tag)

    def _bytes(self, text: bytes) -> None:
        if self.skip:
            dropped = min(self.skip, len(text))
            self.skip -= dropped
            text = text[dropped:]
        if not self._hidden():
            self.bytes += text

    def _say(self, text: str) -> None:
        if text and not self._hidden():
            self.flush()
            self.out.append(text)

    def flush(self) -> None:
        if self.bytes:
            self.out.append(decode(bytes(self.bytes), self.charset))
            self.bytes.clear()
