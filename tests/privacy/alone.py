"""What the stories of alone_*.py share: the code refuses, without row policies and without a page in front of it.

Each is a test of its own (test_without.py), and what turns red when the check it is about is taken away. All are told
as the superuser, in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied

from postern.mail import actions
from postern.mail.models import Message
from tests.privacy.scene import Scene

Story = Callable[[Scene], None]
NOT_THEIRS = (ObjectDoesNotExist, PermissionDenied, actions.ActionRefused)


def the_letter(scene: Scene) -> Message:
    return Message.objects.select_related("mailbox").get(pk=scene.ids["known"])


def refused(attempt: Callable[[], Any]) -> None:
    with pytest.raises(NOT_THEIRS):
        attempt()
