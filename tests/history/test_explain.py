"""Why a task ran or did not have to, told after real runs; and each difference of a key in words."""

from __future__ import annotations

import contextlib

import pytest

from orchestrator.history import explain, parts
from orchestrator.history.parts import Change
from orchestrator.runners.local import cache
from orchestrator.stores.artifacts import Artifact, Values
from orchestrator.stores.records import CacheEntry


@pytest.fixture
def chain(project):
    """Write, then read with a number."""
    project.component("make", "put('out', a['text'])", {"text": "string"}, {"out": "Dataset"})
    project.component(
        "take",
        "put('out', open(a['data']).read() * int(a['n']))",
        {"data": "Dataset", "n": {"type": "integer", "default": 1}},
        {"out": "string"},
    )
    project.pipeline("""
parameters: {word: hello, n: 1}
tasks:
  make: {component: make, arguments: {text: "${parameters.word}"}}
  take: {component: take, arguments: {data: "${tasks.make.outputs.out}", n: "${parameters.n}"}}
""")
    return project


def told(project, task, run="last"):
    with contextlib.closing(project.metadata()) as metadata:
        tasks = metadata.tasks(metadata.run(run).id)
        chosen = next(each for each in tasks if each.name == task)
        return explain.explain(chosen, tasks, metadata.alike)


def said(project, task, run="last"):
    found = told(project, task, run)
    return found.verdict, *found.reasons


def test_a_hit_says_from_where_and_a_first_run_that_it_is_one(chain):
    chain.run(run="one")
    assert said(chain, "take") == ("missed", "no earlier run of it ended well")
    chain.run(run="two")
    found = told(chain, "take")
    assert (found.verdict, found.reasons) == ("hit", ("everything is as it was in run one",))
    assert (found.compared.run, found.compared.path) == ("one", "take")


def test_a_parameter_and_what_it_changes_downstream(chain):
    chain.run(run="one")
    chain.run(run="two", n=3)
    assert said(chain, "take") == ("missed", "parameter 'n' was 1, is 3")
    assert told(chain, "take").compared.run == "one"
    chain.run(run="three", word="bye")
    verdict, reason = said(chain, "take")
    assert verdict == "missed"
    assert reason.startswith("input artifact 'data' changed: ")
    assert reason.endswith("(made by task make of run three, which ran because parameter 'text' was hello, is bye)")


def test_the_nearest_earlier_run_is_compared_with_not_the_latest(chain):
    chain.run(run="near", n=3)
    chain.run(run="far", word="bye", n=7)
    chain.run(run="now", n=4)
    found = told(chain, "take")
    assert (found.compared.run, found.reasons) == ("near", ("parameter 'n' was 3, is 4",))


def test_an_input_from_the_cache_is_no_cause_but_a_source(chain):
    chain.run(run="one")
    chain.run(run="two", word="bye")
    chain.run(run="three", n=2)
    assert said(chain, "take") == ("missed", "parameter 'n' was 1, is 2")
    chain.component("take", "put('out', 'other')", {"data": "Dataset", "n": "integer"}, {"out": "string"})
    chain.run(run="four")
    verdict, *reasons = said(chain, "take")
    assert verdict == "missed"
    assert "the command line changed" in reasons
    assert "the declaration of the component's inputs changed" in reasons


def test_the_cache_off_for_a_run_or_for_a_task(chain):
    chain.run(run="one")
    chain.run(run="two", cache=False)
    assert said(chain, "make") == ("missed", "the cache was off: --no-cache")
    chain.pipeline("tasks:\n  make: {component: make, cache: false, arguments: {text: x}}\n")
    chain.run(run="three")
    assert said(chain, "make") == ("not cached", "the pipeline says that it is not cached")


def test_an_artifact_that_was_changed_or_removed(chain):
    kept = chain.run(run="one").tasks["make"].outputs.artifacts["out"][0].path
    kept.unlink()
    chain.run(run="two")
    assert said(chain, "make") == ("missed", f"an artifact of run one was changed or removed: {kept}")
    # What was made again is the same, and so is everything after it.
    assert said(chain, "take")[0] == "hit"


def test_a_time_to_live_that_is_over():
    entry = CacheEntry("one", "a", Values(artifacts={"d": (Artifact("d", "t", "file:///d"),)}), 0.0)
    assert cache.refusal(entry, 7 * 86400.0, 6 * 86400.0, lambda _: True) == ""
    assert cache.refusal(entry, 7 * 86400.0, 9.5 * 86400.0, lambda _: True) == (
        "the entry of run one was 9.5d old, its time to live is 7d"
    )
    assert cache.refusal(entry, 0.0, 1e9, lambda _: True) == ""


