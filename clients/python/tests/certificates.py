"""Certificates that openssl makes for each run."""

from __future__ import annotations

import pathlib
import ssl
import subprocess

import ipseity


class Certificates:
    """A directory with a CA, and what it has signed."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        for ca in ("ca", "other-ca"):
            self._openssl(
                *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
                *("-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}"),
                *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            )
        self.sign("good", "IP:127.0.0.1,DNS:localhost", "ca")
        # The common name is that of the file.
        self.sign("localhost", "IP:127.0.0.1", "ca")
        self.sign("stranger", "IP:127.0.0.1", "other-ca")
        self.sign("elsewhere", "DNS:elsewhere.example", "ca")
        self.sign("app", "DNS:app", "ca", usage="clientAuth")

    def sign(self, name: str, names: str, ca: str, usage: str = "serverAuth") -> None:
        (self.directory / f"{name}.ext").write_text(
            f"subjectAltName={names}\nextendedKeyUsage={usage}\nauthorityKeyIdentifier=keyid\n"
        )
        self._openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"),
        )
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial"),
            *("-days", "1", "-out", f"{name}.pem", "-extfile", f"{name}.ext"),
        )

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def server(self, name: str, client_ca: str = "") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        if client_ca:
            context.load_verify_locations(self.path(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, cert: str = "") -> ssl.SSLContext:
        if cert:
            return ipseity.tls_context(self.path("ca.pem"), self.path(f"{cert}.pem"), self.path(f"{cert}.key"))
        return ipseity.tls_context(self.path("ca.pem"))

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)
