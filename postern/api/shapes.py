"""What several resources share in requests and answers: text, people, and a body that refuses unknown fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field

from postern.people.models import Customer

MOST_A_PAGE = 200


def _storable(text: str) -> str:
    """Refuse what no text of the database can hold: NUL and half a surrogate pair."""
    if "\x00" in text or any("\ud800" <= mark <= "\udfff" for mark in text):
        raise ValueError("The text contains a character that cannot be stored.")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Line = Annotated[str, Field(max_length=320), AfterValidator(_storable)]
Id = Annotated[int, Field(ge=1, lt=2**63)]
Limit = Annotated[int, Field(ge=1, le=MOST_A_PAGE)]
Cursor = Annotated[str, Field(max_length=600), AfterValidator(_storable)]


class Body(Schema):
    """The body of a request. A field that is not named here is refused, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Person(Schema):
    """A name, possibly empty, and an e-mail address."""

    name: str
    address: str


class CustomerName(Schema):
    """A customer or lead in one line."""

    id: int
    kind: str
    name: str
    number: str


def people_of(pairs: Iterable[list[str]]) -> list[Person]:
    """Read [[name, address], …] as the models keep it."""
    return [Person(name=name, address=address) for name, address in pairs]


def name_of(customer: Customer) -> CustomerName:
    """One customer or lead in one line."""
    return CustomerName(id=customer.pk, kind=customer.kind, name=customer.name, number=customer.number)
