"""Addresses of Customers and Leads."""

from django.urls import path

from postern.web.people import addresses, views

urlpatterns = [
    path("customers/", views.customers, name="customers"),
    path("leads/", views.leads, name="leads"),
    path("customers/new/", views.new, name="customer-new"),
    path("customers/import/", views.import_csv, name="customers-import"),
    path("customers/<int:pk>/", views.information, name="customer"),
    path("customers/<int:pk>/edit/", views.edit, name="customer-edit"),
    path("customers/<int:pk>/convert/", views.convert, name="customer-convert"),
    path("customers/<int:pk>/addresses/", addresses.add, name="address-add"),
    path("customers/<int:pk>/addresses/<int:address>/", addresses.change, name="address-change"),
    path("customers/<int:pk>/addresses/<int:address>/remove/", addresses.remove, name="address-remove"),
]