def test_an_entry_that_was_forgotten(chain):
    chain.run(run="one")
    with contextlib.closing(chain.metadata()) as metadata:
        metadata.forget(*(entry.key for entry in metadata.entries()))
    chain.run(run="two")
    assert said(chain, "make") == (
        "missed", "run one had the same key, but its entry was removed by then, or not yet there",
    )  # fmt: skip


def test_what_did_not_run(project):
    project.pipeline("""
parameters: {go: false}
tasks:
  no: {component: mark, when: "${parameters.go}", arguments: {text: a}}
  bad: {component: fail}
  after: {component: mark, after: [bad], arguments: {text: b}}
""")
    project.run()
    assert said(project, "no")[0] == "did not run"
    assert said(project, "after")[0] == "did not run"
    assert said(project, "bad") == ("missed", "no earlier run of it ended well")


def test_the_code_of_a_package_by_file(project):
    package = project.folder / "components" / "mine"
    package.mkdir(parents=True)
    (package / "component.yaml").write_text(
        "apiVersion: orchestrator/v1\nkind: Component\nmetadata: {name: mine}\noutputs: {out: {type: string}}\n"
        "container: {image: a, command: [python, -m, components.mine]}\n"
    )
    (package / "__main__.py").write_text(
        "import sys\nfrom components.mine import word\nopen(sys.argv[2], 'w').write(word.WORD)\n"
    )
    (package / "word.py").write_text("WORD = 'one'\n")
    project.pipeline("tasks: {mine: {component: mine}}\n")
    project.run(run="one")
    (package / "word.py").write_text("WORD = 'two, longer'\n")
    (package / "other.py").write_text("")
    project.run(run="two")
    verdict, reason = said(project, "mine")
    assert verdict == "missed"
    assert reason == "the code of components.mine changed: other.py (new), word.py"
    (package / "component.yaml").write_text((package / "component.yaml").read_text().replace("image: a", "image: b"))
    project.run(run="three")
    assert "the image was a, is b" in said(project, "mine")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (Change("parameter n", "100", "150"), "parameter 'n' was 100, is 150"),
        (Change("parameter n", '"1"', "1"), "parameter 'n' was \"1\", is 1"),
        (Change("parameter n", None, '"a b"'), "parameter 'n' is new: a b"),
        (Change("parameter n", "[1]", None), "parameter 'n' is gone, it was [1]"),
        (Change("parameter n", "sha256:1", "sha256:2"), "parameter 'n' changed"),
        (Change("parameter n", '""', '"\\n"'), 'parameter \'n\' was "", is "\\n"'),
        (
            Change("parameter m", '["p@champion","aaaaaaaaaaaaaaaa"]', '["p@champion","bbbbbbbbbbbbbbbb"]'),
            "parameter 'm': p@champion pointed to aaaaaaaaaaaa, points to bbbbbbbbbbbb",
        ),
        (Change("variable LEVEL", '"1"', '"2"'), "variable 'LEVEL' was 1, is 2"),
        (Change("image", "a", "b"), "the image was a, is b"),
        (Change("command", '["a"]', '["b"]'), "the command line changed"),
        (Change("orc", "0.1.0", "0.2.0"), "the version of orc was 0.1.0, is 0.2.0"),
        (Change("artifact d", "a" * 64, "b" * 64), "input artifact 'd' changed: aaaaaaaaaaaa -> bbbbbbbbbbbb"),
        (Change("artifact d", "a b", "a b c"), "input 'd' had 2 artifacts, has 3"),
        (Change("artifact d", "a b", "a c"), "of the 2 artifacts of input 'd', 1 changed"),
        (Change("artifact d", None, "a"), "input artifact 'd' is new"),
        (Change("about d", "x", "y"), "input artifact 'd' has another type or other metadata"),
        (Change("file a.b/c/d.py", "1", None), "the code of a.b changed: c/d.py (gone)"),
        (Change("packages", "1", "2"), "packages was 1, is 2"),
    ],
    ids=lambda value: value.part if isinstance(value, Change) else "",
)
def test_a_change_in_words(change, sentence):
    assert list(parts.sentences((change,), {})) == [sentence]


def test_equal_keys_have_equal_parts_and_only_those(chain):
    one, two = chain.run(run="one"), chain.run(run="two", cache=False)
    for name in ("make", "take"):
        assert one.tasks[name].cache_key == two.tasks[name].cache_key == cache.of(one.tasks[name].key_parts).text
        assert one.tasks[name].key_parts == two.tasks[name].key_parts
    assert chain.run(n=5).tasks["take"].cache_key != one.tasks["take"].cache_key
