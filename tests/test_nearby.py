"""Engines that announce themselves, and clients that look for them, over real multicast."""

import asyncio
import datetime
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from engine_kit import running_engine

from app.client.api import Api
from app.client.errors import EngineGone
from app.client.nearby import look_around
from app.engine.announce import Announcement
from app.wire.nouns import EngineInfo

LOOPBACK = ["127.0.0.1"]


@pytest.fixture
def info(homes: Path) -> EngineInfo:
    """The facts of a real engine."""
    with running_engine(homes) as one, Api(one.url) as api:
        return api.engine()


def test_announced_engine_is_found_until_it_ends(info: EngineInfo) -> None:
    machine = msgspec.structs.replace(info.machine, name="Zoë, Mac Studio")
    facts = msgspec.structs.replace(info, machine=machine, key_required=True)

    async def announce_and_look() -> tuple[list[str], list[str]]:
        one = Announcement()
        await one.open(facts, "127.0.0.1", 8798, interfaces=LOOPBACK)
        during = await asyncio.to_thread(look_around, 1.0, interfaces=LOOPBACK)
        await one.close()
        after = await asyncio.to_thread(look_around, 0.5, interfaces=LOOPBACK)
        return [f"{e.name} {e.url} {e.needs_key}" for e in during], [e.name for e in after]

    found, left = asyncio.run(announce_and_look())
    assert "Zoë, Mac Studio http://127.0.0.1:8798 True" in found
    assert "Zoë, Mac Studio" not in left


def test_engine_for_this_computer_only_is_not_announced(info: EngineInfo) -> None:
    assert info.machine.name not in {e.name for e in look_around(0.5, interfaces=LOOPBACK)}


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def strangers_port(tmp_path: Path) -> Iterator[int]:
    """A port that speaks TLS with a certificate that nobody vouches for."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_certificate_that_is_not_trusted_is_told_in_words(strangers_port: int) -> None:
    with (
        Api(f"https://127.0.0.1:{strangers_port}") as api,
        pytest.raises(EngineGone, match=r"certificate .* is not accepted: .*self-signed"),
    ):
        api.engine()


def test_https_to_a_plain_engine_is_told_in_words(homes: Path) -> None:
    with (
        running_engine(homes) as one,
        Api(one.url.replace("http:", "https:")) as api,
        pytest.raises(EngineGone, match="does not speak TLS"),
    ):
        api.engine()
