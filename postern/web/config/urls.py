"""Addresses of Config."""

from django.urls import path

from postern.web.config import administrators, views

urlpatterns = [
    path("config/", views.home, name="config"),
    path("config/email/", views.email, name="config-email"),
    path("config/administrators/", administrators.everybody, name="administrators"),
    path("config/administrators/<int:pk>/", administrators.one, name="administrator"),
    path("config/administrators/<int:pk>/disable/", administrators.disable, name="administrator-disable"),
    path("config/administrators/<int:pk>/enable/", administrators.enable, name="administrator-enable"),
    path(
        "config/administrators/<int:pk>/first-password/",
        administrators.first_password,
        name="administrator-first-password",
    ),
    path("config/administrators/<int:pk>/handover/", administrators.handover, name="handover"),
    path("config/administrators/<int:pk>/handover/end/", administrators.handover_end, name="handover-end"),
]
