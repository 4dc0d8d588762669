"""Addresses of Messages: Inbox, Sent, Blocked, one message and what can be done with it."""

from django.urls import path

from postern.web.inbox import actions, content, events, sharing, views

urlpatterns = [
    path("messages/inbox/", views.inbox, name="inbox"),
    path("messages/inbox/<int:pk>/", views.inbox, name="message"),
    path("messages/sent/", views.sent, name="sent"),
    path("messages/sent/<int:pk>/", views.sent, name="sent-message"),
    path("messages/blocked/", views.blocked, name="blocked"),
    path("messages/blocked/<int:pk>/remove/", actions.unblock, name="unblock"),
    path("messages/check/", actions.check_now, name="check-now"),
    path("messages/<int:pk>/body/", content.body, name="message-body"),
    path("messages/<int:pk>/source/", content.source, name="message-source"),
    path("messages/<int:pk>/letter.eml", content.download, name="message-download"),
    path("messages/<int:pk>/files/<int:index>/", content.attachment, name="attachment"),
    path("messages/<int:pk>/do/<slug:key>/", actions.act, name="act"),
    path("messages/<int:pk>/share/", sharing.give, name="share"),
    path("messages/<int:pk>/share/<int:colleague>/remove/", sharing.remove, name="share-remove"),
    path("messages/<int:pk>/share/add/", sharing.add, name="share-add"),
    path("messages/<int:pk>/share/take-out/", sharing.take, name="share-take-out"),
    path("messages/undo/<int:pk>/", actions.undo, name="undo"),
    path("events/", events.stream, name="events"),
]
