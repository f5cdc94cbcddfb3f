"""An evaluation as one page of HTML: numbers first, then pictures, then what the model is; no network needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np

from components.evaluate import classes, picture
from components.evaluate import curve as curves
from components.evaluate.classes import Answers
from components.evaluate.document import label
from components.evaluate.evaluate import Evaluation, Measured
from components.evaluate.style import STYLE

HEADLINES: Mapping[str, tuple[str, ...]] = {
    "classification": ("f1", "accuracy", "auc", "log_loss"),
    "regression": ("rmse", "mae", "r2", "mape"),
    "clustering": ("silhouette", "inertia", "clusters"),
}
# Metrics of which less is better; `clusters` and `mean_error` are neither.
LESS_IS_BETTER = frozenset({"log_loss", "mae", "mse", "rmse", "mape", "median_absolute_error", "max_error", "inertia"})
NEITHER = frozenset({"clusters", "mean_error"})
WORDS = {"auc": "AUC", "f1": "F1", "r2": "R²", "mae": "MAE", "mse": "MSE", "rmse": "RMSE", "mape": "MAPE"}


def page(evaluation: Evaluation) -> str:
    """The whole page."""
    manifest = evaluation.model.manifest
    title = f"Evaluation of {evaluation.target or manifest.algorithm}"
    sections = [
        _header(evaluation),
        _notes(evaluation.notes),
        _cards(evaluation),
        _comparison(evaluation),
        *_pictures(evaluation),
        _slices(evaluation),
        _facts(evaluation),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{''.join(sections)}</main></body></html>\n"
    )


def _header(evaluation: Evaluation) -> str:
    manifest = evaluation.model.manifest
    what: str = manifest.problem
    if manifest.classes:
        what += f" into {len(manifest.classes)} classes"
    facts = [manifest.algorithm.replace("_", " "), what, f"{evaluation.rows:,} rows"]
    if evaluation.dropped:
        facts.append(f"{evaluation.dropped:,} rows without a target left out")
    if evaluation.positive is not None:
        facts.append(f"positive is {label(evaluation.positive)} from probability {evaluation.threshold:g}")
    return (
        f'<header><p class="eyebrow">Evaluation</p><h1>{escape(evaluation.target or "clusters")}</h1>'
        f"<p>{escape(' · '.join(facts))}</p></header>"
    )


def _notes(notes: Iterable[str]) -> str:
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _cards(evaluation: Evaluation) -> str:
    measured, cards = evaluation.measured.metrics, []
    for name in HEADLINES[evaluation.problem]:
        value = measured.get(name, float("nan"))
        against = ""
        if evaluation.baseline is not None:
            before = evaluation.baseline.measured.metrics.get(name, float("nan"))
            against = f"<small>{_change(name, value - before)} against {_number(before)}</small>"
        cards.append(f'<div class="card"><p>{_word(name)}</p><b>{_number(value)}</b>{against}</div>')
    return f'<section class="cards">{"".join(cards)}</section>'


def _comparison(evaluation: Evaluation) -> str:
    baseline = evaluation.baseline
    if baseline is None:
        items = [
            f"<li>{_word(name)}<b>{_number(value)}</b></li>" for name, value in evaluation.measured.metrics.items()
        ]
        return _section("All metrics", f'<ul class="metrics">{"".join(items)}</ul>')
    rows = []
    for name, value in evaluation.measured.metrics.items():
        before = baseline.measured.metrics.get(name, float("nan"))
        cells = [_number(value), _number(before), _change(name, value - before)]
        rows.append(f"<tr><th>{_word(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = ["Metric", "Candidate", f"{baseline.name} version {baseline.version}", "Change"]
    return _section("Candidate and champion, on the same rows", _table(heads, rows))


def _pictures(evaluation: Evaluation) -> list[str]:
    measured, baseline = evaluation.measured, evaluation.baseline
    champion = baseline.measured if baseline is not None else None
    if measured.answers is not None and not measured.answers.broken:
        return _classification(measured.answers, champion.answers if champion else None)
    if measured.truth is not None and measured.predicted is not None and np.isfinite(measured.predicted).all():
        return [_grid(_regression(measured, "")), *([_grid(_regression(champion, "Champion: "))] if champion else [])]
    if evaluation.problem == "clustering" and measured.predicted is not None:
        known, counts = np.unique(measured.predicted, return_counts=True)
        shares = counts / counts.sum()
        drawn = picture.bars([f"cluster {each}" for each in known], [("share of the rows", shares)])
        return [_grid([_figure("Size of each cluster", drawn)])]
    return []


def _classification(answers: Answers, champion: Answers | None) -> list[str]:
    names = [label(each) for each in answers.labels]
    matrix = classes.confusion(answers)
    figures = [_figure("Confusion matrix", picture.confusion(names, matrix))]
    compared = champion is not None and not champion.broken
    if champion is not None and compared:
        theirs = [label(each) for each in champion.labels]
        figures.append(
            _figure("Confusion matrix of the champion", picture.confusion(theirs, classes.confusion(champion)))
        )
    roc, recall = _lines(answers, champion if compared else None)
    figures.append(_figure("ROC", picture.plot(roc, x="false positive rate", y="recall", diagonal=True)))
    figures.append(_figure("Precision and recall", picture.plot(recall, x="recall", y="precision")))
    each = classes.per_class(matrix)
    if len(names) <= picture.MAX_CLASSES:
        series = [("precision", each.precision), ("recall", each.recall), ("F1", each.f1)]
        figures.append(_figure("Each class", picture.bars(names, series)))
    return [_grid(figures)]


def _lines(answers: Answers, champion: Answers | None) -> tuple[list[picture.Line], list[picture.Line]]:
    """The curves of the candidate, of its classes where there is room for them, and of the champion."""
    found: list[tuple[str, curves.Curve, str]] = []
    several = answers.positive is None
    found.append(("all classes" if several else "candidate", classes.whole_curve(answers), "s0"))
    singles = classes.label_curves(answers)
    if several and len(singles) < picture.SERIES:
        found += [(label(name), each, f"s{place + 1}") for place, (name, each) in enumerate(singles)]
    if champion is not None:
        found.append(("champion", classes.whole_curve(champion), "baseline"))
    usable = [(name, curves.thinned(each), kind) for name, each, kind in found if each.positives and each.negatives]
    roc = [
        picture.Line(f"{name} {curves.area(each):.3f}", each.false_positive_rate, each.recall, kind)
        for (name, _, kind), (_, each, _) in zip(usable, usable, strict=True)
    ]
    recall = []
    for name, each, kind in usable:
        # Beyond the point where everything is found, lower thresholds only add false alarms.
        end = int(np.argmax(each.recall >= 1)) + 1
        recall.append(picture.Line(name, each.recall[:end], each.precision[:end], kind))
    return roc, recall


def _regression(measured: Measured, who: str) -> list[str]:
    if measured.truth is None or measured.predicted is None:
        return []
    error = measured.predicted - measured.truth
    return [
        _figure(f"{who}Predicted and actual", picture.scatter(measured.truth, measured.predicted)),
        _figure(f"{who}Error (predicted less actual)", picture.histogram(error, x="error")),
    ]


def _slices(evaluation: Evaluation) -> str:
    if not evaluation.slices:
        return ""
    shown = HEADLINES[evaluation.problem]
    rows = []
    for each in evaluation.slices:
        where = ", ".join(f"{name} = {_value(value)}" for name, value in each.where.items())
        cells = "".join(f"<td>{_cell(each.metrics.get(name, float('nan')))}</td>" for name in shown)
        rows.append(f"<tr><th>{escape(where)}</th><td>{each.rows:,}</td>{cells}</tr>")
    return _section("Slices", _table(["Slice", "Rows", *(_word(name) for name in shown)], rows))


def _facts(evaluation: Evaluation) -> str:
    manifest = evaluation.model.manifest
    training = manifest.training
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    chosen = ", ".join(f"{name} = {value}" for name, value in training.hyperparameters.items()) or "defaults"
    inputs = ", ".join(f"{column.name} ({column.type})" for column in manifest.signature.inputs)
    facts = {
        "Algorithm": manifest.algorithm,
        "Hyperparameters": chosen,
        "Seed": str(training.seed),
        "Trained on": f"{training.rows:,} rows, digest {training.digest[:19] or 'unknown'}",
        "Columns": inputs,
        "Features": str(len(training.features)),
        "Made with": versions,
    }
    rows = [f"<tr><th>{name}</th><td class='text'>{escape(value)}</td></tr>" for name, value in facts.items()]
    return _section("The model", _table([], rows))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _grid(figures: Iterable[str]) -> str:
    return f'<section class="grid2">{"".join(figures)}</section>'


def _figure(title: str, body: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{body}</figure>"


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    names = "".join(f"<th>{escape(each)}</th>" for each in heads)
    head = f"<thead><tr>{names}</tr></thead>" if names else ""
    return f'<div class="wide"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _word(name: str) -> str:
    if name in WORDS:
        return WORDS[name]
    words = escape(name.replace("_", " "))
    return (words[:1].upper() + words[1:]).replace(" f1", " F1")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.2f}"


def _cell(value: float) -> str:
    """A slice often lacks one of the classes, and then some metrics have no meaning: that is no alarm."""
    return _number(value) if math.isfinite(value) else '<span class="same" title="not defined here">n/a</span>'


def _change(name: str, difference: float) -> str:
    if not math.isfinite(difference):
        return '<span class="same">unknown</span>'
    if abs(difference) < 5e-5 or name in NEITHER:
        return f'<span class="same">{"±0" if abs(difference) < 5e-5 else f"{difference:+.4g}"}</span>'
    better = (difference < 0) == (name in LESS_IS_BETTER)
    text = f"{difference:+,.4f}" if abs(difference) < 1000 else f"{difference:+,.0f}"
    return f'<span class="{"better" if better else "worse"}">{"▲" if difference > 0 else "▼"} {text}</span>'


def _value(value: Any) -> str:
    return "missing" if value is None else label(value)
