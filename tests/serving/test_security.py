"""Who is let in: tokens, TLS, and pages of other sites; what is refused before it costs anything."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestrator.errors import OrchestratorError
from orchestrator.serving import declarations, local, tls
from orchestrator.serving.options import Options
from orchestrator.serving.tokens import Tokens

Ask = Callable[..., Any]
Declare = Callable[..., declarations.Declaration]
TOKEN = "a-token-of-this-test-9f3a"


def eventually(true: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)
    return found


def authority(folder: Path, name: str = "server", password: bytes | None = None) -> tuple[Path, Path]:
    """A certificate that signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    protection: Any = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection))
    return certificate, secret


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started with options."""

    process: subprocess.Popen[str]
    url: str
    log: Path


@contextlib.contextmanager
def running(state: Path, *options: str | Path) -> Iterator[Running]:
    log = state / "said.log"
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), *map(str, options)]
    with log.open("w") as said, subprocess.Popen(command, stderr=said, text=True) as process:
        try:
            found = eventually(lambda: process.poll() is not None or local.find(state))
            assert process.poll() is None, log.read_text()
            yield Running(process, found.url, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert "Traceback" not in log.read_text()
    assert TOKEN not in log.read_text()


def refused(state: Path, *options: str | Path) -> str:
    """What a server says that does not start."""
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert local.find(state) is None
    return done.stderr


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def declared(state: Path, penguins: Any, declaration: Declare) -> declarations.Declaration:
    made = declaration("penguins", penguins)
    local.declare(state, made)
    return made


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_server_with_a_token_lets_in_who_has_it(
    state: Path, declared: declarations.Declaration, token_file: Path, penguins: Any, ask: Ask
) -> None:
    body = {"instances": penguins.examples}
    with running(state, "--token-file", token_file) as server:
        # Tools of this machine read the same file.
        local.wait_ready(server.url, declared)
        answer = local.send_example(declared, server.url)
        assert answer.response["predictions"] == penguins.predictions[:1]
        assert TOKEN not in answer.curl
        repeated = subprocess.run(["/bin/sh", "-c", answer.curl], capture_output=True, check=True)
        assert json.loads(repeated.stdout) == answer.response
        assert TOKEN not in (state / "server.json").read_text()

        predict = "/v1/models/penguins:predict"
        assert ask(server.url, predict, body, headers=bearer()).status == 200
        password = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
        assert ask(server.url, predict, body, headers={"authorization": f"Basic {password}"}).status == 200
        for wrong in ({}, bearer("x"), bearer(TOKEN + "x"), {"authorization": "Basic !!"}, {"authorization": TOKEN}):
            reply = ask(server.url, predict, body, headers=wrong)
            assert (reply.status, set(reply.json)) == (401, {"error"}), wrong
            assert "Bearer" in reply.headers["www-authenticate"]
        for path in ("/", "/metrics", "/endpoints", "/v2", "/v2/models/penguins", "/nothing"):
            assert ask(server.url, path).status == 401, path
        # A browser asks for it.
        page = ask(server.url, "/", headers={"accept": "text/html"})
        assert page.headers["www-authenticate"].startswith("Basic ")
        assert ask(server.url, "/", headers={"accept": "text/html", **bearer()}).status == 200

        # What a kubelet asks needs none, and tells strangers no more than yes or no.
        assert ask(server.url, "/v2/health/live").json == {"live": True}
        assert ask(server.url, "/ping").status == 200
        assert ask(server.url, "/v2/health/ready").json == {"ready": True}
        (state / "endpoints" / "torn.json").write_text("{")
        eventually(lambda: ask(server.url, "/v2/health/ready").status == 503)
        assert ask(server.url, "/v2/health/ready").json == {"ready": False}
        assert "torn" in ask(server.url, "/v2/health/ready", headers=bearer()).json["error"]
        (state / "endpoints" / "torn.json").unlink()

        eventually(lambda: "not let in, the last ones from 127.0.0.1" in server.log.read_text())
        counted = ask(server.url, "/metrics", headers=bearer()).text
        assert 'request_errors_total{kind="access",model_name="",variant=""}' in counted


def test_a_token_takes_over_from_another_while_it_runs(
    state: Path, declared: declarations.Declaration, token_file: Path, ask: Ask
) -> None:
    del declared
    newer = "the-token-that-follows-77"
    with running(state, "--token-file", token_file) as server:
        token_file.write_text(f"{newer}\n\n{TOKEN}\n")
        eventually(lambda: ask(server.url, "/v2", headers=bearer(newer)).status == 200)
        assert ask(server.url, "/v2", headers=bearer()).status == 200
        token_file.write_text("short")
        eventually(lambda: "the tokens stay what they were" in server.log.read_text())
        assert ask(server.url, "/v2", headers=bearer(newer)).status == 200
        token_file.write_text(newer)
        eventually(lambda: ask(server.url, "/v2", headers=bearer()).status == 401)
        assert newer not in server.log.read_text()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: no such file"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("short", ":1: a token of 5 characters could be guessed"),
        (f"{TOKEN}\nwith some spaces in it", ":2: a token has no spaces"),
        ("ünïcödé-token-of-this-test", ":1: a token has no spaces, and ASCII"),
        ("x" * 70_000, "larger than 65,536 bytes"),
    ],
)
def test_token_files_that_cannot_be_used(tmp_path: Path, content: str | None, told: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OrchestratorError) as caught:
        Tokens(file)
    assert told.lower() in str(caught.value).lower()
    assert TOKEN not in str(caught.value)


def test_others_are_not_let_near_without_token_and_tls(state: Path, token_file: Path, tmp_path: Path) -> None:
    said = refused(state, "--host", "0.0.0.0")
    assert "a server there needs a token (--token-file FILE) and TLS (--tls-cert FILE --tls-key FILE)" in said
    assert "--insecure does without" in said
    assert "needs TLS" in refused(state, "--host", "0.0.0.0", "--token-file", token_file)
    certificate, key = authority(tmp_path)
    assert "--tls-key is missing" in refused(state, "--tls-cert", certificate)
    assert "needs a token" in refused(state, "--host", "0.0.0.0", "--tls-cert", certificate, "--tls-key", key)
    for host in ("127.0.0.1", "127.0.0.9", "::1"):
        Options().check_reach(host)
    with pytest.raises(OrchestratorError, match=r"other machines can reach 192\.168\.0\.7"):
        Options().check_reach("192.168.0.7")


def test_said_to_be_insecure_it_is(state: Path, declared: declarations.Declaration, ask: Ask) -> None:
    with running(state, "--host", "0.0.0.0", "--insecure") as server:
        local.wait_ready(server.url, declared)
        foreign = {"host": "models.example.com", "origin": "https://app.example.com"}
        assert ask(server.url, "/v1/models/penguins:predict", b"{", headers=foreign).status == 400
        assert "asks nobody who they are" in server.log.read_text()
        assert "nothing is encrypted here" in server.log.read_text()


def test_tls_with_a_token_and_a_certificate_that_is_renewed(
    state: Path, declared: declarations.Declaration, token_file: Path, tmp_path: Path, penguins: Any
) -> None:
    certificate, key = authority(tmp_path)
    options = ("--host", "0.0.0.0", "--token-file", token_file, "--tls-cert", certificate, "--tls-key", key)
    with running(state, *options) as server:
        assert server.url.startswith("https://127.0.0.1:")
        local.wait_ready(server.url, declared)
        answer = local.send_example(declared, server.url)
        assert answer.response["predictions"] == penguins.predictions[:1]
        repeated = subprocess.run(["/bin/sh", "-c", answer.curl], capture_output=True, check=True)
        assert json.loads(repeated.stdout) == answer.response
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"200 OK" not in plain.recv(100)
        first = ssl.get_server_certificate(("127.0.0.1", port))
        with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            ssl.create_default_context().wrap_socket(connection, server_hostname="127.0.0.1")
        authority(tmp_path)
        eventually(lambda: ssl.get_server_certificate(("127.0.0.1", port)) != first)
        assert local.send_example(declared, server.url).response == answer.response
        key.write_text("not a key")
        eventually(lambda: "the certificate stays what it was" in server.log.read_text())
        assert local.send_example(declared, server.url).response == answer.response


def test_grpc_takes_up_a_renewed_certificate(state: Path, declared: declarations.Declaration, tmp_path: Path) -> None:
    certificate, key = authority(tmp_path)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        place = ("127.0.0.1", int(found.getsockname()[1]))
    options = ("--tls-cert", certificate, "--tls-key", key, "--grpc-port", str(place[1]))
    with running(state, *options) as server:
        local.wait_ready(server.url, declared)
        eventually(lambda: "gRPC at 127.0.0.1:" in server.log.read_text())
        first = shown(place)
        assert first == certificate.read_text()
        key.write_text("not a key")
        eventually(lambda: "the certificate stays what it was" in server.log.read_text())
        assert shown(place) == first
        authority(tmp_path)
        eventually(lambda: shown(place) == certificate.read_text() != first)
        trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
        with grpc.secure_channel(f"{place[0]}:{place[1]}", trusted) as channel:
            assert channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=30) == b"\x08\x01"


def shown(place: tuple[str, int]) -> str:
    """The certificate that a server of gRPC shows; it speaks to nobody who does not say HTTP/2 first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(place, timeout=30) as plain, context.wrap_socket(plain) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    certificate, key = authority(tmp_path)
    _, other = authority(tmp_path, "other")
    _, locked = authority(tmp_path, "locked", b"password")
    for pair, told in (
        ((certificate, other), "key values mismatch"),
        ((key, key), "are no certificate and its key"),
        ((tmp_path / "none.pem", key), "none.pem cannot be read: No such file"),
        ((certificate, locked), "is protected by a password"),
    ):
        with pytest.raises(OrchestratorError, match=told):
            tls.Certificate(*pair)
    with pytest.raises(OrchestratorError, match="cannot be read"):
        tls.trusting(key)


