"""S-115 on the way out: replies without an end are not heard out, and cost neither time nor memory."""

import time
import tracemalloc

import pytest

from tests.wire.scripted_smtp import Scripted
from tests.wire.sending import ANNA, refusal


@pytest.mark.parametrize("stage", ["GREETING", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    "reply", [b"2" * (8 << 20), b"250-and more\r\n" * (1 << 19)], ids=["a line", "lines that go on"]
)
def test_a_reply_without_end_ends_the_connection(stage: str, reply: bytes) -> None:
    server = Scripted(replies={stage: reply})
    begun = time.process_time()
    tracemalloc.start()
    try:
        error = refusal(server, login=ANNA, timeout=3)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.code != "timeout", "it was listened to until patience ended"
    assert server.letters == []
    assert time.process_time() - begun < 2
    assert most < 16 << 20
