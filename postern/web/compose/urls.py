"""Addresses of the composer, drafts, and letters on their way."""

from django.urls import path

from postern.web.compose import views

urlpatterns = [
    path("compose/", views.compose, name="compose"),
    path("compose/<int:pk>/", views.draft, name="draft"),
    path("compose/<int:pk>/files/", views.attach, name="compose-attach"),
    path("compose/<int:pk>/files/<int:file>/remove/", views.detach, name="compose-detach"),
    path("compose/<int:pk>/discard/", views.discard, name="compose-discard"),
    path("compose/<int:pk>/undo/", views.undo, name="compose-undo"),
    path("compose/<int:pk>/settle/", views.settle, name="compose-settle"),
    path("compose/reply/<int:pk>/", views.reply, name="compose-reply"),
    path("compose/forward/<int:pk>/", views.forward, name="compose-forward"),
    path("messages/drafts/", views.drafts, name="drafts"),
]
