"""Django settings. Every setting an operator may change is an environment variable read here, once.

docs/settings.md documents each of them; tests/project/test_settings_page.py keeps that page complete.
"""

import hashlib
import os

from postern.mailboxes.keylines import KeyLines
from postern.project.database import connection_settings, data_dir, pooler_settings, pooler_url
from postern.project.keyfile import key_file

ROLE = os.environ.get("POSTERN_ROLE", "web")
"""The database role of this process: web, sync, send or owner."""

DEMO = os.environ.get("POSTERN_DEMO") == "1"
"""True in `postern demo` only: opens the one-time sign-in address of the demo's people."""

DEMO_HINT = os.environ.get("POSTERN_DEMO_HINT", "") if DEMO else ""
"""In `postern demo` only: what to type under My Profile, Email, shown there until a mailbox is set up."""

COMPANY = os.environ.get("POSTERN_COMPANY", "Your company")
"""The name under the brand in the sidebar."""

MAIL_HOSTS = os.environ.get("POSTERN_MAIL_HOSTS", "")
"""Mail hosts (`host` or `host:port`, separated by commas) allowed although private or on an unusual port."""

IMAP_CONNECTIONS = os.environ.get("POSTERN_IMAP_CONNECTIONS", "")
IMAP_COMPRESS = os.environ.get("POSTERN_IMAP_COMPRESS") == "1"
POLL_SECONDS = float(os.environ.get("POSTERN_POLL_SECONDS", "30"))
"""How often a server without IDLE is asked for news."""

LETTERS = os.environ.get("POSTERN_LETTERS", "database")
"""Where new raw letters are kept: database, files, files:/a/folder or s3://bucket/prefix."""

LETTERS_DIR = data_dir() / "letters"
"""Where files go when POSTERN_LETTERS names no folder."""

KEY_FILE = key_file()
"""The file of the installation's keys, outside the data directory and its backups."""


def _django_keys() -> list[str]:
    """Return the signing keys, derived from the key file's lines; before the first start there is none."""
    if not KEY_FILE.exists():
        return [hashlib.sha256(os.urandom(32)).hexdigest()]
    try:
        lines = KeyLines.parse(KEY_FILE.read_text()).all
    except ValueError:
        lines = (KEY_FILE.read_text(errors="replace").strip(),)
    return [hashlib.sha256(b"postern signing\0" + line.encode() + b"\n").hexdigest() for line in lines]


SECRET_KEY, *SECRET_KEY_FALLBACKS = _django_keys()
DEBUG = False
ALLOWED_HOSTS = [
    h.strip() for h in os.environ.get("POSTERN_HOSTS", "localhost,127.0.0.1,[::1]").split(",") if h
]
BEHIND_TLS_PROXY = os.environ.get("POSTERN_BEHIND_TLS_PROXY") == "1"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "procrastinate.contrib.django",
    "django_htmx",
    "lucide",
    "js_asset",
    "django_prose_editor",
    "postern.people",
    "postern.mailboxes",
    "postern.mail",
    "postern.outbox",
    "postern.api",
    "postern.web",
]
AUTH_USER_MODEL = "people.Staff"
ROOT_URLCONF = "postern.project.urls"
ASGI_APPLICATION = "postern.project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "postern.web.base.middleware.SecurityHeaders",
    "postern.web.base.files.StaticFiles",
    "postern.mail.access.WallMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "postern.mail.access.ViewerMiddleware",
    "postern.web.base.first.FirstThings",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "postern.web.base.context.sidebar",
            ],
        },
    }
]

DATABASES = {"default": {"CONN_MAX_AGE": 0, **connection_settings(ROLE)}}
LISTEN_DATABASE = connection_settings(ROLE)
"""Where a process listens (LISTEN) for what is announced: always the server itself, never a pooler."""
if os.environ.get("POSTERN_ROLE") == "web":
    if pooler_url():
        DATABASES["default"] = {"CONN_MAX_AGE": 0, **pooler_settings()}
    # Each request has a thread of its own; without a pool each would sign in to PostgreSQL anew.
    # After an outage the pool would wait up to as long again as it lasted: it is to give up at once and be asked
    # anew by the next request, which never gets a connection that ended meanwhile.
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": 16,
        "timeout": 5,
        "reconnect_timeout": 5,
    }
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/messages/inbox/"
LOGOUT_REDIRECT_URL = "/sign-in/"

SESSION_COOKIE_NAME = "__Host-postern" if BEHIND_TLS_PROXY else "postern"
CSRF_COOKIE_NAME = "__Host-postern-csrf" if BEHIND_TLS_PROXY else "postern-csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS_PROXY
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
# A toast names letters and customers: in a cookie of its own it would outlast signing out (S-105).
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
CSRF_FAILURE_VIEW = "postern.web.base.views.csrf_failure"
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = [f"https://{h}" for h in ALLOWED_HOSTS if h not in ("localhost", "127.0.0.1", "[::1]")]

DATA_UPLOAD_MAX_MEMORY_SIZE = 40 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = os.environ.get("POSTERN_TIME_ZONE", "UTC")

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
STATIC_ROOT = None  # nothing is collected: files are served from the packages they came in

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("POSTERN_LOG_LEVEL", "WARNING")},
    # What was refused to a browser or a program (404, 422) was told to it, and is no news for the operator.
    "loggers": {"django.request": {"level": "ERROR"}},
}
