"""What is asked of the server, as values: method, path, query and body of version v2beta1 of its API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import ir
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import CachingOptions, PipelineSpec

BASE = "/apis/v2beta1"
PAGE = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    what: str
    """In words, for errors: what it does."""
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    file: tuple[str, bytes, str] | None = None
    """Name, content and type of a file that is uploaded."""

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice comes to the same as doing it once."""
        return self.method in ("GET", "DELETE") or self.path.endswith((":terminate", ":enable", ":disable"))

    @property
    def content_type(self) -> str:
        """The type of what is sent."""
        return "multipart/form-data" if self.file else "application/json"

    def page(self, token: str) -> Call:
        """The same list from a page on."""
        return replace(self, query=(*self.query, ("page_token", token))) if token else self


def equal(key: str, value: str) -> str:
    """A filter, as the API wants it: JSON in the query."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "string_value": value}]})


def listed(kind: str, namespace: str, *more: tuple[str, str], name: str = "", path: str = "") -> Call:
    """The list of all of a kind, or of those of a name."""
    query = [("page_size", str(PAGE)), *more]
    if namespace:
        query.append(("namespace", namespace))
    if name:
        query.append(("filter", equal("display_name", name)))
    return Call(f"list {kind}", "GET", path or f"{BASE}/{kind}", tuple(query))


def pipelines(name: str, namespace: str) -> Call:
    """The pipelines of a name."""
    return listed("pipelines", namespace, name=name)


def create_pipeline(name: str, description: str, namespace: str) -> Call:
    """A pipeline without a version."""
    body = {"display_name": name, "description": description, "namespace": namespace}
    return Call(f"create the pipeline {name}", "POST", f"{BASE}/pipelines", body=_filled(body))


def versions(pipeline: str, name: str) -> Call:
    """The versions of a pipeline with a name."""
    return listed("pipeline versions", "", name=name, path=f"{BASE}/pipelines/{pipeline}/versions")


def upload_version(pipeline: str, name: str, text: str) -> Call:
    """A version of a pipeline from a specification."""
    query = (("name", name), ("pipelineid", pipeline))
    file = ("pipeline.yaml", text.encode("utf-8"), "application/yaml")
    return Call(f"upload the version {name}", "POST", f"{BASE}/pipelines/upload_version", query, file=file)


def experiments(name: str, namespace: str) -> Call:
    """The experiments of a name."""
    return listed("experiments", namespace, name=name)


def create_experiment(name: str, namespace: str) -> Call:
    """A group of runs."""
    body = {"display_name": name, "namespace": namespace}
    return Call(f"create the experiment {name}", "POST", f"{BASE}/experiments", body=_filled(body))


def runs(name: str, namespace: str) -> Call:
    """The runs of a name, oldest first."""
    return listed("runs", namespace, ("sort_by", "created_at asc"), name=name)


@dataclass(frozen=True, slots=True)
class Source:
    """What is run, and how: what a run and a recurring run have in common."""

    pipeline: str
    version: str
    experiment: str
    arguments: Mapping[str, Any]
    service_account: str = ""
    pipeline_root: str = ""

    def body(self) -> dict[str, Any]:
        """As the API says it."""
        runtime = {"parameters": dict(self.arguments), "pipeline_root": self.pipeline_root}
        return _filled(
            {
                "experiment_id": self.experiment,
                "pipeline_version_reference": {"pipeline_id": self.pipeline, "pipeline_version_id": self.version},
                "runtime_config": _filled(runtime),
                "service_account": self.service_account,
            }
        )


def create_run(name: str, source: Source) -> Call:
    """A run, which begins at once."""
    body = {"display_name": name, "description": description(name), **source.body()}
    return Call(f"start the run {name}", "POST", f"{BASE}/runs", body=body)


def description(name: str) -> str:
    """What a run of ours says of itself."""
    return f"orc run {name}"


def run(identity: str) -> Call:
    """A run, with its tasks where the server keeps them in it."""
    return Call(f"look at the run {identity}", "GET", f"{BASE}/runs/{identity}")


def tasks(identity: str) -> Call:
    """The tasks of a run, on a server that has given up ML Metadata."""
    path = f"{BASE}/runs/{identity}/tasks"
    return Call(f"list the tasks of the run {identity}", "GET", path, (("page_size", str(PAGE)),))


def terminate(identity: str) -> Call:
    """The end of a run."""
    return Call(f"end the run {identity}", "POST", f"{BASE}/runs/{identity}:terminate")


def retry(identity: str) -> Call:
    """A failed run goes on."""
    return Call(f"retry the run {identity}", "POST", f"{BASE}/runs/{identity}:retry")


def delete_run(identity: str) -> Call:
    """A run is forgotten."""
    return Call(f"delete the run {identity}", "DELETE", f"{BASE}/runs/{identity}")


def recurring_runs(namespace: str) -> Call:
    """The recurring runs of a namespace."""
    return listed("recurringruns", namespace)


def create_recurring_run(body: Mapping[str, Any]) -> Call:
    """A run by the clock."""
    return Call(f"schedule {body['display_name']}", "POST", f"{BASE}/recurringruns", body=body)


def recurring_run(identity: str, verb: str) -> Call:
    """A recurring run is enabled, disabled or deleted."""
    path = f"{BASE}/recurringruns/{identity}"
    if verb == "delete":
        return Call(f"delete the recurring run {identity}", "DELETE", path)
    return Call(f"{verb} the recurring run {identity}", "POST", f"{path}:{verb}")


def version_name(pipeline: PipelineSpec, platform: PlatformSpec) -> str:
    """The name of a version: equal content, equal name, in a form that Kubernetes takes for a name too."""
    content = ir.digest([ir.to_data(pipeline), ir.to_data(platform)])
    return f"{pipeline.pipeline_info.name[:80].rstrip('-.')}-{content[:12]}"


def uncached(pipeline: PipelineSpec) -> PipelineSpec:
    """The pipeline with the cache switched off for every task."""
    off = CachingOptions(enable_cache=False)

    def without(component: Any) -> Any:
        if component.dag is None:
            return component
        changed = {name: task.model_copy(update={"caching_options": off}) for name, task in component.dag.tasks.items()}
        return component.model_copy(update={"dag": component.dag.model_copy(update={"tasks": changed})})

    components = {name: without(component) for name, component in pipeline.components.items()}
    return pipeline.model_copy(update={"root": without(pipeline.root), "components": components})


def _filled(body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: a field that is left out is at its default."""
    return {name: value for name, value in body.items() if value not in ("", None, {})}
