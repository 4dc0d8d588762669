"""Sessions with a real Dovecot of the tests."""

import contextlib
from collections.abc import AsyncIterator

from postern.wire.endpoint import Endpoint, Policy, Security
from postern.wire.imap import Login, Session, open_session
from tests.servers.dovecot import Dovecot


@contextlib.asynccontextmanager
async def signed_in(
    server: Dovecot, user: str, password: str = "secret", security: Security = Security.NONE
) -> AsyncIterator[Session]:
    """A session in clear or over TLS, with logout at its end."""
    port = server.tls_port if security is Security.SSL else server.port
    session = await open_session(
        Endpoint("localhost", port, security, skip_validation=True),
        Policy.from_setting(f"localhost:{port}", unchecked=True),
        Login(user, password),
        timeout=20,
    )
    async with session:
        yield session
