"""The Communication tab of a customer or lead."""

from django.urls import path

from postern.web.communication import views

urlpatterns = [path("customers/<int:pk>/communication/", views.communication, name="communication")]
