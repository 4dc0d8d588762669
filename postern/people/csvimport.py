"""Customers and leads from a CSV file: good rows are saved, each broken row is named with its line and reason.

Columns by their heading, in any order: name (needed), email (several parted by spaces or semicolons), kind
(customer or lead), number, status, phone, notes. A row whose number exists updates that customer.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field

from django.db import transaction

from postern.mime.addresses import normalise
from postern.people.models import Address, Customer, Staff

COLUMNS = ("name", "email", "kind", "number", "status", "phone", "notes")
MAX_BYTES = 20 * 1024 * 1024


class CsvError(ValueError):
    """The file as a whole cannot be read; nothing was imported."""


@dataclass
class Imported:
    """What an import did. `broken` maps line number (1 is the heading) to the reason."""

    added: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)

    @property
    def customers(self) -> list[int]:
        """Ids of all rows that were saved."""
        return [*self.added, *self.updated]


def import_customers(data: bytes, *, staff: Staff | None = None) -> Imported:
    """Import a CSV file (UTF-8, or Windows-1252; comma, semicolon or tab). Raises CsvError for no CSV at all."""
    result = Imported()
    for line, row in _rows(data):
        try:
            with transaction.atomic():
                customer, new = _save(row, staff)
            (result.added if new else result.updated).append(customer.pk)
        except ValueError as error:
            result.broken[line] = str(error)
    return result


def _rows(data: bytes) -> list[tuple[int, dict[str, str]]]:
    if len(data) > MAX_BYTES:
        raise CsvError("The file is larger than 20 MB. Split it and import the parts.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if "\x00" in text:
        raise CsvError("This is not a CSV file. Save the sheet as CSV (UTF-8) and try again.")
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if "name" not in names:
            raise CsvError(f"The first line must name the columns: {', '.join(COLUMNS)}. “name” is missing.")
        found = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((reader.line_num, dict(zip(names, (c.strip() for c in cells), strict=False))))
        return found
    except csv.Error as error:
        raise CsvError(f"Line {reader.line_num} cannot be read: {error}.") from error


def _save(row: dict[str, str], staff: Staff | None) -> tuple[Customer, bool]:
    name = row.get("name", "")
    if not name:
        raise ValueError("The name is missing.")
    kind = _one_of(row.get("kind") or "customer", Customer.Kind.values, "kind")
    status = _one_of(row.get("status") or "active", Customer.Status.values, "status")
    emails = _emails(row.get("email", ""))
    number = row.get("number", "")[:20]
    customer = Customer.objects.filter(number=number).first() if number else None
    new = customer is None
    customer = customer or Customer(number=number)
    customer.name, customer.kind, customer.status = name[:200], kind, status
    for column in ("phone", "notes"):
        if column in row:
            setattr(customer, column, row[column][: 60 if column == "phone" else 20_000])
    customer.save()
    _add_addresses(customer, emails, staff)
    return customer, new


def _one_of(value: str, allowed: list[str], column: str) -> str:
    if value.lower() not in allowed:
        raise ValueError(f"“{value}” is no {column}; use {', '.join(allowed)}.")
    return value.lower()


def _emails(text: str) -> list[str]:
    found = []
    for word in text.replace(";", " ").replace(",", " ").split():
        address = normalise(word)
        if not address:
            raise ValueError(f"“{word}” is not an e-mail address.")
        found.append(address)
    return found


def _add_addresses(customer: Customer, emails: list[str], staff: Staff | None) -> None:
    for email in emails:
        taken = Address.objects.filter(email=email, shared=False).exclude(customer=customer).first()
        if taken is not None:
            raise ValueError(
                f"{email} is already an address of {taken.customer.name} ({taken.customer.number})."
            )
        kind = Address.Kind.OTHER if customer.addresses.exists() else Address.Kind.MAIN
        Address.objects.get_or_create(
            customer=customer, email=email, defaults={"kind": kind, "added_by": staff}
        )
