"""Addresses of My Profile."""

from django.urls import path

from postern.web.profile import access, email, person, readerlog, tests

urlpatterns = [
    path("profile/", person.information, name="profile"),
    path("profile/password/", person.password, name="profile-password"),
    path("profile/consent/", person.consent, name="profile-consent"),
    path("profile/tokens/", person.tokens, name="profile-tokens"),
    path("profile/tokens/<int:pk>/remove/", person.remove_token, name="token-remove"),
    path("profile/email/", email.settings_page, name="profile-email"),
    path("profile/email/deny/", email.deny_preview, name="deny-preview"),
    path("profile/email/resume/", email.resume, name="mailbox-resume"),
    path("profile/email/compare/", email.compare, name="mailbox-compare"),
    path("profile/email/certificate/", email.certificate, name="mailbox-certificate"),
    path("profile/email/test/", tests.start, name="probe-start"),
    path("profile/email/test/<int:pk>/", tests.show, name="probe"),
    path("profile/email/access/", access.give, name="access-give"),
    path("profile/email/access/<int:pk>/remove/", access.remove, name="access-remove"),
    path("profile/reader-log/", readerlog.log, name="reader-log"),
    path("profile/reader-log.csv", readerlog.export, name="reader-log-csv"),
    path("profile/reader-log/digest/", readerlog.digest, name="reader-log-digest"),
]
