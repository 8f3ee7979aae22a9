"""Certificates for 127.0.0.1 that are right, or wrong in a chosen way.

Here: self-signed certificates and the TLS contexts of servers that show them. A certificate that is not valid yet is
what a client whose clock is behind sees of a right one.
"""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path

    @property
    def server_context(self) -> ssl.SSLContext:
        """TLS of a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def self_signed(
    folder: Path, *, host: str = "127.0.0.1", begins_in: dt.timedelta = dt.timedelta(days=-1)
) -> Certificate:
    """A certificate that only those trust who are given it.

    Args:
        folder: Where its files are written.
        host: The address or name that it is for.
        begins_in: From when on it is valid, for ten days.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "faults")])
    begins_at = dt.datetime.now(dt.UTC) + begins_in
    built = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins_at).not_valid_after(begins_at + dt.timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = Certificate(folder / "certificate.pem", folder / "key.pem")
    files.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
