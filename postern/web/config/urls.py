"""Addresses of Config."""

from django.urls import path

from postern.web.config import administrators, views

urlpatterns = [
    path("config/", views.home, name="config"),
    path("config/email/", views.email, name="config-email"),
    path("config/administrators/", administrators.everybody, name="administrators"),
    path("config/administrators/<int:pk>/", administrators.one, name="administrator"),
]
