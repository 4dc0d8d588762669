"""The web application, for uvicorn: `postern web` runs postern.project.asgi:application."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postern.project.settings")
application = get_asgi_application()
