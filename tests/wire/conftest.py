"""What every test of the wire may use: an authority the client trusts, and one it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certs import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of test servers; not trusted unless ``trusting`` is used as well."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make clients in this test trust ``authority`` the way they trust the system's own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert_file))
    yield authority.cert_file
