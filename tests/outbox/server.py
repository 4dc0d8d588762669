"""An SMTP server that says what the test wants, on a loopback port, in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

DROP = "drop the connection"


@dataclass
class Taken:
    """One letter as it came over the wire."""

    sender: str
    recipients: list[str]
    data: bytes
    login: str = ""


@dataclass
class Server:
    """`says` maps a verb (CONNECT EHLO AUTH MAIL RCPT DATA DOT) or "RCPT address" to a reply other than yes."""

    says: dict[str, str] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    on_dot: Callable[[], None] = lambda: None
    port: int = 0

    def __enter__(self) -> Server:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ConnectionError), connection, connection.makefile("rb") as lines:
            letter = Taken("", [], b"")
            self._answer(connection, "CONNECT", "220 ready")
            for line in lines:
                text = line.decode().strip()
                self.heard.append(text)
                verb = text.split(" ", 1)[0].split(":")[0].upper()
                if verb == "EHLO":
                    self._answer(connection, "EHLO", "250-here\r\n250-AUTH PLAIN\r\n250 SIZE 40000000")
                elif verb == "AUTH":
                    letter.login = text
                    self._answer(connection, "AUTH", "235 welcome")
                elif verb == "MAIL":
                    letter.sender = text.split("<")[1].split(">")[0]
                    self._answer(connection, "MAIL", "250 ok")
                elif verb == "RCPT":
                    address = text.split("<")[1].split(">")[0]
                    reply = self.says.get(f"RCPT {address}") or self.says.get("RCPT") or "250 ok"
                    letter.recipients += [address] if reply.startswith("250") else []
                    self._answer(connection, f"RCPT {address}", reply)
                elif verb == "DATA":
                    if self._answer(connection, "DATA", "354 go"):
                        letter.data = _until_dot(lines)
                        self.on_dot()
                        self._end(connection, letter)
                elif verb == "QUIT":
                    connection.sendall(b"221 bye\r\n")
                    return
                else:
                    connection.sendall(b"250 ok\r\n")

    def _end(self, connection: socket.socket, letter: Taken) -> None:
        reply = self.says.get("DOT", "250 taken")
        if reply == DROP or reply.startswith("2"):
            self.taken.append(letter)
        self._answer(connection, "DOT", "250 taken")

    def _answer(self, connection: socket.socket, key: str, yes: str) -> bool:
        reply = self.says.get(key) or self.says.get(key.split(" ")[0]) or yes
        if reply == DROP:
            connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionError
        connection.sendall(reply.encode() + b"\r\n")
        return reply == yes


def _until_dot(lines: object) -> bytes:
    body = b""
    for line in lines:  # type: ignore[attr-defined]
        if line == b".\r\n":
            return body
        body += line[1:] if line.startswith(b".") else line
    raise ConnectionError
