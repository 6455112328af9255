"""TLS by the standard library: contexts that check the server, and its errors in plain words."""

from __future__ import annotations

import os
import ssl
from typing import Optional, Union

from .errors import ConfigurationError
from .link import Failure

StrPath = Union[str, "os.PathLike[str]"]

# The reasons by which OpenSSL says that what came is no TLS at all.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"})

_ALERT = "_ALERT_"

# The codes by which OpenSSL says that it knows no CA for a certificate (X509_V_ERR_...): UNABLE_TO_GET_ISSUER_CERT,
# DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNABLE_TO_VERIFY_LEAF_SIGNATURE.
_NO_CA = frozenset({2, 18, 19, 20, 21})


def tls_context(
    ca: Optional[StrPath] = None, cert: Optional[StrPath] = None, key: Optional[StrPath] = None
) -> ssl.SSLContext:
    """What a client needs for servers at tls:// addresses.

    `ca` is a PEM file with the CAs that are believed; without it, those of the system are. `cert` and `key` are PEM files
    with the certificate that is shown to a server that asks for one, and its private key; without `key`, the key is in the
    file of the certificate. ConfigurationError if a file cannot be read or holds nothing of use.
    """
    if key is not None and cert is None:
        raise ConfigurationError(f"a key is given ({os.fspath(key)}), and no certificate that belongs to it")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read CAs from {_path(ca)}: {error}") from error
    # Python 3.9 would take older ones.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ssl.HAS_NEVER_CHECK_COMMON_NAME:
        # A certificate without any names would otherwise be one for its common name.
        context.hostname_checks_common_name = False
    if cert is not None:
        try:
            # The password is asked for on the terminal otherwise, and nobody may be there.
            context.load_cert_chain(cert, key, password="")
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"cannot use the certificate of {_path(cert)} with the key of {_path(key or cert)}: {error}"
            ) from error
    return context


def check_context(context: ssl.SSLContext) -> None:
    """ConfigurationError if it would take any server for the right one."""
    if context.verify_mode != ssl.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError(
            "the TLS context does not check the server's certificate and name: it needs verify_mode=CERT_REQUIRED and "
            "check_hostname=True (see ipseity.tls_context)"
        )


def server_name(host: str) -> str:
    """The name or address that the certificate must be for. The zone of an IPv6 address is only known here."""
    return host.partition("%")[0]


def failure(error: ssl.SSLError) -> Failure:
    """What an error of the ssl module says of the server, in plain words."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _NO_CA:
        text = "its certificate is not accepted: no CA that is believed here has signed it, see tls_context"
        return Failure(f"{text} ({error.verify_message})", lasting=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(f"its certificate is not accepted: {error.verify_message}", lasting=True)
    reason = error.reason or ""
    if _ALERT in reason:
        words = reason.partition(_ALERT)[2].lower().replace("_", " ")
        # An alert says what the server did not like, nearly always the certificate of this side.
        is_ours = any(word in words for word in ("certificate", "unknown ca", "access denied"))
        return Failure(f"it ended TLS: {words}{' (see tls_context)' if is_ours else ''}", lasting=is_ours)
    if reason in _NOT_TLS:
        return Failure("it does not speak TLS there: leave tls:// away from its address", lasting=True)
    return Failure(f"TLS failed: {reason.lower().replace('_', ' ') or error}")


def handshake_failure(error: OSError) -> Failure:
    """The same, of an error during the handshake."""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or not isinstance(error, ssl.SSLError):
        return Failure("it closed the connection in the middle of the TLS handshake")
    return failure(error)


def _path(path: Optional[StrPath]) -> str:
    return "the system" if path is None else os.fspath(path)
