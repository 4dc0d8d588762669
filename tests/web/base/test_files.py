"""Static files and refusals under ASGI: handed over whole, and without a word in the log."""

import asyncio
import logging
import warnings
from typing import Any

import pytest
from django.conf import settings
from django.test import AsyncClient

ICONS = "/static/postern/js/main.js"


def get(path: str, **headers: str) -> Any:
    """Ask as uvicorn would."""
    return asyncio.run(AsyncClient().get(path, headers=headers))


def test_a_file_comes_whole_and_nothing_is_streamed(db):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = get(ICONS)
        part = get(ICONS, range="bytes=0-9")
        again = get(ICONS, **{"if-none-match": whole["ETag"]})
    assert whole.status_code == 200 and not whole.streaming
    assert int(whole["Content-Length"]) == len(whole.content) > 100
    assert (part.status_code, part.content) == (206, whole.content[:10])
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/api/v1/messages/999999", "/no/such/page/"])
def test_a_refusal_is_no_news_for_the_log(db, caplog, monkeypatch, path):
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["testserver"])
    chosen = settings.LOGGING["loggers"]["django.request"]["level"]
    assert logging.getLogger("django.request").getEffectiveLevel() == getattr(logging, chosen)
    with caplog.at_level(logging.WARNING):
        assert get(path).status_code in (401, 404)
    assert [record for record in caplog.records if record.name == "django.request"] == []
