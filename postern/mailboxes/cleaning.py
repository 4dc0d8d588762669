"""What was typed into the settings, checked and turned into values; every fault named by its field."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from postern.mime.addresses import strict_address
from postern.wire.endpoint import Endpoint, check_target
from postern.wire.errors import MailError
from postern.wire.reachable import address_is_forbidden, normal_host

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_YES = frozenset({"1", "on", "true", "yes"})
_NO = frozenset({"", "0", "off", "false", "no"})
# Which field a refused target points at; without an entry it is the host.
_FIELD_OF_CODE = {"port_refused": "port", "tls_failed": "security", "unchecked_refused": "skip_validation"}


class SettingsError(ValueError):
    """Some settings cannot be taken and nothing was saved; `fields` maps name to messages.

    `code` is password_needed when all that is missing is a password, else invalid.
    """

    def __init__(self, fields: Mapping[str, list[str]], code: str = "invalid") -> None:
        self.fields = dict(fields)
        self.code = code
        super().__init__(" ".join(message for messages in self.fields.values() for message in messages))


NONE_STORED = "Enter the password."
"""What somebody is told who leaves the password out and never saved one."""


class Faults:
    """Collects what is wrong, so that a person learns everything at once."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self._passwords: set[str] = set()

    def add(self, field: str, message: str) -> None:
        """Note one fault."""
        self.fields.setdefault(field, []).append(message)

    def need_password(self, field: str, message: str) -> None:
        """Note that a password has to be typed."""
        self._passwords.add(field)
        self.add(field, message)

    def stop(self) -> None:
        """Raise SettingsError when anything was noted."""
        if self.fields:
            only_passwords = set(self.fields) <= self._passwords
            raise SettingsError(self.fields, "password_needed" if only_passwords else "invalid")


def fill(row: models.Model, data: Mapping[str, Any], allowed: Iterable[str], faults: Faults) -> None:
    """Set the fields of `row` that `data` names; a name outside `allowed` is a fault, never ignored."""
    known = {field.name: field for field in row._meta.get_fields() if isinstance(field, models.Field)}
    names = frozenset(allowed)
    for name, value in data.items():
        if name not in names:
            faults.add(name, "There is no such setting.")
        elif name in known:
            try:
                setattr(row, name, _value(known[name], value))
            except ValueError as error:
                faults.add(name, str(error))


def _value(field: models.Field[Any, Any], value: Any) -> Any:
    for kind, read in _READERS.items():
        if isinstance(field, kind):
            return read(field, value)
    raise TypeError(f"no reader for {field.name}")  # pragma: no cover


def _flag(_: models.Field[Any, Any], value: Any) -> bool:
    text = str(value or "").strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise ValueError("Say yes or no.")


def _number(field: models.Field[Any, Any], value: Any) -> int:
    text = str(value).strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if field.name.endswith("port"):
        if not 1 <= number <= 65535:
            raise ValueError("A port is a number from 1 to 65535.")
    elif number < 0:
        raise ValueError("Type a whole number, 0 or more.")
    return number


def _day(_: models.Field[Any, Any], value: Any) -> date | None:
    if value is None or isinstance(value, date):
        return value
    text = str(value).strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError("Type a date like 2026-09-01.") from None


def _text(field: models.Field[Any, Any], value: Any) -> str:
    text = str(value or "").strip()
    if _CONTROL.search(text):
        raise ValueError("Line breaks and other control characters cannot be used here.")
    if field.choices and text not in dict(field.flatchoices):
        raise ValueError(f"Choose one of: {', '.join(str(key) for key, _ in field.flatchoices)}.")
    try:
        field.run_validators(text)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None
    return text


_READERS: dict[type[models.Field[Any, Any]], Callable[[models.Field[Any, Any], Any], Any]] = {
    models.BooleanField: _flag,
    models.IntegerField: _number,
    models.DateField: _day,
    models.CharField: _text,
}


def check_address(text: str, field: str, faults: Faults) -> str:
    """Return a plain `user@host` with its domain in ASCII; notes a fault for anything else."""
    try:
        found = strict_address(text)
    except ValueError as error:
        faults.add(field, str(error))
        return text
    if found.name:
        faults.add(field, "Type the address alone, without a name.")
    return found.address


def check_host(text: str, field: str, faults: Faults) -> str:
    """Return a server's name in its normal spelling; notes a fault for what cannot be one."""
    if any(mark.isspace() for mark in text):
        faults.add(field, "A server’s name has no spaces, like imap.example.com.")
        return text
    if "://" in text or "/" in text:
        faults.add(field, "Type the server’s name alone, without http:// and without a path.")
        return text
    try:
        return normal_host(text)
    except (ValueError, UnicodeError):
        faults.add(field, f"“{text}” is not a server’s name, like imap.example.com.")
        return text


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_reachable(endpoint: Endpoint, prefix: str, faults: Faults) -> None:
    """Note a fault for a host, port or security mode that Postern will not connect to (S-023, S-026)."""
    from postern.mailboxes.connection import policy

    try:
        host, exempt = check_target(endpoint, policy())
        if not exempt and _is_address(host) and address_is_forbidden(host):
            faults.add(f"{prefix}_host", f"“{host}” is not the address of a public mail server.")
    except MailError as error:
        faults.add(f"{prefix}_{_FIELD_OF_CODE.get(error.code, 'host')}", str(error))
