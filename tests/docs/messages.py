"""What our programs print: the texts of their code, open where something is filled in, and the goldens of the tests."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("orchestrator", "components")
TEXTS = ("manifests/cluster-up.sh", "helm/orchestrator/templates/_checks.tpl")
GOLDENS = ("tests/apply/**/*.txt", "tests/errors/*.yaml", "tests/helm/wrong/*.yaml", "tests/manifests/**/*.txt")
# A text of fewer letters, or of a smaller share of the line, stands in too many sentences to prove that one is ours.
_LETTERS = 6
_SHARE = 0.25
_HOLE = "\0"
_SPOKEN = re.compile(r"^ *(error|hint): ")
# Who says it, and of what: `Kubernetes: Deployment web in namespace dev: `.
_BEFORE = r"(?:(?:[^:]|\.\.\.)+: )*"


def is_printed(line: str) -> bool:
    """Whether some program of ours prints this line; `...` in it stands for anything."""
    text = _SPOKEN.sub("", line).strip()
    given = re.compile(".*?".join(map(re.escape, text.split("..."))))
    return (
        any(_is_most(pattern.fullmatch(text), letters) for pattern, letters in _patterns())
        or any(given.search(each) for each in _golden_lines())
        or any(text in each for each in _plain())
    )


def _is_most(found: re.Match[str] | None, letters: int) -> bool:
    return found is not None and letters >= _SHARE * _letters(found["said"])


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], int], ...]:
    """Each text as a pattern, and how many letters of it are always the same."""
    files = [file for top in CODE for file in sorted((ROOT / top).rglob("*.py"))]
    texts = {text for file in files for text in _texts(ast.parse(file.read_text(encoding="utf-8")))}
    return tuple(
        (re.compile(f"{_BEFORE}(?P<said>{'.*?'.join(map(re.escape, each.split(_HOLE)))})"), _letters(each))
        for each in sorted(texts)
    )


def _texts(tree: ast.AST) -> Iterator[str]:
    """Each line of the texts of the code, with holes where something is filled in."""
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        if not all(isinstance(each, ast.Constant | ast.FormattedValue) for each in parts):
            continue
        pieces = [each.value if isinstance(each, ast.Constant) else None for each in parts]
        if any(not isinstance(each, str | None) for each in pieces):
            continue
        for line in "".join(_HOLE if each is None else each for each in pieces).split("\n"):
            if _letters(line) >= _LETTERS:
                yield line.strip()


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


@functools.cache
def _golden_lines() -> tuple[str, ...]:
    files = sorted({file for pattern in GOLDENS for file in ROOT.glob(pattern)})
    return tuple(line for file in files for line in file.read_text(encoding="utf-8").splitlines())


@functools.cache
def _plain() -> tuple[str, ...]:
    """Lines of what is no Python; a text inside is printed as it is."""
    lines = [line for each in TEXTS for line in (ROOT / each).read_text(encoding="utf-8").splitlines()]
    return tuple(re.sub(r"\$CONTEXT", "kind-orchestrator", line) for line in lines)
