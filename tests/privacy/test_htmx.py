"""htmx asks for a part of a page, or ahead of the person: what answers it differently has rows of the matrix for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import postern
from tests.privacy.test_matrix import WEB_CASES

READ_BY = {
    "web/base/views.py jump_to": ("jump",),
    "web/base/toast.py toast": ("compose-undo", "undo"),
    "web/base/middleware.py _leave_fragment": ("jump", "undo", "compose-undo", "probe-start"),
    "web/compose/views.py undo": ("compose-undo",),
    "web/inbox/actions.py undo": ("undo",),
    "web/inbox/opening.py prefetched": (
        "message",
        "sent-message",
        "message-body",
        "message-source",
        "attachment",
    ),
    "web/inbox/views.py _list_only": ("message", "sent-message"),
    "web/profile/tests.py start": ("probe-start",),
    "web/profile/tests.py _shown": ("probe-start",),
}
"""Which function reads a header of htmx -> the pages that have rows with it."""
NOT_READ_BY_ACTORS = {
    "web/base/first.py FirstThings.process_view": "nobody of the matrix has a notice or a password to change",
}


def test_what_reads_a_header_of_htmx_has_rows_with_it():
    found = {
        place
        for path in Path(postern.__file__).parent.glob("web/**/*.py")
        for place in _readers_of_htmx(path)
    }
    assert found == READ_BY.keys() | NOT_READ_BY_ACTORS.keys()
    pages = {name for names in READ_BY.values() for name in names}
    assert pages == {name for name, row in WEB_CASES if row.headers}


def _readers_of_htmx(path: Path) -> Iterator[str]:
    """Each function of a file that takes such a header from a request."""
    file = str(path.relative_to(Path(postern.__file__).parent))
    tree = ast.parse(path.read_text())
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    inside = {id(f): f"{c.name}." for c in classes for f in c.body}
    for function in (f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)):
        calls = [ast.unparse(node) for node in ast.walk(function) if isinstance(node, ast.Call)]
        if any(re.match(r"request\.headers\.get\('HX-", call) for call in calls):
            yield f"{file} {inside.get(id(function), '')}{function.name}"
