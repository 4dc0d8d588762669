"""A customer's e-mail addresses: adding, marking, removing. Mail follows at once, other people's by a job."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from postern.mail.pairing import PairingRefused, add_address, change_address, remove_address
from postern.people.models import Address, Customer
from postern.web.base.toast import toast
from postern.web.inbox.views import person


@login_required
@require_POST
def add(request: HttpRequest, pk: int) -> HttpResponse:
    """Add an address to a customer."""
    customer = get_object_or_404(Customer, pk=pk)
    response = redirect("customer", pk)
    kind = request.POST.get("kind", "")
    try:
        row = add_address(
            staff=person(request),
            customer=customer,
            email=request.POST.get("email", ""),
            kind=kind if kind in Address.Kind.values else Address.Kind.OTHER,
            shared=request.POST.get("shared") == "on",
        )
    except PairingRefused as refusal:
        toast(request, response, str(refusal), red=True)
    else:
        toast(request, response, f"{row.email} added. Your mail with this address is filed here.")
    return response


@login_required
@require_POST
def change(request: HttpRequest, pk: int, address: int) -> HttpResponse:
    """Change an address's kind, or mark it as shared by several people."""
    row = get_object_or_404(Address, pk=address, customer_id=pk)
    response = redirect("customer", pk)
    kind = request.POST.get("kind", "")
    try:
        change_address(
            staff=person(request),
            address=row,
            kind=kind if kind in Address.Kind.values else row.kind,
            shared=request.POST.get("shared") == "on",
        )
    except PairingRefused as refusal:
        toast(request, response, str(refusal), red=True)
        return response
    toast(request, response, f"{row.email} saved")
    return response


@login_required
@require_POST
def remove(request: HttpRequest, pk: int, address: int) -> HttpResponse:
    """Take an address off; mail filed by it becomes Author not found again."""
    row = get_object_or_404(Address, pk=address, customer_id=pk)
    response = redirect("customer", pk)
    remove_address(staff=person(request), address=row)
    toast(request, response, f"{row.email} removed")
    return response
