"""What the tests of the privacy wall compare: tables as a digest, answers without what changes each time."""

from __future__ import annotations

import re

from django.db import connection


def digests(*tables: str) -> dict[str, str]:
    """A digest of each table's rows; the caller is the superuser."""
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
            )
            found[table] = cursor.fetchone()[0]
    return found


def words_of(text: str) -> str:
    """A text in which every number is the same: ids, times and sizes differ between two things that look alike."""
    return re.sub(r"\d+", "#", text)
