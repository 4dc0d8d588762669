"""Addresses of the shared pages."""

from django.urls import path

from postern.web.base import first, signin, views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in/", signin.sign_in, name="sign-in"),
    path("sign-out/", signin.sign_out, name="sign-out"),
    path("first-password/", first.first_password, name="first-password"),
    path("notices/", first.notices, name="notices"),
    path("theme/", views.theme, name="theme"),
    path("jump/", views.jump_to, name="jump"),
    path("live/", views.live, name="live"),
    path("fonts/inter.ttf", views.font, name="font"),
]
