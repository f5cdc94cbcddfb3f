"""A registry is asked over real HTTP: with a login, with a token, and when it does not answer as it should."""

from __future__ import annotations

import base64
import json
import socket

import pytest

from orchestrator.errors import BackendError
from orchestrator.images import reference, remote
from orchestrator.images.remote import Answer

DIGEST = "sha256:" + "0123456789abcdef" * 4


def ask(registry, name="a/b:1", **environment):
    return remote.ask(reference.parse(f"{registry.host}/{name}"), environment)


def login(tmp_path, registry, user):
    kept = {"auths": {registry.host: {"auth": base64.b64encode(user.encode()).decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    return {"DOCKER_CONFIG": str(tmp_path)}


def test_an_image_has_the_digest_its_registry_says(registry):
    registry.digests["a/b:1"] = DIGEST
    assert ask(registry) == Answer(DIGEST)
    assert ask(registry, "a/b:2") == Answer()
    assert registry.asked == ["/v2/a/b/manifests/1", "/v2/a/b/manifests/2"]


def test_a_login_is_used(registry, tmp_path):
    registry.digests["a/b:1"] = DIGEST
    registry.user = "ana:secret"
    assert ask(registry) == Answer(refused=True)
    assert ask(registry, **login(tmp_path, registry, "ana:wrong")) == Answer(refused=True)
    assert ask(registry, **login(tmp_path, registry, "ana:secret")) == Answer(DIGEST)


def test_a_token_is_fetched_with_the_login(registry, tmp_path):
    registry.digests["a/b:1"] = DIGEST
    registry.user, registry.token = "ana:secret", "t0k"
    assert ask(registry, **login(tmp_path, registry, "ana:secret")) == Answer(DIGEST)
    assert [path.partition("?")[0] for path in registry.asked] == [
        "/v2/a/b/manifests/1",
        "/token",
        "/v2/a/b/manifests/1",
    ]
    assert ask(registry, **login(tmp_path, registry, "ana:wrong")) == Answer(refused=True)


def test_a_program_may_keep_the_login(registry, tmp_path, monkeypatch):
    registry.digests["a/b:1"] = DIGEST
    registry.user = "ana:secret"
    program = tmp_path / "docker-credential-test"
    program.write_text('#!/bin/sh\nread host\necho "{\\"Username\\": \\"ana\\", \\"Secret\\": \\"secret\\"}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "test"}}))
    assert ask(registry, DOCKER_CONFIG=str(tmp_path)) == Answer(DIGEST)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"auths": {"HOST": {"auth": "%%%"}}}', '{"credHelpers": {"HOST": "../x"}}']
)
def test_a_broken_login_is_no_login(registry, tmp_path, text):
    registry.digests["a/b:1"] = DIGEST
    registry.user = "ana:secret"
    (tmp_path / "config.json").write_text(text.replace("HOST", registry.host))
    assert ask(registry, DOCKER_CONFIG=str(tmp_path)) == Answer(refused=True)


@pytest.mark.parametrize("status", [500, 503])
def test_a_registry_that_is_broken_is_told(registry, status):
    registry.status = status
    with pytest.raises(BackendError, match=f"image registry {registry.host}: it does not answer: HTTP {status}"):
        ask(registry)


@pytest.mark.parametrize(
    ("status", "answer"), [(403, Answer(refused=True)), (404, Answer()), (302, Answer()), (429, Answer())]
)
def test_every_other_answer_is_no_digest(registry, status, answer):
    registry.status = status
    assert ask(registry) == answer


def test_nobody_there_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BackendError, match=f"image registry {host}: it does not answer: Connection refused"):
        remote.ask(reference.parse(f"{host}/a:1"), {})


def test_a_digest_that_is_none_does_not_count(registry):
    registry.digests["a/b:1"] = "md5:1"
    assert ask(registry) == Answer()
