"""Where to ask for a package that was not there when a program wanted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.runners.local import command, lacking

FUNCTION = (
    "sh",
    "-ec",
    (
        'program_path=$(mktemp -d)\n\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
        "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main"
        ' --component_module_path "$program_path/ephemeral_component.py" "$@"\n'
    ),
    "import pandas",
    "--executor_input",
    "{{$}}",
)
MODULE = ("python", "-m", "components.clean", "--x", "1")


def missing(name: str) -> str:
    return f"exit code 1: ModuleNotFoundError: No module named {name!r}"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "components" / "clean").mkdir(parents=True)
    (tmp_path / "mine.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("reason", "words", "expected"),
    [
        (missing("pandas"), FUNCTION, "add it to packages_to_install"),
        (missing("sklearn"), FUNCTION, "add the package scikit-learn to packages_to_install"),
        (missing("pandas"), MODULE, "add it to components/clean/requirements.txt"),
        (missing("pandas.frames"), MODULE, ""),
        (missing("mine"), MODULE, ""),
        (missing("components"), FUNCTION, ""),
        (missing("tkinter"), FUNCTION, ""),
        (missing("pandas"), ("python", "-m", "components.train"), ""),
        (missing("pandas"), ("python", "clean.py"), ""),
        (missing("pandas"), ("sh", "-c", "python -c 'import pandas'"), ""),
        (f"{missing('pandas')}, they say", MODULE, ""),
        ("exit code 1: No module named 'pandas'", MODULE, ""),
    ],
)
def test_advice(reason: str, words: tuple[str, ...], expected: str, code: Path) -> None:
    assert lacking.advice(reason, words, (code, command.BUILTIN)) == expected
