"""Variants behind one URL of a real server: shares, force, stickiness, and what changes while requests are answered."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tritonclient.http
from tritonclient.utils import InferenceServerException

from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.serving import declarations, local, shares, weights

Ask = Callable[..., Any]
Declare = Callable[..., declarations.Declaration]


def start(state: Path, *declared: declarations.Declaration) -> str:
    for each in declared:
        local.declare(state, each)
    url = local.ensure(state).url
    for each in declared:
        local.wait_ready(url, each)
    return url


class Client:
    """A client that keeps its connection, as clients do."""

    def __init__(self, url: str, path: str, records: list[dict[str, Any]]) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self._path, self._body = path, json.dumps({"instances": records})

    def variant(self, **headers: str) -> str:
        """The variant that answered; an error in place of one that was not answered."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("POST", self._path, self._body, said)
        response = self._connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise AssertionError(f"{response.status}: {text.decode()}")
        assert json.loads(text).keys() == {"predictions"}
        return response.headers["x-variant"]

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def asked(client: Callable[[], Client], count: int = 3) -> Iterator[Counter[str]]:
    """Meanwhile that many clients ask without a pause; whatever went wrong is raised in the end."""
    done = threading.Event()
    found: Counter[str] = Counter()

    def ask() -> Counter[str]:
        own: Counter[str] = Counter()
        with contextlib.closing(client()) as one:
            while not done.is_set():
                own[one.variant()] += 1
        return own

    with ThreadPoolExecutor(count) as pool:
        asking = [pool.submit(ask) for _ in range(count)]
        try:
            yield found
        finally:
            done.set()
        for each in asking:
            found.update(each.result())


def test_shares_of_ten_thousand_requests(core: Any, mass: Any, declaration: Declare, told: Declare) -> None:
    # AS-12. Keys are dealt like dice, and are the same in every run of this test.
    inside = core()
    declared = told(declaration("mass", mass, mass, weights=(0.9, 0.1)), routing={"key": "X-Customer"})
    inside.declare(declared)

    async def calls() -> dict[int, str]:
        row = mass.examples[:1]
        return {number: (await inside.ask("mass", row, x_customer=f"c{number}")).variant for number in range(10_000)}

    first = asyncio.run(calls())
    assert abs(Counter(first.values())["v2"] - 1000) < 3.29 * math.sqrt(10_000 * 0.1 * 0.9)
    inside.declare(weights.changed(declared, {"v1": 0.5, "v2": 0.5}))
    second = asyncio.run(calls())
    assert abs(Counter(second.values())["v2"] - 5000) < 3.29 * math.sqrt(10_000 * 0.25)
    assert {(first[each], second[each]) for each in first if first[each] != second[each]} == {("v1", "v2")}
    assert (
        inside.count("request_seconds_count", model_name="mass", variant="v1")
        == Counter([*first.values(), *second.values()])["v1"]
    )


def test_shares_change_without_a_restart_and_may_be_overruled(
    state: Path, mass: Any, declaration: Declare, told: Declare, ask: Ask
) -> None:
    declared = told(declaration("mass", mass, mass, weights=(0.9, 0.1)), routing={"key": "x-customer"})
    url = start(state, declared)
    server = local.find(state)
    path = "/v1/models/mass:predict"
    with contextlib.closing(Client(url, path, mass.examples[:1])) as client:
        for shared in ((0.9, 0.1), (0.5, 0.5)):
            local.wait_ready(url, weights.change(state, "mass", dict(zip(("v1", "v2"), shared, strict=True))))
            for number in range(150):
                expected = shares.by_key("mass", zip(("v1", "v2"), shared, strict=True), f"c{number}")
                assert client.variant(x_customer=f"c{number}") == expected
        assert {client.variant(x_variant="v1", x_customer=f"c{number}") for number in range(20)} == {"v1"}
        # Without the key it is left to chance.
        assert {client.variant() for _ in range(100)} == {"v1", "v2"}
    assert local.find(state) == server, "the same process, at the same URL"
    reply = ask(url, path, {"instances": mass.examples}, headers={"x-variant": "v3"})
    assert reply.json == {"error": "model 'mass' has no variant 'v3' (known: v1, v2)"}
    metrics = ask(url, "/metrics").text
    for name, version in (("v1", "1"), ("v2", "2")):
        named = f'{{code="200",model_name="mass",protocol="v1",variant="{name}",version="{version}"}}'
        assert f"requests_total{named}" in metrics


def test_no_request_is_lost_while_weights_change_and_models_are_loaded_anew(
    state: Path, penguins: Any, mass: Any, declaration: Declare, ask: Ask
) -> None:
    url = start(state, declaration("penguins", penguins, penguins, weights=(1, 1)), declaration("mass", mass))
    path = "/v1/models/penguins:predict"
    server = local.find(state)
    before = ask(url, "/metrics").text
    with asked(lambda: Client(url, path, penguins.examples)) as found:
        end = time.monotonic() + 4
        turn = 0
        while time.monotonic() < end:
            turn += 1
            latest = weights.change(state, "penguins", {"v1": turn % 7, "v2": 1 + turn % 3})
            time.sleep(0.005)
            if turn % 100 == 1:
                assert ask(url, "/v2/repository/models/penguins/load", b"").json == {"name": "penguins", "load": True}
        local.wait_ready(url, latest)
    assert found.keys() == {"v1", "v2"}
    assert found.total() > 20
    assert local.find(state) == server
    after = ask(url, "/metrics").text
    loads = 'model_loads_total{model_name="penguins",outcome="reloaded"}'
    assert loads not in before
    assert loads in after


