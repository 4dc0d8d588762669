"""Customers and leads: lists with search, one with its addresses, adding, changing, converting, importing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, File, Query, Router, Schema, Status
from ninja.files import UploadedFile

from postern.api.auth import who
from postern.api.errors import Refusal
from postern.api.paging import by_name
from postern.api.shapes import Body, Cursor, Limit, Line, Text
from postern.mail import pairing
from postern.mail.pairing import add_address, follow, remove_address
from postern.people.csvimport import import_customers
from postern.people.models import Address, Customer

router = Router(tags=["Customers and leads"])

Kind = Literal["customer", "lead"]
CustomerStatus = Literal["new", "active", "blocked", "inactive"]
AddressKind = Literal["main", "billing", "other"]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Number = Annotated[Text, Field(max_length=20)]
Phone = Annotated[Text, Field(max_length=60)]
Notes = Annotated[Text, Field(max_length=20_000)]


class CustomerFilter(Schema):
    """Which to list: customers or leads or both, and words."""

    kind: Kind | None = None
    q: Annotated[Text, Field(max_length=200)] = ""
    cursor: Cursor = ""
    limit: Limit = 50


class AddressOut(Schema):
    """One e-mail address. Shared: used by several people, so its mail is filed by hand."""

    id: int
    email: str
    kind: str
    shared: bool


class CustomerOut(Schema):
    """A customer or lead."""

    id: int
    kind: str
    number: str
    name: str
    status: str
    phone: str
    notes: str
    created_at: datetime
    addresses: list[AddressOut]


class CustomerPage(Schema):
    """Some customers by name; `next_cursor` is empty on the last page."""

    customers: list[CustomerOut]
    next_cursor: str


class CustomerNew(Body):
    """A new customer or lead; without a number it gets the next free one."""

    name: Name
    kind: Kind = "customer"
    number: Number = ""
    status: CustomerStatus = "active"
    phone: Phone = ""
    notes: Notes = ""
    email: Line = ""


class CustomerChange(Body):
    """What to change; what is left out stays."""

    name: Name | None = None
    kind: Kind | None = None
    number: Annotated[Number, Field(min_length=1)] | None = None
    status: CustomerStatus | None = None
    phone: Phone | None = None
    notes: Notes | None = None


class AddressNew(Body):
    """A new address of a customer."""

    email: Line
    kind: AddressKind = "other"
    shared: bool = False


class AddressChange(Body):
    """What to change of an address."""

    kind: AddressKind | None = None
    shared: bool | None = None


class ImportReport(Schema):
    """What an import did: ids, and each refused line (1 is the heading) with its reason."""

    added: list[int]
    updated: list[int]
    broken: dict[int, str]


@router.get("", response=CustomerPage, operation_id="list_customers", summary="List customers and leads")
def list_customers(request: HttpRequest, wanted: Query[CustomerFilter]) -> dict[str, Any]:
    """By name; `q` looks in names, numbers, phones and addresses."""
    rows = Customer.objects.search(wanted.q).prefetch_related("addresses")
    if wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    found, cursor = by_name(rows, wanted.cursor, wanted.limit)
    return {"customers": found, "next_cursor": cursor}


@router.post("", response={201: CustomerOut}, operation_id="add_customer", summary="Add a customer or lead")
def add_customer(request: HttpRequest, data: CustomerNew) -> Status[Customer]:
    """With `email`, that becomes the main address and one's mail with it is filed here."""
    customer = _save(Customer(**data.dict(exclude={"email"})))
    if data.email:
        add_address(staff=who(request), customer=customer, email=data.email, kind=Address.Kind.MAIN)
    return Status(201, customer)


@router.post("/import", response=ImportReport, operation_id="import_customers", summary="Import a CSV file")
def import_file(request: HttpRequest, file: UploadedFile = File(...)) -> dict[str, Any]:  # type: ignore[type-arg]  # noqa: B008
    """Good rows are saved, each broken one is named. Columns: name, email, kind, number, status, phone, notes."""
    result = import_customers(file.read(), staff=who(request))
    follow(staff=who(request), customer_ids=result.customers)
    return {"added": result.added, "updated": result.updated, "broken": result.broken}


@router.get("/{int:pk}", response=CustomerOut, operation_id="get_customer", summary="One customer or lead")
def get_customer(request: HttpRequest, pk: int) -> Customer:
    """Information and addresses; its mail is under /customers/{id}/communication."""
    return get_object_or_404(Customer, pk=pk)


@router.patch("/{int:pk}", response=CustomerOut, operation_id="change_customer", summary="Change a customer")
def change_customer(request: HttpRequest, pk: int, data: CustomerChange) -> Customer:
    """Change name, number, kind, status, phone or notes."""
    customer = get_object_or_404(Customer, pk=pk)
    for field, value in data.dict(exclude_none=True).items():
        setattr(customer, field, value)
    return _save(customer)


@router.post(
    "/{int:pk}/convert", response=CustomerOut, operation_id="convert_lead", summary="Make a lead a customer"
)
def convert_lead(request: HttpRequest, pk: int) -> Customer:
    """Its addresses and mail stay with it."""
    customer = get_object_or_404(Customer, pk=pk)
    if customer.kind != Customer.Kind.LEAD:
        raise Refusal("not_a_lead", f"{customer.name} is a customer already.")
    customer.convert()
    return customer


@router.post(
    "/{int:pk}/addresses",
    response={201: AddressOut},
    operation_id="add_address",
    summary="Add an address to a customer",
)
def add_customer_address(request: HttpRequest, pk: int, data: AddressNew) -> Status[Address]:
    """One's own mail with it is filed here at once, other administrators' mail by a job."""
    customer = get_object_or_404(Customer, pk=pk)
    return Status(201, add_address(staff=who(request), customer=customer, **data.dict()))


@router.patch(
    "/{int:pk}/addresses/{int:address}",
    response=AddressOut,
    operation_id="change_address",
    summary="Change an address",
)
def change_address(request: HttpRequest, pk: int, address: int, data: AddressChange) -> Address:
    """Its kind, or whether it is used by several people."""
    row = get_object_or_404(Address, pk=address, customer_id=pk)
    kind, shared = data.kind or row.kind, row.shared if data.shared is None else data.shared
    pairing.change_address(staff=who(request), address=row, kind=kind, shared=shared)
    return row


@router.delete(
    "/{int:pk}/addresses/{int:address}",
    response={204: None},
    operation_id="remove_address",
    summary="Take an address off a customer",
)
def remove_customer_address(request: HttpRequest, pk: int, address: int) -> Status[None]:
    """Mail filed by it becomes Author not found again."""
    row = Address.objects.filter(pk=address, customer_id=pk).first()
    if row is None:
        raise Http404
    remove_address(staff=who(request), address=row)
    return Status(204, None)


def _save(customer: Customer) -> Customer:
    try:
        with transaction.atomic():
            customer.save()
    except IntegrityError:
        raise Refusal(
            "number_taken",
            f"The number {customer.number} belongs to another customer or lead.",
            {"number": ["This number is taken."]},
        ) from None
    return customer
