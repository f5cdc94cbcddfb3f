"""What a task is given: types, defaults, text, literals, imported files."""

from __future__ import annotations

import json

import pytest

from orchestrator.errors import NotFoundError, PipelineError
from orchestrator.runners.events import Status


@pytest.fixture
def shows(project):
    """A component that repeats its arguments, exactly as they were on its command line."""
    project.component(
        "show",
        "import json; put('out', json.dumps({k: v for k, v in a.items() if k != 'out'}))",
        {
            "text": {"type": "string", "default": "d"},
            "whole": {"type": "integer", "default": 7},
            "half": {"type": "number", "default": 0.5},
            "yes": {"type": "boolean", "default": True},
            "listed": {"type": "list", "default": [1, 2.5, "x"]},
            "mapped": {"type": "struct", "default": {"a": 1}},
            "maybe": {"type": "string", "optional": True},
            "data": {"type": "Dataset", "optional": True},
        },
        {"out": "struct"},
    )
    return project


def test_defaults_are_given_and_absent_optionals_are_left_out(shows):
    shows.pipeline("tasks: {a: {component: show}}\n")
    given = shows.run().value("a")
    assert given == {
        "text": "d",
        "whole": "7",
        "half": "0.5",
        "yes": "true",
        "listed": '[1, 2.5, "x"]',
        "mapped": '{"a": 1}',
    }


def test_whole_numbers_stay_whole_inside_lists_and_mappings(shows):
    shows.pipeline("""
parameters: {rates: [1, 2, 3], options: {default: {depth: 3, rate: 0.1, deep: [1, {n: 2}]}}}
tasks:
  a: {component: show, arguments: {listed: "${parameters.rates}", mapped: "${parameters.options}"}}
  b: {component: show, arguments: {listed: [4, "${parameters.rates}", 5], mapped: {inner: "${parameters.options}"}}}
  c: {component: gather, arguments: {items: "${parameters.rates}"}}
outputs: {rates: "${tasks.c.outputs.out}"}
""")
    ran = shows.run()
    assert ran.value("a")["listed"] == "[1, 2, 3]"
    assert json.loads(ran.value("a")["mapped"]) == {"depth": 3, "rate": 0.1, "deep": [1, {"n": 2}]}
    assert "1.0" not in ran.value("a")["mapped"]
    assert json.dumps(ran.outputs["rates"]) == "[1, 2, 3]"


def test_text_is_put_together_from_values_of_every_type(shows):
    shows.pipeline("""
parameters: {word: "it's {{$}}", n: 3, rate: 0.5, flag: true, listed: [1, a]}
tasks:
  a:
    component: echo
    arguments: {text: "${parameters.word}|${parameters.n}|${parameters.rate}|${parameters.flag}|${parameters.listed}"}
""")
    assert shows.run().value("a") == 'it\'s {{$}}|3|0.5|true|[1, "a"]'


def test_the_names_of_the_run_are_given(shows):
    shows.pipeline("""
tasks:
  a: {component: echo, arguments: {text: "${run.id} by ${run.task}"}}
  b: {component: echo, arguments: {text: "${run.id}"}}
""")
    ran = shows.run(run="monday")
    assert ran.value("a") == "monday by a"
    assert ran.value("b") == ran.end.run == "monday"


def test_text_that_looks_like_a_placeholder_is_text(shows):
    """What a task wrote is data: it must not be able to read what its consumer was given."""
    shows.component(
        "sly",
        "o = '{' + '{'; put('out', o + \"$.inputs.parameters['secret']}} \" + o + '$.pipeline_name}}')",
        {},
        {"out": "string"},
    )
    shows.component("two", "put('out', a['text'])", {"text": "string", "secret": "string"}, {"out": "string"})
    shows.pipeline("""
tasks:
  sly: {component: sly}
  two: {component: two, arguments: {text: "${tasks.sly.outputs.out}", secret: hush}}
  text: {component: echo, arguments: {text: "<${tasks.sly.outputs.out}>"}}
""")
    ran = shows.run()
    assert ran.value("two") == "{{$.inputs.parameters['secret']}} {{$.pipeline_name}}"
    assert ran.value("text") == "<{{$.inputs.parameters['secret']}} {{$.pipeline_name}}>"


def test_a_variable_of_the_user_is_not_rewritten(project, monkeypatch):
    monkeypatch.setenv("PROMPT_LIKE", "$(HOME)>")
    project.component(
        "see",
        "put('out', os.environ['PROMPT_LIKE'] + os.environ['OWN'])",
        {},
        {"out": "string"},
        env={"BASE": "b", "OWN": "$(BASE)/x"},
    )
    project.pipeline("tasks: {a: {component: see}}\n")
    assert project.run().value("a") == "$(HOME)>b/x"


def test_a_task_is_alone_in_a_folder_and_told_who_it_is(project):
    project.component(
        "where",
        "import json; open('scrap', 'w').write('x'); e = os.environ; put('out', json.dumps([sorted(os.listdir()),"
        " e['ORC_RUN'], e['ORC_TASK'], e['ORC_PIPELINE'], e['ORC_STATE'], e['DO_NOT_TRACK'], e['MLFLOW_TRACKING_URI'],"
        " e['MLFLOW_DISABLE_TELEMETRY'], e['GX_ANALYTICS_ENABLED']]))",
        {},
        {"out": "list"},
    )
    project.pipeline("tasks: {a: {component: where}, b: {component: where, after: [a]}}\n")
    ran = project.run(run="r", cache=False)
    state = str(project.settings.state)
    mlflow = project.settings.tracking_uri
    for task in "ab":
        assert ran.value(task) == [
            ["scrap"], "r", task, "demo", state, "true", mlflow, "true", "false"
        ]  # fmt: skip
    assert mlflow.startswith("sqlite:///")


