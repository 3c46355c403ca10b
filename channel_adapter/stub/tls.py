"""Certificates for the stub: made on the spot for given names, or the caller's own."""

import ssl
from collections.abc import Sequence
from pathlib import Path

CA_NAME = "ca.pem"


def own_certificate(names: Sequence[str], directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context for `names` (hosts and addresses), and the CA file that clients must trust, in `directory`.

    The private keys never reach the disk for longer than the context takes to load them.
    """
    import trustme  # noqa: PLC0415 - a tenth of a second that a stub without TLS need not spend

    authority = trustme.CA()
    context = _context()
    authority.issue_cert(*names).configure_cert(context)
    ca_file = directory / CA_NAME
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file


def given_certificate(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    """A server context with a certificate chain and key from files."""
    context = _context()
    context.load_cert_chain(cert_file, key_file)
    return context


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
