"""Customers and Leads: lists with search, the Information page, adding, changing, importing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postern.mail.pairing import PairingRefused, add_address, follow
from postern.people.csvimport import CsvError, import_customers
from postern.people.models import Address, Customer
from postern.web.base.toast import toast
from postern.web.inbox.views import person

PAGE = 50


class CustomerForm(forms.ModelForm):  # type: ignore[type-arg]
    """Name, status, phone and notes of a customer or lead; a new one may bring its first address."""

    email = forms.CharField(
        label="Email address", required=False, max_length=320, help_text="More can be added later."
    )

    class Meta:
        model = Customer
        fields = ("kind", "name", "number", "status", "phone", "notes")
        labels = {"kind": "Customer or lead", "number": "Number"}
        widgets = {"notes": forms.Textarea(attrs={"rows": 5})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["number"].required = False
        if self.instance.pk:
            del self.fields["email"]
            self.fields["number"].required = True


@login_required
@require_safe
def customers(request: HttpRequest) -> HttpResponse:
    """All customers, by name."""
    return _list(request, Customer.Kind.CUSTOMER)


@login_required
@require_safe
def leads(request: HttpRequest) -> HttpResponse:
    """All leads, by name."""
    return _list(request, Customer.Kind.LEAD)


def _list(request: HttpRequest, kind: str) -> HttpResponse:
    query = request.GET.get("q", "")[:200]
    rows = Customer.objects.filter(kind=kind).search(query).prefetch_related("addresses")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    lead = kind == Customer.Kind.LEAD
    context = {
        "nav": "leads" if lead else "customers",
        "page_title": "Leads" if lead else "Customers",
        "kind": kind,
        "query": query,
        "page": page,
    }
    return render(request, "people/list.html", context)


@login_required
@require_safe
def information(request: HttpRequest, pk: int) -> HttpResponse:
    """The Information tab."""
    customer = get_object_or_404(Customer, pk=pk)
    return render(request, "people/information.html", page_of(customer, "information"))


def page_of(customer: Customer, tab: str) -> dict[str, Any]:
    """What the head of a customer's page shows, on whichever tab."""
    lead = customer.kind == Customer.Kind.LEAD
    return {
        "nav": "leads" if lead else "customers",
        "page_title": customer.name,
        "customer": customer,
        "addresses": list(customer.addresses.all()),
        "kinds": Address.Kind.choices,
        "tab": tab,
    }


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Add a customer or lead."""
    kind = request.GET.get("kind", Customer.Kind.CUSTOMER)
    form = CustomerForm(request.POST or None, initial={"kind": kind, "email": request.GET.get("email", "")})
    if request.method == "POST" and form.is_valid():
        customer = form.save()
        email = form.cleaned_data["email"]
        try:
            if email:
                add_address(staff=person(request), customer=customer, email=email, kind=Address.Kind.MAIN)
        except PairingRefused as refusal:
            customer.delete()
            form.add_error("email", str(refusal))
        else:
            response = redirect("customer", customer.pk)
            toast(request, response, f"{customer.get_kind_display()} {customer.name} added")
            return response
    nav = "leads" if kind == Customer.Kind.LEAD else "customers"
    context = {
        "nav": nav,
        "page_title": f"Add a {kind if kind in Customer.Kind.values else 'customer'}",
        "form": form,
    }
    return render(request, "people/form.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a customer's name, number, status, phone and notes."""
    customer = get_object_or_404(Customer, pk=pk)
    form = CustomerForm(request.POST or None, instance=customer)
    if request.method == "POST" and form.is_valid():
        form.save()
        response = redirect("customer", pk)
        toast(request, response, "Saved")
        return response
    context = page_of(get_object_or_404(Customer, pk=pk), "information") | {"form": form}
    return render(request, "people/form.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def convert(request: HttpRequest, pk: int) -> HttpResponse:
    """A lead becomes a customer and keeps its mail."""
    customer = get_object_or_404(Customer, pk=pk, kind=Customer.Kind.LEAD)
    customer.convert()
    response = redirect("customer", pk)
    toast(request, response, f"{customer.name} is now a customer")
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def import_csv(request: HttpRequest) -> HttpResponse:
    """Import customers and leads from a CSV file, with a report that names each broken line."""
    context: dict[str, Any] = {"nav": "customers", "page_title": "Import customers"}
    if request.method != "POST":
        return render(request, "people/import.html", context)
    upload = request.FILES.get("file")
    if upload is None:
        return render(
            request, "people/import.html", context | {"error": "Choose a CSV file first."}, status=422
        )
    try:
        result = import_customers(upload.read(), staff=person(request))
    except CsvError as error:
        return render(request, "people/import.html", context | {"error": str(error)}, status=422)
    follow(staff=person(request), customer_ids=result.customers)
    return render(request, "people/import.html", context | {"result": result, "back": reverse("customers")})
