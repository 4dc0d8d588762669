"""A look at what truly lies on an IMAP server, by Python's imaplib: nothing of ours checks itself here."""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import re
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime


class Looking:
    """Mix into a server that has `host`, `port` and `passwords`."""

    host: str
    port: int
    passwords: dict[str, str]

    @contextlib.contextmanager
    def session(
        self, user: str, folder: str | None = None, *, readonly: bool = True
    ) -> Iterator[imaplib.IMAP4]:
        """A signed-in plain connection, with a folder open when one is named."""
        link = imaplib.IMAP4("127.0.0.1", self.port, timeout=20)
        # imaplib sends a literal's last line break apart: 40 ms each time, unless it goes at once.
        link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _ok(link.login(user, self.passwords[user]))
            if folder is not None:
                _ok(link.select(_quoted(folder), readonly=readonly))
            yield link
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                link.logout()

    def append(
        self,
        user: str,
        folder: str,
        raw: bytes,
        *,
        flags: Sequence[str] = (),
        date: datetime | None = None,
    ) -> None:
        """Put a letter into a folder with flags and INTERNALDATE. Raises imaplib's error when refused."""
        when = imaplib.Time2Internaldate(date if date is not None else time.time())
        with self.session(user) as link:
            _ok(link.append(_quoted(folder), f"({' '.join(flags)})", when, raw))

    def folders(self, user: str) -> list[str]:
        """The names of all folders, as the server spells them."""
        with self.session(user) as link:
            lines = _ok(link.list())
        return sorted(_name(line) for line in lines if isinstance(line, bytes))

    def uids(self, user: str, folder: str = "INBOX") -> list[int]:
        """All UIDs, ascending."""
        with self.session(user, folder) as link:
            answer = _ok(link.uid("SEARCH", "ALL"))
        return [int(word) for word in (answer[0] or b"").split()]

    def fetch_raw(self, user: str, folder: str, uid: int) -> bytes:
        """The letter's bytes. KeyError when there is none."""
        return self._fetch(user, folder, uid, "BODY.PEEK[]")[1]

    def flags(self, user: str, folder: str, uid: int) -> set[str]:
        """The letter's flags, \\Recent left out."""
        line = self._fetch(user, folder, uid, "FLAGS")[0]
        found = re.search(rb"FLAGS \(([^)]*)\)", line)
        return set(found[1].decode().split()) - {"\\Recent"} if found else set()

    def internaldate(self, user: str, folder: str, uid: int) -> datetime:
        """When the letter arrived at the server, in UTC."""
        line = self._fetch(user, folder, uid, "INTERNALDATE")[0]
        found = re.search(rb'INTERNALDATE "([^"]*)"', line)
        assert found, line
        return datetime.strptime(found[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)

    def digests(self, user: str, folder: str = "INBOX") -> dict[int, str]:
        """UID to SHA-256 of each letter's bytes: the truth that an import is compared with."""
        with self.session(user, folder) as link:
            answer = _ok(link.uid("FETCH", "1:*", "(UID BODY.PEEK[])"))
        found = {}
        for item in answer:
            if isinstance(item, tuple) and (uid := re.search(rb"UID (\d+)", item[0])):
                found[int(uid[1])] = hashlib.sha256(item[1]).hexdigest()
        return found

    def holdings(self, user: str) -> list[tuple[str, bytes, frozenset[str]]]:
        """Every letter of every folder that can be opened: where it lies, its bytes, its flags without \\Recent."""
        found = []
        with self.session(user) as link:
            for folder in sorted(_name(line) for line in _ok(link.list()) if isinstance(line, bytes)):
                if link.select(_quoted(folder), readonly=True)[0] == "OK":
                    answer = _ok(link.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])"))
                    found += [(folder, raw, flags) for raw, flags in _bytes_and_flags(answer)]
        return found

    def letters(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """The bytes of every letter, by ascending UID."""
        return [self.fetch_raw(user, folder, uid) for uid in self.uids(user, folder)]

    def store(self, user: str, folder: str, uid: int, *, add: str = "", remove: str = "") -> None:
        """Change flags, as another mail program would: add="\\\\Seen"."""
        with self.session(user, folder, readonly=False) as link:
            for sign, names in (("+", add), ("-", remove)):
                if names:
                    _ok(link.uid("STORE", str(uid), f"{sign}FLAGS.SILENT", f"({names})"))

    def expunge(self, user: str, folder: str, uid: int) -> None:
        """Delete a letter for good, as another mail program would."""
        with self.session(user, folder, readonly=False) as link:
            _ok(link.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)"))
            _ok(link.expunge())

    def move(self, user: str, folder: str, uid: int, target: str) -> None:
        """Move a letter by COPY and EXPUNGE."""
        with self.session(user, folder, readonly=False) as link:
            _ok(link.uid("COPY", str(uid), _quoted(target)))
        self.expunge(user, folder, uid)

    def create_folder(self, user: str, folder: str) -> None:
        """Make a folder."""
        with self.session(user) as link:
            _ok(link.create(_quoted(folder)))

    def delete_folder(self, user: str, folder: str) -> None:
        """Delete a folder with everything in it."""
        with self.session(user) as link:
            _ok(link.delete(_quoted(folder)))

    def status(self, user: str, folder: str = "INBOX") -> dict[str, int]:
        """MESSAGES, UIDNEXT and UIDVALIDITY."""
        with self.session(user) as link:
            answer = _ok(link.status(_quoted(folder), "(MESSAGES UIDNEXT UIDVALIDITY)"))
        words = re.findall(r"([A-Z]+) (\d+)", answer[0].decode().rpartition("(")[2])
        return {key: int(value) for key, value in words}

    def wait_for(self, user: str, folder: str = "INBOX", *, count: int, seconds: float = 15) -> list[int]:
        """Return the UIDs once there are `count` of them; AssertionError when there are not in time."""
        deadline = time.monotonic() + seconds
        while len(found := self.uids(user, folder)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} letters in {folder} of {user}"
            time.sleep(0.1)
        return found

    def _fetch(self, user: str, folder: str, uid: int, item: str) -> tuple[bytes, bytes]:
        with self.session(user, folder) as link:
            answer = _ok(link.uid("FETCH", str(uid), f"(UID {item})"))
        for part in answer:
            if isinstance(part, tuple):
                return part[0], part[1]
            if isinstance(part, bytes):
                return part, b""
        raise KeyError(f"no letter with UID {uid} in {folder} of {user}")


def _ok(answer: tuple) -> list:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(data[0].decode(errors="replace") if data and data[0] else kind)
    return data


def _bytes_and_flags(answer: list) -> Iterator[tuple[bytes, frozenset[str]]]:
    """Of an answer to FETCH; FLAGS stand before or behind the literal."""
    for item, tail in zip(answer, [*answer[1:], b""], strict=True):
        if isinstance(item, tuple):
            told = re.search(
                rb"FLAGS \(([^)]*)\)", item[0] + b" " + (tail if isinstance(tail, bytes) else b"")
            )
            assert told, item[0]
            yield item[1], frozenset(told[1].decode().split()) - {"\\Recent"}


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _name(line: bytes) -> str:
    found = re.search(rb'\) (?:"[^"]*"|NIL) "?(.*?)"?$', line)
    assert found, line
    return found[1].decode()
