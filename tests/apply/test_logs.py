"""The log of a container: line by line, followed beyond a connection that was cut, and refused in words."""

from __future__ import annotations

import pytest

from orchestrator.cluster import Cluster, RefusedError
from orchestrator.cluster.resources import Catalogue, Resource
from orchestrator.errors import BackendError
from tests.apply.conftest import Serve, Server, reply

PODS = Resource("", "v1", "Pod", "pods", is_namespaced=True, verbs=frozenset({"get"}))


def stamped(*lines: str) -> str:
    """Lines as the server stamps them; those that begin with the same digit were written at the same moment."""
    return "".join(f"2026-11-21T18:00:0{line[0]}.000000000Z {line}\n" for line in lines)


def log(*lines: str, cut: int = 0) -> bytes:
    """A log as it comes while it is followed: a piece for each line, and an end unless `cut` takes it away."""
    pieces = [stamped(line).encode() for line in lines] + [b""] * (not cut)
    raw = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return head + raw[: len(raw) - cut]


def cluster(serve: Serve, *replies: bytes | None) -> tuple[Cluster, Server]:
    api, server = serve(*replies)
    return Cluster("dev", api, Catalogue(api, (PODS,))), server


def test_lines_are_told_without_their_times(serve: Serve) -> None:
    found, server = cluster(serve, log("1 one", "2 two words", "2 "))
    assert list(found.logs("p", "main", tail=7)) == ["1 one", "2 two words", "2 "]
    assert server.asked == ["GET /api/v1/namespaces/dev/pods/p/log?timestamps=true&container=main&tailLines=7"]


def test_a_log_that_is_followed_goes_on_after_a_cut_without_a_line_twice(serve: Serve) -> None:
    version = reply(200, {"major": "1"})
    # Half of the last line came; two lines of one moment are told again.
    first, second = log("1 a", "2 b", "2 c", "3 d", cut=4), log("2 b", "2 c", "3 d", "4 e")
    found, server = cluster(serve, first, version, second)
    assert list(found.logs("p", follow=True)) == ["1 a", "2 b", "2 c", "3 d", "4 e"]
    assert "sinceTime=2026-11-21T18%3A00%3A02.000000000Z" in server.asked[2]


def test_a_log_that_is_not_followed_says_that_it_was_cut(serve: Serve) -> None:
    found, _ = cluster(serve, log("1 a", "2 b", cut=4))
    with pytest.raises(BackendError, match="cuts every connection"):
        list(found.logs("p"))


def test_a_log_is_waited_for_while_the_container_is_made(serve: Serve) -> None:
    text = 'container "main" in pod "p" is waiting to start: ContainerCreating'
    starting = reply(400, {"kind": "Status", "reason": "BadRequest", "message": text, "code": 400})
    found, server = cluster(serve, starting, log("1 a"))
    assert list(found.logs("p", follow=True)) == ["1 a"]
    assert len(server.asked) == 2
    found, _ = cluster(serve, starting)
    with pytest.raises(RefusedError, match=r'Pod p in namespace dev: container "main" in pod "p" is waiting to start'):
        list(found.logs("p"))


def test_an_image_that_cannot_be_pulled_is_not_waited_for(serve: Serve) -> None:
    text = 'container "main" in pod "p" is waiting to start: trying and failing to pull image'
    found, _ = cluster(serve, reply(400, {"kind": "Status", "message": text, "code": 400}))
    with pytest.raises(RefusedError, match="trying and failing to pull image"):
        list(found.logs("p", follow=True))
