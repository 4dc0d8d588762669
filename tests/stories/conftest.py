"""The stories: the real product beside a real Dovecot and a real Postfix, one installation a test worker.

Each story gets fresh people with fresh addresses, so stories do not know one another.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import dovecot, postfix
from tests.servers.pocket import Pocket
from tests.stories.office import Admin, Office, PocketOffice, accounts
from tests.stories.outsider import Outsider
from tests.stories.product import Product

MOST_BYTES = 10_000_000
"""What the provider's server takes."""
WAYS_IN = "plain login cram-md5 xoauth2 oauthbearer"
REASON = dovecot.available() or postfix.available()


@pytest.fixture(scope="session")
def installation() -> Iterator[Office]:
    """Servers and product, once for all stories of this worker."""
    if REASON:
        pytest.skip(f"stories need real mail servers: {REASON}")
    with (
        dovecot.Dovecot(accounts(), mechanisms=WAYS_IN) as imap,
        postfix.Postfix(imap, size_limit=MOST_BYTES) as smtp,
    ):
        environment = {
            "POSTERN_MAIL_HOSTS": "localhost,127.0.0.1",
            "SSL_CERT_FILE": str(imap.authority.cert_file),
            "POSTERN_COMPANY": "Northwind Fibre",
        }
        with Product(environment) as product:
            yield Office(product, imap, smtp)


@pytest.fixture(scope="session")
def pocket_installation() -> Iterator[PocketOffice]:
    """The product beside the demo's in-process mail server: runs everywhere."""
    with (
        Pocket(accounts(), answer_after=0.5) as server,
        Product({"POSTERN_MAIL_HOSTS": "127.0.0.1"}) as product,
    ):
        yield PocketOffice(product, server)


@pytest.fixture
def pocket(pocket_installation: PocketOffice) -> Iterator[PocketOffice]:
    """That installation for one story."""
    yield pocket_installation
    pocket_installation.dismiss_everybody()


@pytest.fixture
def office(installation: Office) -> Iterator[Office]:
    """The installation for one story; its people leave at the end."""
    yield installation
    installation.dismiss_everybody()


@pytest.fixture
def marta(office: Office) -> Admin:
    """An administrator whose mailbox is not set up yet."""
    return office.hire()


@pytest.fixture
def elena(office: Office) -> Admin:
    """A second administrator, likewise."""
    return office.hire()


@pytest.fixture
def greta(office: Office) -> Outsider:
    """A customer with a mail program."""
    return office.client()
