"""TLS."""

from __future__ import annotations

import pathlib
import ssl
import threading
from typing import Callable

import pytest

import ipseity
import real
from certificates import Certificates
from flavours import Client, Source
from scripted import Connection, Scripted, error_reply, serving

Make = Callable[..., Client]
Serve = Callable[..., Scripted]

LONG = 20.0


def test_identities_come_by_tls(certificates: Certificates, server: Serve, client: Make) -> None:
    one = server(again=serving, context=certificates.server("good"))
    ids = client(one.address, tls=certificates.client())
    assert [ids.next() for _ in range(3)] == [1025, 2049, 3073]
    assert list(ids.block(2)) == [4097, 5121]
    named = client(f"tls://localhost:{one.port}", tls=certificates.client(), cluster="ipseity")
    assert named.next() == 6145


@pytest.mark.parametrize(
    ("cert", "says"),
    [("stranger", "no CA that is believed here has signed it, see tls_context"), ("elsewhere", "127.0.0.1")],
)
def test_a_certificate_that_is_not_accepted_is_a_failure_at_once(
    cert: str, says: str, certificates: Certificates, server: Serve, client: Make
) -> None:
    one = server(context=certificates.server(cert))
    with pytest.raises(ipseity.UnavailableError, match=says):
        client(one.address, tls=certificates.client(), call_timeout=LONG).next()
    assert one.connections == 1
    two = server(again=serving, context=certificates.server("good"), pid=2)
    again = server(context=certificates.server(cert))
    assert client(again.address, two.address, tls=certificates.client()).next() == 1026


def test_a_common_name_is_no_name(certificates: Certificates, server: Serve, client: Make) -> None:
    one = server(again=serving, context=certificates.server("localhost"))
    assert client(one.address, tls=certificates.client()).next() == 1025
    with pytest.raises(ipseity.UnavailableError, match="certificate is not accepted"):
        client(f"tls://localhost:{one.port}", tls=certificates.client(), call_timeout=LONG).next()


def test_a_server_that_wants_a_certificate(certificates: Certificates, server: Serve, client: Make) -> None:
    one = server(again=serving, context=certificates.server("good", client_ca="ca.pem"))
    assert client(one.address, tls=certificates.client("app")).next() == 1025
    with pytest.raises(ipseity.UnavailableError) as caught:
        client(one.address, tls=certificates.client(), call_timeout=LONG).next()
    assert "certificate required" in str(caught.value)


def test_a_server_without_tls_is_told(certificates: Certificates, server: Serve, client: Make) -> None:
    def script(connection: Connection) -> None:
        connection.send(error_reply(7, "this server does not speak TLS"))

    one = server(again=script)
    with pytest.raises(ipseity.UnavailableError, match="does not speak TLS there"):
        client(f"tls://{one.address}", tls=certificates.client(), call_timeout=LONG).next()


def test_a_handshake_that_hangs_or_is_cut_off(certificates: Certificates, server: Serve, client: Make) -> None:
    frozen = server(again=Connection.freeze)
    closing = server()
    for one, says in ((frozen, "within|no answer"), (closing, "in the middle|without|closed")):
        ids = client(f"tls://{one.address}", tls=certificates.client(), connect_timeout=1, call_timeout=2)
        with pytest.raises(ipseity.UnavailableError, match=says):
            ids.next()


def test_close_says_farewell(certificates: Certificates, server: Serve, client: Make) -> None:
    ended = threading.Event()

    def script(connection: Connection) -> None:
        connection.serve(1)
        # Without close_notify this would raise.
        connection.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        if connection.read() is None:
            ended.set()

    one = server(script, context=certificates.server("good"))
    ids = client(one.address, tls=certificates.client())
    ids.next()
    ids.close()
    assert ended.wait(LONG)


def test_a_context_that_takes_any_server_is_refused() -> None:
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    with pytest.raises(ipseity.ConfigurationError, match="check_hostname"):
        ipseity.Client("tls://localhost", tls=careless)
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(ipseity.ConfigurationError, match="CERT_REQUIRED"):
        ipseity.Source("localhost", tls=careless)


def test_files_that_are_of_no_use(tmp_path: pathlib.Path, certificates: Certificates) -> None:
    (tmp_path / "empty.pem").write_text("")
    for ca in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(ipseity.ConfigurationError, match=ca.name):
            ipseity.tls_context(ca)
    with pytest.raises(ipseity.ConfigurationError, match=r"other-ca\.key"):
        ipseity.tls_context(None, certificates.path("app.pem"), certificates.path("other-ca.key"))
    with pytest.raises(ipseity.ConfigurationError, match="no certificate"):
        ipseity.tls_context(None, None, certificates.path("app.key"))


def test_a_real_server_by_tls(
    certificates: Certificates,
    run_server: Callable[..., real.Server],
    client: Make,
    source: Callable[..., Source],
) -> None:
    one = run_server(
        1,
        *("--tls-cert", certificates.path("good.pem"), "--tls-key", certificates.path("good.key")),
        *("--tls-client-ca", certificates.path("ca.pem"), "--plain", "never"),
    )
    with pytest.raises(ipseity.UnavailableError, match="tlsRequired"):
        client(one.address, call_timeout=LONG).next()
    with pytest.raises(ipseity.UnavailableError, match="certificate"):
        client(f"tls://{one.address}", tls=certificates.client(), call_timeout=LONG).next()
    ids = client(f"tls://{one.address}", tls=certificates.client("app"), cluster="ipseity")
    assert ids.next() < ids.next()
    held = source(f"tls://{one.address}", tls=certificates.client("app"))
    got = [held.next() for _ in range(500)]
    assert got == sorted(set(got))


def test_a_real_server_without_tls(
    certificates: Certificates, run_server: Callable[..., real.Server], client: Make
) -> None:
    one = run_server()
    with pytest.raises(ipseity.UnavailableError, match="does not speak TLS there"):
        client(f"tls://{one.address}", tls=certificates.client(), call_timeout=LONG).next()
