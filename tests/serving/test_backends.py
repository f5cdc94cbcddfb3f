"""Models with programs of their own, as the server loads them: what they are given, what becomes of what they raise."""

from __future__ import annotations

import gc
import io
import json
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import digest
from orchestrator.errors import OrchestratorError
from orchestrator.model import package
from orchestrator.model.package import Wanted
from orchestrator.model.signature import InputError, columns_from_records
from orchestrator.serving import backends
from orchestrator.serving.backends import check
from orchestrator.serving.codec import RequestError

MODELS = Path(__file__).parent / "models"
JSON, CSV = "application/json", "text/csv"

Pack = Callable[..., Path]
EXAMPLE = '{"instances": [[1, 2]]}'


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Makes a model folder of a program: one of `models`, or one written here."""
    count = iter(range(100))

    def make(source: str = "", example: str = EXAMPLE, /, entry: str = "", kind: str = JSON, **files: str) -> Path:
        folder = tmp_path / f"model{next(count)}"
        folder.mkdir()
        code = MODELS / source
        if files:
            code = folder.with_suffix(".source")
            code.mkdir()
            for name, text in files.items():
                (code / f"{name}.py").write_text(text)
            (code / "request").write_text(example)
            package.make(Wanted(code, entry, code / "request", kind), folder)
        else:
            package.make(Wanted(code), folder)
        return folder

    return make


def load(folder: Path) -> Any:
    return backends.load(folder, digest.of(folder))


def ask(model: Any, body: Any, content_type: str = JSON, accept: str = "*/*") -> Any:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    answer, kind = model.respond(raw, content_type, accept)
    return json.loads(answer) if kind == JSON else answer.decode()


def test_functions_answer_in_every_type_they_know(pack: Pack) -> None:
    model = load(pack("scorer"))
    assert model.platform == "handlers"
    assert ask(model, {"instances": [{"mass": 3.5, "length": 1}]}) == {"predictions": [8.0]}
    assert ask(model, "1,2\n3,4\n", "text/csv; charset=utf-8", CSV) == "4.0\n10.0\n"
    # `curl -d` says that all it sends is a form.
    form = "application/x-www-form-urlencoded"
    assert ask(model, {"instances": [{"mass": 3.5, "length": 1}]}, form) == {"predictions": [8.0]}


def test_a_class_answers_and_lives_on_one_loop(pack: Pack) -> None:
    model = load(pack("adder"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: ask(model, {"instances": [[number, 1]]}), range(50)))
    assert [each["predictions"] for each in found] == [[number + 11] for number in range(50)]
    assert {each["loops"] for each in found} == {1}
    assert {each["by"] for each in found} == {"Adder"}


def test_programs_with_modules_of_the_same_name_stay_apart(pack: Pack) -> None:
    before = set(sys.modules)
    scorer, adder, again = load(pack("scorer")), load(pack("adder")), load(pack("scorer"))
    # Each imports its own `features`, the scorer's also while it answers.
    assert ask(scorer, {"instances": [{"mass": 1, "length": 1}]}) == {"predictions": [3]}
    assert ask(adder, {"instances": [[1, 1]]})["predictions"] == [12]
    assert ask(again, {"instances": [{"mass": 1, "length": 1}]}) == {"predictions": [3]}
    assert not {"features", "inference", "model"} & set(sys.modules)
    assert not any("models" in str(getattr(sys.modules[name], "__file__", "")) for name in set(sys.modules) - before)


def test_imports_of_a_program_in_several_threads_at_once(pack: Pack) -> None:
    source = "class A:\n  thread_safe = True\n  def predict(self, p):\n    from part import value\n    return [value]\n"
    models = [load(pack(model=source, part=f"value = {number}\n")) for number in range(4)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: ask(models[number % 4], EXAMPLE)["predictions"], range(200)))
    assert found == [[number % 4] for number in range(200)]


def test_what_a_model_pickled_is_unpickled_with_its_own_modules(pack: Pack) -> None:
    source = (
        "import pickle\nfrom part import Part\n\nclass A:\n"
        "  def load(self):\n    self.part = pickle.loads(pickle.dumps(Part()))\n"
        "  def predict(self, p):\n    return [type(self.part).__module__, isinstance(self.part, Part)]\n"
    )
    model = load(pack(model=source, part="class Part:\n  pass\n"))
    assert ask(model, EXAMPLE) == {"predictions": ["part", True]}


def test_a_program_leaves_its_folder_as_it_was(pack: Pack) -> None:
    folder = pack("scorer")
    known = digest.of(folder)
    load(folder)
    load(folder)
    assert digest.of(folder) == known


def test_a_program_that_is_let_go_is_gone(pack: Pack) -> None:
    model = load(pack("adder"))
    threads = threading.active_count()
    gone = weakref.ref(model.program.model)
    del model
    gc.collect()
    assert gone() is None
    for thread in threading.enumerate():
        if thread.name == "program":
            thread.join(10)
    assert threading.active_count() < threads


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ({"instances": [{"mass": -1, "length": 1}]}, InputError, "mass must not be negative"),
        ("{", InputError, "Expecting property name"),
        (b"\xff", InputError, "not UTF-8"),
        ({"instances": [{"mass": 13, "length": 1}]}, RuntimeError, "secret"),
        ({"instances": [{"mass": 14, "length": 1}]}, RuntimeError, r"called exit\(enough\)"),
        ({"instances": [{}]}, KeyError, "mass"),
    ],
)
def test_what_functions_raise(pack: Pack, body: Any, error: type[Exception], said: str) -> None:
    model = load(pack("scorer"))
    with pytest.raises(error, match=said):
        ask(model, body)
    assert ask(model, {"instances": [{"mass": 1, "length": 1}]}) == {"predictions": [3]}


def test_an_error_with_a_status_of_its_own_keeps_it(pack: Pack) -> None:
    with pytest.raises(RequestError, match="a row has two numbers") as raised:
        ask(load(pack("adder")), {"instances": [[1, 2, 3]]})
    assert raised.value.status == 422


@pytest.mark.parametrize("source", ["scorer", "adder"])
def test_columns_reach_a_program_in_the_form_of_its_example(pack: Pack, source: str) -> None:
    model = load(pack(source))
    records = [dict(model.example[0])] * 3
    outputs = model.outputs(columns_from_records(model.signature, records))
    assert list(outputs) == ["prediction"]
    expected = {"scorer": 8.0, "adder": 13}[source]
    np.testing.assert_array_equal(outputs["prediction"], [expected] * 3)


DEFAULTS = "class Twice:\n  def predict(self, a):\n    return a * 2\n\ndef model_fn(folder):\n  return Twice()\n"


@pytest.mark.parametrize(
    ("body", "kind", "accept", "answer"),
    [
        ("[[1, 2]]", JSON, JSON, [[2, 4]]),
        ('{"instances": [[1, 2]]}', JSON, "*/*", [[2, 4]]),
        ("1,2\n3,4\n", CSV, CSV, "2,4\n6,8\n"),
        ("1,2\n", CSV, "text/html, application/json;q=0.9", [[2, 4]]),
    ],
)
def test_what_is_not_defined_is_done_as_sagemaker_does(
    pack: Pack, body: str, kind: str, accept: str, answer: Any
) -> None:
    assert ask(load(pack("", "[[1]]", inference=DEFAULTS)), body, kind, accept) == answer


def test_arrays_travel_as_npy(pack: Pack) -> None:
    model = load(pack("", "[[1]]", inference=DEFAULTS))
    out = io.BytesIO()
    np.save(out, np.eye(2))
    answer, kind = model.respond(out.getvalue(), "application/x-npy", "application/x-npy")
    assert kind == "application/x-npy"
    np.testing.assert_array_equal(np.load(io.BytesIO(answer)), np.eye(2) * 2)
    evil = io.BytesIO()
    np.save(evil, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="allow_pickle"):
        model.respond(evil.getvalue(), "application/x-npy", JSON)
    for kind, accept, status in (("image/png", JSON, 415), (JSON, "image/png", 406)):
        with pytest.raises(RequestError) as raised:
            model.respond(b"[[1]]", kind, accept)
        assert raised.value.status == status


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"[" * 100_000, JSON, "nested too deeply"),
        (b"1,2\r3,4", CSV, "not a table"),
        (b'"' + b"x" * 200_000 + b'"\n', CSV, "not a table"),
        (b"", "application/x-npy", "not an array as NPY"),
        (b"PK\x03\x04", "application/x-npy", "not an array as NPY"),
        (b"\x93NUMPY\x01\x00\x04\x00{'a\n", "application/x-npy", "not an array as NPY"),
    ],
)
def test_a_body_that_cannot_be_read_is_the_clients_error(pack: Pack, body: bytes, kind: str, said: str) -> None:
    model = load(pack("", "[[1]]", inference=DEFAULTS))
    with pytest.raises(InputError, match=said):
        model.respond(body, kind, JSON)


def test_transform_fn_and_a_context(pack: Pack) -> None:
    source = (
        "def model_fn(folder, context):\n  return context.system_properties['model_dir'] == folder\n"
        "def transform_fn(model, body, kind, accept, context):\n"
        "  context.set_response_content_type(0, 'text/plain')\n"
        "  return f'{model} {type(body).__name__} {kind} {context.get_request_header(0, \"Content-Type\")}'\n"
    )
    model = load(pack("", "x", kind="image/png", inference=source))
    assert ask(model, b"\x89PNG", "image/png") == "True bytes image/png image/png"
    assert model.reason == "the model takes bodies of its own, not rows"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def transform_fn(m, b, c, a): ...\n", "has no model_fn"),
        (
            "def model_fn(d): ...\ndef transform_fn(m, b, c, a): ...\ndef input_fn(b, c): ...\n",
            "does all of it, and input",
        ),
        ("def model_fn(d): raise OSError('no weights')\n", "cannot be started: OSError: no weights"),
        ("import nowhere\ndef model_fn(d): ...\n", "ModuleNotFoundError: No module named 'nowhere'"),
        ("import sys\nsys.exit(2)\ndef model_fn(d): ...\n", r"called exit\(2\)"),
        ("def model_fn(d): ...\ndef predict_fn(x, m): return [0][1]\n", "fails on its own example: IndexError"),
        ("def model_fn(d): return 3\n", "has no predict: define predict_fn"),
    ],
)
def test_functions_that_cannot_answer_are_not_loaded(pack: Pack, source: str, said: str) -> None:
    with pytest.raises(OrchestratorError, match=said):
        load(pack(inference=source))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class A:\n  def load(self): return False\n  def predict(self, p): return [1]\n", "it returned False"),
        ("class A:\n  def __init__(self, port): ...\n  def predict(self, p): return [1]\n", "A needs port"),
        ("class A:\n  async def predict(self, p): raise KeyError('x')\n", "example: KeyError: 'x'"),
        ("class A:\n  def predict(self, p): return [object()]\n", "a object, which JSON cannot say"),
    ],
)
def test_a_class_that_cannot_answer_is_not_loaded(pack: Pack, source: str, said: str) -> None:
    with pytest.raises(OrchestratorError, match=said):
        load(pack(model=source))


def test_the_line_that_failed_is_named(pack: Pack) -> None:
    with pytest.raises(OrchestratorError) as raised:
        load(pack(model="class A:\n  def predict(self, p):\n    return 1 / 0\n"))
    assert raised.value.hint == "at model.py:3: return 1 / 0"


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("np.array([1.5, np.nan])", {"predictions": [1.5, None]}),
        ("pd.DataFrame({'a': [1], 'b': ['x']})", {"predictions": [{"a": 1, "b": "x"}]}),
        ("pd.Series([1, 2])", {"predictions": [1, 2]}),
        ("{'score': np.float32(0.5), 'flag': np.bool_(True)}", {"score": 0.5, "flag": True}),
        ("[1]", {"predictions": [1]}),
        ("'text'", "text"),
        ("(b'a,b', 'text/csv')", "a,b"),
    ],
)
def test_what_a_class_may_give(pack: Pack, given: str, answer: Any) -> None:
    source = f"import numpy as np\nimport pandas as pd\nclass A:\n  def predict(self, p):\n    return {given}\n"
    found, _ = load(pack(model=source)).respond(EXAMPLE.encode(), JSON, "*/*")
    assert (json.loads(found) if isinstance(answer, dict) else found.decode()) == answer


def test_a_program_is_called_by_one_at_a_time_unless_it_says_otherwise(pack: Pack) -> None:
    source = (
        "import threading\nbarrier = threading.Barrier(2)\n\nclass A:\n  thread_safe = {}\n  inside = most = 0\n"
        "  def predict(self, p):\n    if p['instances'][0][0] == 9: barrier.wait(20)\n"
        "    A.inside += 1\n    A.most = max(A.most, A.inside)\n    import time; time.sleep(0.002)\n"
        "    A.inside -= 1\n    return [A.most]\n"
    )
    alone, safe = load(pack(model=source.format(False))), load(pack(model=source.format(True)))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: ask(alone, EXAMPLE)["predictions"][0], range(40))) == {1}
        # Two that wait for each other are only answered when they are both inside.
        together = list(pool.map(lambda _: ask(safe, '{"instances": [[9, 1]]}'), range(2)))
    assert len(together) == 2


def test_what_load_sets_is_called(pack: Pack) -> None:
    source = (
        "class A:\n  async def load(self):\n    self.predict = self.twice\n"
        "  def predict(self, p): raise NotImplementedError\n"
        "  async def twice(self, p): return [2 * p['instances'][0][0]]\n"
    )
    assert ask(load(pack(model=source)), '{"instances": [[4]]}') == {"predictions": [8]}


def test_a_signature_that_was_written_holds_requests_to_it(pack: Pack, tmp_path: Path) -> None:
    told, folder = tmp_path / "signature.json", tmp_path / "held"
    told.write_text('{"inputs": [{"name": "mass", "type": "number"}, {"name": "length", "type": "number"}]}')
    folder.mkdir()
    package.make(Wanted(MODELS / "scorer", signature=told), folder)
    model = load(folder)
    assert ask(model, {"instances": [{"mass": 1, "length": 1}]}) == {"predictions": [3]}
    with pytest.raises(InputError, match="column 'mass' takes a number, record 0 has 'heavy'"):
        ask(model, {"instances": [{"mass": "heavy", "length": 1}]})


def test_requirements_are_met_or_it_is_not_loaded(pack: Pack) -> None:
    folder = pack("scorer")
    manifest = json.loads((folder / "model.json").read_text())
    manifest["package"]["requirements"] = ["numpy<1", "no-such-package-anywhere", "msgspec"]
    (folder / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(OrchestratorError) as raised:
        load(folder)
    assert "numpy<1 is wanted" in raised.value.message
    assert "no-such-package-anywhere is not installed" in raised.value.message
    assert "msgspec" not in raised.value.message


def test_a_program_does_not_see_the_command_line(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["server", "--secret", "x"])
    # As kserve does at its import.
    source = "import argparse\nargparse.ArgumentParser().parse_args()\nclass A:\n  def predict(self, p): return [1]\n"
    assert ask(load(pack(model=source)), EXAMPLE) == {"predictions": [1]}
    assert sys.argv == ["server", "--secret", "x"]


@pytest.mark.parametrize(
    ("source", "said", "seconds"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "ended by SIGSEGV", 60),
        ("import os\nos._exit(3)\n", "exit code 3", 60),
        ("import time\ntime.sleep(600)\n", "not ready within 2 s", 2),
    ],
)
def test_a_program_that_ruins_its_process_ruins_that_of_the_check(
    pack: Pack, source: str, said: str, seconds: float
) -> None:
    folder = pack(model=source + "class A:\n  def predict(self, p): return [1]\n")
    with pytest.raises(OrchestratorError, match=said):
        check.run(folder, seconds=seconds)


def test_the_check_leaves_nothing_running(pack: Pack, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    source = (
        "import pathlib, subprocess, sys\nclass A:\n  def load(self):\n"
        "    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"    pathlib.Path({str(mark)!r}).write_text(str(other.pid))\n"
        "  def predict(self, p): return [1]\n"
    )
    found = check.run(pack(model=source))
    assert (found.answer, found.takes_tensors) == ('{"predictions":[1]}', True)
    state = Path("/proc") / mark.read_text() / "stat"
    deadline = time.monotonic() + 20
    # Whoever adopts orphans here may not look at once.
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_that_writes_into_its_folder_is_refused(pack: Pack) -> None:
    source = (
        "import pathlib\nclass A:\n  def load(self, folder): self.folder = pathlib.Path(folder)\n"
        "  def predict(self, p):\n    (self.folder / 'cache').write_text('x')\n    return [1]\n"
    )
    with pytest.raises(OrchestratorError, match="wrote into its own folder"):
        check.run(pack(model=source))