def test_no_other_certificate_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, _ = authority(tmp_path)
    theirs = authority(tmp_path, "theirs")
    monkeypatch.setenv("SSL_CERT_FILE", str(theirs[0]))  # The machine trusts it.
    ours, away = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*theirs)

    def answer() -> None:
        with away, contextlib.suppress(OSError):
            server.wrap_socket(away, server_side=True).close()

    with ours, ThreadPoolExecutor(1) as pool:
        answered = pool.submit(answer)
        with pytest.raises(ssl.SSLCertVerificationError):
            tls.trusting(certificate).wrap_socket(ours)
        ours.close()
        answered.result(30)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example.com"}, 421),
        ({"host": "evil.example.com:8800"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "localhost:1"}, 200),
        ({"host": "[::1]:8800"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "models.localhost"}, 200),
        ({"host": "model-server:8800"}, 200),
        ({"origin": "https://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost:9999"}, 200),
        ({"origin": "http://localhost:8800", "host": "localhost:8800"}, 200),
    ],
)
def test_pages_of_other_sites_are_kept_out(
    served: str, penguins: Any, ask: Ask, headers: dict[str, str], status: int
) -> None:
    reply = ask(served, "/v1/models/penguins:predict", {"instances": penguins.examples}, headers=headers)
    assert reply.status == status
    if status != 200:
        assert set(reply.json) == {"error"}


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        # As trailers, behind a body in chunks.
        b"POST /v1/models/mass:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    ],
)
def test_headers_without_end_are_hung_up_on(served: str, ask: Ask, head: bytes) -> None:
    host, port = served.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head)
        more = b"".join(b"x-%d: " % number + b"a" * 1000 + b"\r\n" for number in range(50_000))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(more)
    fine = {f"x-{number}": "a" * 1000 for number in range(30)}
    assert ask(served, "/v2/health/live", headers=fine).status == 200


