"""The first-run page, and the demo's ready sign-in."""

from django.urls import path

from postern.web.setup import views

urlpatterns = [
    path("welcome/", views.first_run, name="first-run"),
    path("demo-sign-in/<str:token>/", views.demo_sign_in, name="demo-sign-in"),
]