class TestImports:
    PIPELINE = """
parameters: {source: data.csv}
tasks: {read: {component: read, arguments: {data: "${parameters.source}"}}}
"""

    def test_a_file_is_taken_from_where_it_lies(self, project):
        (project.folder / "data.csv").write_text("a,b")
        project.pipeline(self.PIPELINE)
        ran = project.run()
        assert ran.value("read") == "a,b"
        assert ran.tasks["read"].inputs.artifacts["data"][0].path == project.folder / "data.csv"
        assert (project.folder / "data.csv").stat().st_mode & 0o200

    def test_one_that_is_not_there_fails_in_words(self, project):
        project.pipeline(self.PIPELINE)
        try:
            ran = project.run()
        except (NotFoundError, PipelineError) as error:
            assert "data.csv" in str(error)  # noqa: PT017
        else:
            assert ran.status is Status.FAILED
            assert "data.csv" in ran.end.reason

    def test_one_that_changes_while_the_run_goes_on_is_noticed(self, project):
        project.component("change", "open(a['file'], 'w').write('new')", {"file": "string"})
        (project.folder / "data.csv").write_text("old")
        project.pipeline(f"""
parameters: {{source: data.csv}}
tasks:
  early: {{component: read, arguments: {{data: "${{parameters.source}}"}}}}
  change: {{component: change, after: [early], arguments: {{file: "{project.folder / "data.csv"}"}}}}
  late: {{component: read, after: [change], arguments: {{data: "${{parameters.source}}"}}}}
""")
        ran = project.run(cache=False)
        assert ran.value("early") == "old"
        assert ran.statuses["late"] == "FAILED"
        assert "changed" in ran.tasks["late"].reason

    def test_a_folder_and_a_name_with_spaces_and_unicode(self, project):
        folder = project.folder / "dätä set"
        folder.mkdir()
        (folder / "ein % stück.csv").write_text("ö")
        project.component("look", "put('out', ','.join(os.listdir(a['data'])))", {"data": "Dataset"}, {"out": "string"})
        project.pipeline("""
tasks:
  file: {component: read, arguments: {data: "dätä set/ein % stück.csv"}}
  folder: {component: look, arguments: {data: "dätä set"}}
""")
        ran = project.run()
        assert ran.value("file") == "ö"
        assert ran.value("folder") == "ein % stück.csv"

    def test_one_that_cannot_be_read_fails_in_words(self, project):
        (project.folder / "data.csv").symlink_to(project.folder / "gone")
        project.pipeline(self.PIPELINE)
        try:
            ran = project.run()
        except (NotFoundError, PipelineError) as error:
            assert "data.csv" in str(error)  # noqa: PT017
        else:
            assert ran.status is Status.FAILED


class TestArguments:
    PIPELINE = """
parameters: {n: {type: integer}, rate: 0.5, listed: [1], flag: false}
tasks: {a: {component: count, arguments: {value: "${parameters.n}"}}}
"""

    def test_every_mistake_is_told_at_once(self, project):
        project.pipeline(self.PIPELINE)
        with pytest.raises(PipelineError) as caught:
            project.run(n="x", rat="1", listed="{", flag="maybe")
        text = str(caught.value)
        assert "--arg n: expected a whole number, not 'x'" in text
        assert "no parameter 'rat'" in text
        assert "did you mean 'rate'?" in text
        assert "--arg listed" in text
        assert "--arg flag" in text

    @pytest.mark.parametrize("text", ["1.5", "true", "", "9" * 5000, "NaN", "1e400", "[" * 100_000])
    def test_what_is_no_whole_number_is_refused(self, project, text):
        project.pipeline(self.PIPELINE)
        with pytest.raises(PipelineError, match="expected a whole number"):
            project.run(n=text)

    def test_one_without_a_value_is_asked_for(self, project):
        project.pipeline(self.PIPELINE)
        with pytest.raises(PipelineError, match="--arg n=VALUE"):
            project.run()

    def test_a_whole_number_may_be_written_with_a_point(self, project):
        project.pipeline(self.PIPELINE)
        assert project.run(n="3.0").value("a") == 3


def test_an_artifact_a_program_forgot_is_told(project):
    told = "import json; json.dump({'artifacts': {n: {'artifacts': [{'name': n}]} for n in ('data', 'scores')}},"
    project.component(
        "forget",
        told + " open(json.loads(a['executor_input'])['outputs']['outputFile'], 'w'))",
        {},
        {"data": {"type": "Dataset"}, "scores": {"type": "Metrics"}},
        executorInput=True,
    )
    project.pipeline("tasks: {a: {component: forget}}\n")
    ran = project.run()
    assert ran.statuses == {"a": "SUCCEEDED"}
    assert ran.tasks["a"].warnings == ("its output 'data' holds nothing: the program wrote nothing to its path",)
