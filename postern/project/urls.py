"""All addresses: the pages at the root, the API below /api/v1/."""

from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("postern.api.urls")),
    path("", include("postern.web.urls")),
]

handler400 = "postern.web.base.views.bad_request"
handler403 = "postern.web.base.views.not_found"
handler404 = "postern.web.base.views.not_found"
handler500 = "postern.project.faults.server_error"
