"""Why a pod failed, in one line: of what its log and the workflow engine say, the part that is about the task.

A pod's log is that of the program with what KFP's launcher and Argo's executor write around it; where the program never
began, theirs is all there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 300
_ERROR = "error: "
"""What a line begins with in which a program of ours says why it gave up."""
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit)\b")
"""What the last line of a traceback of Python begins with; what was printed before may be written after it."""
_KLOG = re.compile(r"^[IWEF]\d{4} \S+ +\d+ \S+?:\d+\] ?")
_FATAL = re.compile(r"^F\d{4} ")
_ARGO = re.compile(r"^time=\S+ level=|^Error: exit status \d+$|^(goroutine \d+ \[|exit status \d+$)")
_CALL = re.compile(r"^KFP driver: driver\.\w+\(.*?\) failed: ")
_LAUNCHER = re.compile(r"^failed to execute component: ")
_EXIT = re.compile(r"^exit status \d+$")
_CONTAINER = re.compile(r"^(?:main|wait): ")
_EMPTY = re.compile(r"^(?:Error \(exit code \d+\)|No more retries left|omitted: .*|child '.*' failed|)$")
_ENDED = re.compile(r"^container main ended with code \d+$")


def of_log(lines: Iterable[str]) -> str:
    """What a log says of why its pod failed; "" when it says nothing."""
    listed = [line.rstrip() for line in lines]
    told = [line.removeprefix(_ERROR) for line in listed if line.startswith(_ERROR)]
    if told:
        return told[0] + (f" (and {len(told) - 1} more)" if len(told) > 1 else "")
    panic = next((line for line in listed if line.startswith("panic: ")), "")
    if panic:
        return panic[:_LONGEST]
    said = [line.strip() for line in listed if _is_said(line)]
    last = next((line for line in reversed(said) if _RAISED.match(line)), said[-1] if said else "")
    fatal = next((_KLOG.sub("", line) for line in reversed(listed) if _FATAL.match(line)), "")
    if _CALL.match(fatal):
        return _CALL.sub("", fatal)[:_LONGEST]
    inner = _LAUNCHER.sub("", fatal)
    return (last if not inner or (_EXIT.match(inner) and last) else inner)[:_LONGEST]


def of_message(message: str) -> str:
    """What the workflow engine says of a pod; "" when it is only that it failed."""
    text = _CONTAINER.sub("", " ".join(message.split()))
    return "" if _EMPTY.match(text) else text[:_LONGEST]


def of_pod(told: str) -> str:
    """The first line of what the cluster says of a pod; "" when it is only that its program failed."""
    first = told.strip().partition("\n")[0]
    return "" if _ENDED.match(first) else first


def _is_said(line: str) -> bool:
    """Whether a line is the program's own, and not of what is around it or for a machine."""
    return bool(line.strip()) and not (_KLOG.match(line) or _ARGO.match(line) or line.startswith("::"))
