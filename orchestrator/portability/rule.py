"""The table of what a target does not do as the specification says: what is looked for, since when, and what to do.

The facts are read in the source of Kubeflow Pipelines at the tags of its releases; `until` names the first that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.portability import asked, exits, loops, shapes, words
from orchestrator.portability.subject import Found, Subject
from orchestrator.portability.target import Target, Version


class Severity(StrEnum):
    """What becomes of it."""

    FAILS = "fails"
    """The pipeline is refused, or a task fails."""
    DIFFERS = "differs"
    """It runs, and comes to something else."""
    IGNORED = "ignored"
    """It runs as if that had not been said."""


CLUSTER, LOCAL = "Kubeflow Pipelines", "this machine"


@dataclass(frozen=True, slots=True)
class Rule:
    """One fact about one or both kinds of target."""

    name: str
    severity: Severity
    find: Callable[[Subject], Iterator[Found]]
    what: str
    """A sentence without its end; `{}` is the detail that was found."""
    do: str
    on: tuple[str, ...] = (CLUSTER,)
    until: Version | None = None
    """The first version of Kubeflow Pipelines for which this is no longer so."""
    since: Version | None = None
    """The first version for which it is so."""

    def holds(self, target: Target) -> bool:
        """Whether this is so on a target."""
        if target.version is None:
            return LOCAL in self.on
        late = self.until is not None and target.version >= self.until
        early = self.since is not None and target.version < self.since
        return CLUSTER in self.on and not late and not early


_FAILS, _DIFFERS, _IGNORED = Severity.FAILS, Severity.DIFFERS, Severity.IGNORED
_HERE = (LOCAL,)
_BOTH = (CLUSTER, LOCAL)
_AS_INPUT = "give it to the component as an input, as a value of its own"

RULES: tuple[Rule, ...] = (
    Rule("artifact-iterator", _FAILS, shapes.artifact_iterator, "a loop over a list of artifacts is refused",
         "loop over a parameter, and pick the artifact inside the task"),
    Rule("lost-item", _FAILS, loops.lost_items,
         "the KFP SDK does not hand {} on to where it is used, and the task fails",
         "give it to a task as the whole of an argument, or make what is inside the loop a pipeline of its own"),
    Rule("item-name", _DIFFERS, loops.item_name,
         "the text {!r} is given: in the KFP DSL `item.name` is what the loop's variable is called, and no field",
         "call the field otherwise", _BOTH),
    Rule("large-number", _DIFFERS, loops.large_numbers, "{} loses its last digits: numbers are exact up to 2^53",
         "give it as text"),
    Rule("importer-condition", _FAILS, shapes.importer_condition, "an importer with a condition is refused",
         "put the condition on a group around it"),
    Rule("root-artifact", _FAILS, shapes.root_artifacts, "the pipeline takes the artifact {!r}, and is refused",
         "take its URI as a text parameter and import it in the pipeline"),
    Rule("resolver", _FAILS, shapes.executor("resolver"), "a resolver runs only on Vertex AI",
         "look the artifact up in a component of your own", _BOTH),
    Rule("custom-job", _FAILS, shapes.executor("custom_job"), "a custom job runs only on Vertex AI",
         "say the same as a container", _BOTH),
    Rule("condition-quotes", _FAILS, shapes.broken_condition, "the condition {} cannot be read: its quotes do not pair",
         "compare with a text that has no quote in it, or write the pipeline as YAML, which escapes it", _BOTH),
    Rule("condition-on-artifact", _FAILS, shapes.indexed_condition,
         "the condition {} picks an artifact by its number, which the server cannot evaluate",
         "give the value as an output parameter and compare that"),
    Rule("concat", _FAILS, words.concat, "Concat is not put together: the task is handed the text of it",
         "put the parts together in the program"),
    Rule("if-present", _FAILS, words.if_present, "IfPresent is not resolved: the task is handed the text of it",
         "use version 2.17, or a component whose arguments do not ask for {!r}", until=(2, 17)),
    Rule("if-present-artifact", _DIFFERS, words.if_present_artifact,
         "IfPresent never takes an artifact to be there: the task is not given {!r}",
         "give the path always, and let the program see whether there is a file", since=(2, 17)),
    Rule("if-present-output", _FAILS, words.if_present_output,
         "IfPresent for {!r} holds the place of an output, and is not resolved: the task is handed the text of it",
         "give the place always", since=(2, 17)),
    Rule("default-in-words", _FAILS, words.defaults,
         "the component's own default of {!r} is not filled in where a word of the program names it",
         "give the task the value, the same as the default", since=(2, 17)),
    Rule("artifact-metadata", _FAILS,
         words.placeholder(r"\{\{\$\.(?:in|out)puts\.artifacts\['[^']+'\]\.(?:metadata|properties|name)[^}]*\}\}"),
         "{} is not filled in", "give the value as an output parameter"),
    Rule("artifact-whole", _FAILS, words.placeholder(r"\{\{\$\.(?:in|out)puts\.artifacts\['[^']+'\]\}\}"),
         "{} is not filled in", "read the artifacts from {{$}}, the whole of the task's input"),
    Rule("list-first", _DIFFERS, words.list_paths, "of the list {!r} only the first artifact's path is given",
         "read the artifacts from {{$}}, the whole of the task's input"),
    Rule("names-in-text", _DIFFERS, words.names_in_text, "{} inside a longer text is not filled in", _AS_INPUT),
    Rule("run-times", _DIFFERS, words.times, "{} is not filled in", "use version 2.16", until=(2, 16)),
    Rule("pipeline-root", _DIFFERS, words.constant(r"\{\{\$\.pipeline_root\}\}"), "{} is not filled in",
         "take the folder as a parameter"),
    Rule("output-file", _FAILS, words.placeholder(r"\{\{\$\.(?:outputs\.output_file|outputMetadataUri)\}\}"),
         "{} is not filled in", "read the path from {{$}}, the whole of the task's input"),
    Rule("json-escape", _FAILS, words.constant(r"\{\{\$[^}]*json_escape\[\d\]\}\}"),
         "{} is filled in only on Vertex AI", "escape the value in the program"),
    Rule("final-status", _DIFFERS, shapes.final_status,
         "{!r} says COMPLETE where others say SUCCEEDED, and never what the error was",
         "take both words for success, and look for the error in the log"),
    Rule("exit-alone", _IGNORED, exits.never,
         "a task that runs whatever came before, and waits for nothing, never runs", "let it wait for a task"),
    Rule("exit-several", _DIFFERS, exits.several, "it runs once after each of the {} tasks it waits for",
         "put those in a group, and let it wait for that"),
    Rule("exit-shadowed", _DIFFERS, exits.shadowed,
         "another task that runs whatever came before waits for {!r}, too: only that one runs",
         "make one task of both, or let this one wait for another"),
    Rule("nested-collected", _DIFFERS, shapes.nested_collected,
         "what loops within loops give comes out as one flat list",
         "give one list an inner loop, as an output of a task after it"),
    Rule("cache-key", _IGNORED, shapes.cache_key, "the cache key of its own is not looked at",
         "nothing: the key of the server covers inputs, image and command", until=(2, 18)),
    Rule("cache-ttl", _IGNORED, asked.cache_ttl, "a result never grows too old to be used again",
         "turn the cache off for this task, or give it today's date as an input"),
    Rule("literals", _IGNORED, shapes.literals, "the parameter {!r} takes any value of its type",
         "check it in a component", until=(2, 16)),
    Rule("lifecycle", _IGNORED, asked.lifecycle, "the check before the cache is asked is not made",
         "make it a task of its own", _BOTH),
    Rule("lifetime", _IGNORED, asked.lifetime, "runs that are over are kept", "delete old workflows yourself",
         until=(2, 17)),
    Rule("deadline", _IGNORED, asked.deadline, "the run as a whole has no deadline", "give each task a timeout",
         until=(2, 17)),
    Rule("payload", _DIFFERS, shapes.payload,
         "the defaults of the parameters are {} bytes; as arguments of a run the server may refuse more than 10,000",
         "put large values in a file, and import it"),
    Rule("large", _FAILS, shapes.large,
         "it makes a workflow of about {} MiB, and Kubernetes takes 1.5 MiB", "split the pipeline in two"),
    Rule("long-names", _FAILS, shapes.long_names, "{}, and at most 128 are taken", "choose a shorter name"),
    Rule("long-labels", _FAILS, shapes.long_labels, "the label {!r} is longer than 63 letters, and the pod is refused",
         "choose a shorter one"),
    Rule("spot", _IGNORED, asked.spot, "no machine here is taken away", "nothing", _HERE),
    Rule("priority", _IGNORED, asked.priority, "a pod has only a label that names its priority class",
         "set admission.enabled in our Helm chart, which makes the class of the label"),
    Rule("priority-here", _IGNORED, asked.priority, "no task comes before another", "nothing", _HERE),
    Rule("volume-names", _FAILS, asked.volume_names,
         "the volume in the pod is called {!r}, which two are or no volume can be, and the pod is refused",
         "give the claim, secret or config map a name of its own, of at most 63 lower case letters, digits and '-'"),
    Rule("sub-path", _IGNORED, asked.sub_path, "the whole volume is mounted, not a part of it",
         "give the program the path of the part", until=(2, 16)),
    Rule("security-context", _IGNORED, asked.user,
         "the task runs as the user of its image", "set the user in the image", until=(2, 16)),
    Rule("init-containers", _IGNORED, asked.sidecars, "init containers do not run",
         "do in the task what they would do", until=(2, 18)),
    Rule("pod-affinity", _IGNORED, asked.kubernetes("pod_affinity", "podAffinity", "placement"),
         "the placement beside other pods is not looked at", "place by the labels of machines"),
    Rule("shared-memory", _IGNORED, asked.kubernetes("enabled_shared_memory", "enabledSharedMemory", "volumes"),
         "shared memory keeps its size", "mount an emptyDir with medium Memory at /dev/shm"),
    Rule("resource-claims", _IGNORED, asked.kubernetes("pod_resource_claims", "podResourceClaims", "resources"),
         "no device is claimed", "ask for an accelerator", _BOTH),
    Rule("placement", _IGNORED, asked.placement, "every task runs on this machine", "nothing", _HERE),
    Rule("accelerators", _IGNORED, asked.accelerators, "the task sees what this machine has",
         "nothing, or --containers", _HERE),
    Rule("limits", _IGNORED, asked.limits, "a task may take more CPU and memory than its limit",
         "lower --workers, or --containers", _HERE),
    Rule("user", _IGNORED, asked.user,
         "the task runs as you", "--containers", _HERE),
    Rule("lifetime-here", _IGNORED, asked.lifetime, "runs that are over are kept", "orc gc", _HERE),
    Rule("pods", _IGNORED, asked.sidecars, "containers before or beside the task's own do not run",
         "do in the task what they would do", _HERE),
    Rule("volume-sizes", _IGNORED, asked.sizes, "a volume may grow beyond its size", "--containers", _HERE),
    Rule("mounts", _DIFFERS, asked.mounts, "no word of the task names {}, where here there is no such folder",
         "give the path to the program as an argument, or --containers", _HERE),
)  # fmt: skip
