"""What KFP SDKs of all ages have a component install is recognised in what they compiled; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import ir
from orchestrator.environments.requirements import Install
from orchestrator.runners.local import bootstrap, command

COMPILED = sorted(Path(__file__).with_name("compiled").glob("*.yaml"))
OLDER = 'typing-extensions<5,>=3.7.4; python_version<"3.9"'
INDEX = "https://user:secret@index.example/simple"
MORE = "https://more.example/simple"
THREE = (
    "far @ https://example.com/far-1.0-py3-none-any.whl",
    'other[extra]<3,>=2; python_version>"3.8"',
    "tiny-thing==1.0",
)
NEEDS_PIP = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi
"""


def kfp(version: str, **options: object) -> Install:
    if version == "2.0.1":
        return Install(("kfp==2.0.1",), **options)  # type: ignore[arg-type]
    return Install((f"kfp=={version}", OLDER), bare=True, **options)  # type: ignore[arg-type]


@pytest.fixture(params=COMPILED, ids=lambda file: file.stem)
def compiled(request: pytest.FixtureRequest) -> tuple[str, dict[str, command.Program]]:
    """The programs of components that one SDK compiled, and its version."""
    spec, _ = ir.read(request.param)
    return request.param.stem.removeprefix("kfp-"), {
        label.removeprefix("exec-"): command.program((*each.container.command, *each.container.args))
        for label, each in spec.deployment_spec.executors.items()
        if each.container
    }


def test_every_sdk_is_recognised(compiled: tuple[str, dict[str, command.Program]]) -> None:
    version, programs = compiled
    index = {"index": INDEX, "indexes": (MORE,), "trusted": (INDEX, MORE)}
    expected = {"plain": (kfp(version),)}
    if version == "2.0.1":
        expected["packages"] = (Install(tuple(sorted((*THREE, "kfp==2.0.1"))), **index),)  # type: ignore[arg-type]
    else:
        # The SDK has installed the packages before itself since 2.14, and after itself before.
        both = (kfp(version, **index), Install(THREE, **index))  # type: ignore[arg-type]
        expected["packages"] = both if version in ("2.4.0", "2.8.0") else both[::-1]
        expected["own-kfp"] = (Install(("kfp==2.16.1", "tiny-thing")),)
    if "venv" in programs:
        expected["venv"] = (Install(("tiny-thing",)), kfp(version))
        expected["venv-alone"] = (kfp(version),)
        there = {"index": "http://index.example:8080/simple", "trusted": ("index.example:8080",)}
        expected["trusted"] = (Install(("tiny-thing",), **there), kfp(version, **there))  # type: ignore[arg-type]
    expected["source"] = (Install(("git+https://github.com/kubeflow/pipelines@master#subdirectory=sdk/python",)),)
    for name, installs in expected.items():
        assert programs[name].installs == installs, name


def test_the_function_becomes_a_program(compiled: tuple[str, dict[str, command.Program]]) -> None:
    version, programs = compiled
    for name, program in programs.items():
        assert program.words[:2] == ("--executor_input", "{{$}}")
        assert f"def {name.replace('-', '_')}(x: int) -> int:" in program.source
        assert program.function is not None
        old = version == "2.0.1"
        assert program.function.module == ("kfp.components.executor_main" if old else "kfp.dsl.executor_main")
        assert program.function.variables == ({} if old else {"_KFP_RUNTIME": "true"})


@pytest.mark.parametrize(
    "script",
    [
        'pip install six && "$0" "$@"',
        'python3 -m pip install six; rm -r x && "$0" "$@"',
        'python3 -m pip install six > log && "$0" "$@"',
        'python3 -m pip install six | tee log && "$0" "$@"',
        'python3 -m pip install "$PACKAGE" && "$0" "$@"',
        'python3 -m pip install `cat list` && "$0" "$@"',
        'python3 -m pip install -r requirements.txt && "$0" "$@"',
        'python3 -m pip install --target /x six && "$0" "$@"',
        'python3 -m pip install --index-url && "$0" "$@"',
        'python3 -m pip install \'six && "$0" "$@"',
        "python3 -m pip install six",
        'python3 -m pip uninstall six && "$0" "$@"',
        'if true; then python3 -m pip install six; fi && "$0" "$@"',
        "",
    ],
)
def test_another_script_is_not_taken_for_one_of_the_sdk(script: str) -> None:
    assert bootstrap.installs(script) is None
    assert bootstrap.installs(NEEDS_PIP + script) is None


def test_words_that_change_nothing_are_passed_over() -> None:
    script = (
        "PIP_X=1 python -m pip install -q --upgrade --no-cache-dir --pre -i=https://a/simple -f /wheels A.b six && "
    )
    assert bootstrap.installs(script + '"$0" "$@"') == (
        Install(("a-b", "six"), pre=True, index="https://a/simple", links=("/wheels",)),
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sh", "-c", "pip install six && python x.py"), True),
        (("/bin/bash", "-exc", "cd /x\npip3 install six\npython x.py"), True),
        (("sh", "-c", "python -m pip install six"), True),
        (("pip", "install", "six"), True),
        (("python", "-m", "pip", "install", "six"), True),
        (("python", "-c", "print('pip install six')"), False),
        (("sh", "-c", "echo pipeline install"), False),
        (("sh", "-c", "echo", "pip install six"), False),
        (("train",), False),
    ],
)
def test_tells_who_installs_by_itself(words: tuple[str, ...], expected: bool) -> None:
    assert bootstrap.installs_by_itself(words) is expected