def test_weights_are_changed_by_name(state: Path, penguins: Any, declaration: Declare, told: Declare) -> None:
    declared = told(declaration("penguins", penguins, penguins, penguins), shadows={"v3": 50})
    local.declare(state, declared)
    changed = weights.change(state, "penguins", weights.parse(["v2=3"]))
    assert weights.shares(changed) == {"v1": 0.25, "v2": 0.75}
    assert declarations.read(state, "penguins") == changed
    assert [variant.weight for variant in changed.spec.variants] == [1, 3, 0]

    def refused(*said: str, name: str = "penguins") -> str:
        with pytest.raises(OrchestratorError) as caught:
            weights.change(state, name, weights.parse(said))
        return str(caught.value)

    assert refused("v4=1") == "endpoint 'penguins' has no variant 'v4'\n  hint: known: v1, v2, v3"
    assert refused("v1=0", "v2=0").startswith("no variant would take any traffic")
    assert refused("v3=1") == "variant 'v3' is a shadow: it takes no share of the traffic"
    for wrong in ("v1", "v1=", "=1", "v1=-1", "v1=nan", "v1=1,5", "v1=inf"):
        assert refused(wrong) == f"{wrong!r} is not a variant and its weight\n  hint: for example main=0.9"
    assert refused("v1=1", "v1=2") == "variant 'v1' is given two weights"
    with pytest.raises(NotFoundError, match="there is no endpoint 'pengins'"):
        weights.change(state, "pengins", {})
    assert declarations.read(state, "penguins") == changed, "nothing was half done"


def test_models_are_unloaded_and_loaded_by_request(
    state: Path, penguins: Any, mass: Any, declaration: Declare, ask: Ask, core: Any
) -> None:
    url = start(state, declaration("penguins", penguins, penguins), declaration("mass", mass))
    with contextlib.closing(tritonclient.http.InferenceServerClient(url.removeprefix("http://"))) as client:
        entry = {"name": "mass", "version": "1", "state": "READY", "reason": ""}
        both = [{**entry, "name": "penguins", "version": version} for version in ("1", "2")]
        assert client.get_model_repository_index() == [entry, *both]
        client.unload_model("penguins")
        assert not client.is_model_ready("penguins")
        assert client.is_model_ready("mass")
        unloaded = [each for each in client.get_model_repository_index() if each["state"] == "UNAVAILABLE"]
        assert {each["reason"] for each in unloaded} == {"unloaded, as it was asked to be"}
        reply = ask(url, "/v1/models/penguins:predict", {"instances": penguins.examples})
        assert reply.status == 503
        assert reply.json["error"] == (
            "model 'penguins' was unloaded, as it was asked to be; POST /v2/repository/models/penguins/load loads it"
        )
        assert ask(url, "/v2/health/ready").status == 200, "what should be loaded is"
        assert 'model_loaded_bytes{model_name="penguins"} 0.0' in ask(url, "/metrics").text
        listed = {each.name: (each.ready, each.reason) for each in local.endpoints(state)}
        assert listed == {"mass": (True, ""), "penguins": (False, "unloaded, as it was asked to be")}
        with pytest.raises(InferenceServerException, match="there is no model 'nobody'"):
            client.load_model("nobody")
        with pytest.raises(InferenceServerException, match="parameters are not taken"):
            client.load_model("penguins", config="{}")
    # Another process of the server, or one that is started again, knows.
    other = core(state)
    other.host.refresh()
    assert {name: status.state for name, status in other.host.endpoints.items()} == {
        "mass": "loaded", "penguins": "unloaded"
    }  # fmt: skip
    assert ask(url, "/v2/repository/index", {"ready": True}).json == [entry]
    assert ask(url, "/v2/repository/models/penguins/load", b"").status == 200
    reply = ask(url, "/v1/models/penguins:predict", {"instances": penguins.examples})
    assert reply.json == {"predictions": penguins.predictions}
    other.host.refresh()
    assert other.host.endpoints["penguins"].state == "loaded"
    for wrong in (b"{", b"[]", b'{"ready": 3}'):
        assert ask(url, "/v2/repository/index", wrong).status == 400
    # What is declared anew is served, whatever was asked before.
    assert ask(url, "/v2/repository/models/penguins/unload", b"").status == 200
    start(state, declaration("penguins", penguins))
    assert ask(url, "/v1/models/penguins:predict", {"instances": penguins.examples}).status == 200


def test_answers_name_the_request_and_the_prediction(served: str, mass: Any, ask: Ask) -> None:
    body = {"instances": mass.examples}
    path = "/v1/models/mass:predict"
    assert ask(served, path, body, headers={"x-request-id": "r-1"}).headers["x-request-id"] == "r-1"
    made = {ask(served, path, body).headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5
    assert ask(served, path, body, headers={"x-request-id": "r" * 129}).headers["x-request-id"] != "r" * 129
    said = {"x-request-id": "r-2", "x-inference-id": "i-2"}
    assert ask(served, path, body, headers=said).headers["x-inference-id"] == "i-2"
    wrong = ask(served, path, {"instances": [[1]]}, headers=said)
    assert (wrong.status, wrong.headers["x-request-id"]) == (400, "r-2")
    assert wrong.headers["x-variant"].startswith("v")
    reply = ask(served, path, body, headers={"x-inference-id": "i" * 65})
    assert (reply.status, reply.json) == (400, {"error": "x-inference-id is longer than 64 characters"})
