"""Loading: where components are found, what is read, and what the result does not depend on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import ir
from orchestrator.errors import PipelineError
from orchestrator.pipeline import find, load, schema

TESTS = Path(__file__).parent.parent
CORPUS = TESTS / "corpus"
COMPONENTS = CORPUS / "components"
SCHEMAS = TESTS.parent / "orchestrator" / "pipeline" / "schemas"
HEAVY = ("networkx", "pandas", "numpy", "sklearn", "mlflow", "kfp", "kubernetes", "tensorflow", "sqlalchemy", "rich")


def component(folder: Path, name: str, image: str) -> None:
    (folder / name).mkdir(parents=True)
    text = f"apiVersion: orchestrator/v1\nkind: Component\nmetadata: {{name: {name}}}\n"
    (folder / name / "component.yaml").write_text(
        f"{text}container: {{image: {image}, command: [x]}}\n", encoding="utf-8"
    )


def images(path: Path, *folders: Path) -> set[str]:
    executors = load.pipeline(path, folders).spec.deployment_spec.executors.values()
    return {each.container.image for each in executors if each.container}


def test_the_nearest_component_wins_and_dashes_are_underscores(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    path = tmp_path / "pipelines" / "one" / "pipeline.yaml"
    path.parent.mkdir(parents=True)
    head = "apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {name: x}\ntasks:\n"
    path.write_text(f"{head}  a: {{component: my-own}}\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="no component is named 'my-own'"):
        load.pipeline(path)
    component(tmp_path / "components", "my_own", "far")
    assert images(path) == {"far"}
    component(path.parent / "components", "my-own", "near")
    assert images(path) == {"near"}
    component(tmp_path / "given", "my-own", "given")
    assert images(path, tmp_path / "given") == {"given"}
    assert load.pipeline(path).code == (path.parent,)


def test_looks_no_further_than_the_project(tmp_path: Path) -> None:
    component(tmp_path / "components", "mine", "outside")
    project = tmp_path / "project"
    project.mkdir()
    (project / ".git").mkdir()
    places = list(find.places_of(project))
    assert places == [project / "components", find.BUILT_IN]


def test_the_ir_does_not_depend_on_where_the_files_lie(tmp_path: Path) -> None:
    here = load.pipeline(CORPUS / "beyond" / "pipeline.yaml", [COMPONENTS])
    shutil.copytree(CORPUS / "beyond", tmp_path / "elsewhere")
    there = load.pipeline(tmp_path / "elsewhere" / "pipeline.yaml", [COMPONENTS])
    assert (here.spec, here.platform, here.names) == (there.spec, there.platform, there.names)
    assert there.base == tmp_path / "elsewhere"


def test_the_ir_does_not_depend_on_hash_seeds_and_heavy_modules_stay_out() -> None:
    script = (
        "import sys; from pathlib import Path; from orchestrator import ir; from orchestrator.pipeline import load\n"
        "for path in sys.argv[2:]:\n"
        "    found = load.pipeline(Path(path), [Path(sys.argv[1])]); print(ir.dump(found.spec, found.platform))\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    cases = [str(path) for path in sorted(CORPUS.glob("*/pipeline.yaml"))]
    told = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script, str(COMPONENTS), *cases]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1


def test_equal_components_and_executors_appear_once(tmp_path: Path) -> None:
    tasks = "".join(f"  t{index}: {{component: say, arguments: {{text: a{index}}}}}\n" for index in range(50))
    path = tmp_path / "pipeline.yaml"
    head = "apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {name: x}\ntasks:\n"
    path.write_text(f"{head}{tasks}  big: {{component: say, arguments: {{text: a}}, resources: {{cpu: 8}}}}\n")
    compiled = load.pipeline(path, [COMPONENTS])
    assert {*compiled.spec.components} == {"comp-say", "comp-say-2"}
    assert {*compiled.spec.deployment_spec.executors} == {"exec-say", "exec-say-2"}


def test_names_lead_from_the_ir_back_to_the_file() -> None:
    compiled = load.pipeline(CORPUS / "beyond" / "pipeline.yaml", [COMPONENTS])
    assert compiled.names["load-data-2"] == "load_data"
    assert compiled.names["condition-2/say"] == "Say"
    assert compiled.names["part/fit"] == "fit"
    dag = compiled.spec.root.dag
    assert dag is not None
    assert dag.tasks["load-data-2"].task_info.name == "load_data"


@pytest.mark.parametrize("path", sorted(find.BUILT_IN.glob("*/component.yaml")), ids=lambda path: path.parent.name)
def test_every_built_in_component_is_sound(path: Path) -> None:
    found = load.component(path)
    assert found.name == path.parent.name
    assert found.description


@pytest.mark.parametrize("kind", schema.FILES)
def test_the_schemas_we_ship_are_current(kind: str, golden: object) -> None:
    assert callable(golden)
    golden(SCHEMAS / f"{kind}.schema.json", schema.dump(schema.FILES[kind]()))


def test_compiled_ir_is_loaded_from_what_is_dumped() -> None:
    compiled = load.pipeline(CORPUS / "platform" / "pipeline.yaml", [COMPONENTS])
    assert ir.load(ir.dump(compiled.spec, compiled.platform)) == (compiled.spec, compiled.platform)