def test_small_chunks_and_pipelined_requests_are_fine(served: str, mass: Any) -> None:
    host, port = served.removeprefix("http://").split(":")
    body = json.dumps({"instances": mass.examples}).ljust(40_000).encode()
    post = b"POST /v1/models/mass:predict HTTP/1.1\r\nHost: x\r\n"
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    whole = post + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(chunked + b"0\r\n\r\n" + whole * 4 + last)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.count(b"HTTP/1.1 200 OK") == 6


def test_headers_that_do_not_come_are_not_waited_for() -> None:
    from orchestrator.serving import wire

    class Silent:
        head_since: float | None = 100.0
        said: bytes = b""

        def refuse(self, status: bytes, why: bytes) -> None:
            self.said = status + why

    slow, busy, new = Silent(), Silent(), Silent()
    busy.head_since, new.head_since = None, 125.0
    wire.hurry([slow, busy, new], 131.0)
    assert slow.said.startswith(b"408")
    assert (busy.said, new.said) == (b"", b"")


def test_options_travel_to_a_worker() -> None:
    from orchestrator.serving import options

    given = Options("0.0.0.0", 1, 3, Path("t"), Path("c"), Path("k"), insecure=True, fixed=True)
    assert options.load(given.dump()) == given
    assert options.load(Options().dump()) == Options()
    with pytest.raises(OrchestratorError, match="between 1 and 64"):
        Options(workers=0).check()
