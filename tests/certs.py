"""A certificate authority for tests: good certificates, and every kind of bad one. All in memory or tmp_path."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Made:
    """A certificate with its key as PEM files, and the fingerprint a client would pin."""

    certificate: x509.Certificate
    cert_file: Path
    key_file: Path

    @property
    def sha256(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def server_context(self, *, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A context for a test server; ``newest`` limits it to old TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        if newest is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
        return context


class Authority:
    """Signs certificates for test servers; ``cert_file`` is what a client must trust."""

    def __init__(self, folder: Path, name: str = "Postern test authority") -> None:
        self.folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = _write(
            folder / "authority",
            _builder(self._name, self._name, self._key, _HOUR).add_extension(
                x509.BasicConstraints(ca=True, path_length=None), critical=True
            ),
            self._key,
            self._key,
        )
        self.cert_file = made.cert_file

    def issue(self, *names: str, lasts: dt.timedelta = _HOUR, self_signed: bool = False) -> Made:
        """A server certificate for host names or IP addresses; a negative ``lasts`` makes an expired one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        builder = _builder(subject, issuer, key, lasts).add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        stem = f"{names[0]}-{key.public_key().public_numbers().x:x}"[:60]
        return _write(self.folder / stem, builder, key, signer)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _HOUR)
        .not_valid_after(now + lasts)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(
    stem: Path,
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Made:
    certificate = builder.sign(signer, hashes.SHA256())
    cert_file, key_file = stem.with_suffix(".crt.pem"), stem.with_suffix(".key.pem")
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Made(certificate, cert_file, key_file)
