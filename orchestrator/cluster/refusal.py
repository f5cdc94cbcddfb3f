"""What the API server refuses, in one sentence and a hint: pure, from the status it answers with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.cluster.objects import Ref
from orchestrator.errors import BackendError, did_you_mean

if TYPE_CHECKING:
    from orchestrator.cluster.api import Answer

_OPERATORS = {
    "serving.kserve.io": "KServe",
    "pipelines.kubeflow.org": "Kubeflow Pipelines with its Kubernetes-native store",
    "monitoring.coreos.com": "the Prometheus operator",
    "cert-manager.io": "cert-manager",
    "keda.sh": "KEDA",
    "gateway.networking.k8s.io": "the Gateway API",
    "argoproj.io": "Argo",
    "kubeflow.org": "Kubeflow",
    "opencost.io": "OpenCost",
}
_CANNOT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) (?:resource "(?P<resource>[^"]*)"|path "(?P<path>[^"]*)")'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)?'
)
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>\S+), requested: (?P<asked>.*), used: (?P<used>.*), limited: (?P<limit>.*)"
)
_MUST_SAY = re.compile(r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.*)")
_TYPED = re.compile(r"failed to create typed patch object \([^)]*\): (?P<rest>.*)", re.DOTALL)
_TYPED_FIELD = re.compile(r"\.(?P<field>(?:[^\s:\[]|\[[^\]]*\])+): (?P<what>.*?)(?=\s\.[a-z]|$)")
_UNKNOWN = re.compile(r'unknown field "(?P<field>[^"]+)"')
_CONVERT = re.compile(r"failed to convert new object \([^)]*\) to proper version: .*?Kind=\w+: (?P<rest>.*)", re.DOTALL)
_WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]*)": (?:failed to call webhook: )?(?P<why>.*)')
_TOO_LONG = re.compile(r'Invalid value: "(?P<value>[^"]*)": must be no more than (?P<most>\d+) (?:characters|bytes)')


Fields = Callable[[str], Sequence[str]]
"""What may stand where an unknown field stands, by its path."""


def _nothing(_: str) -> Sequence[str]:
    return ()


class RefusedError(BackendError):
    """The API server refused a request: with HTTP code, reason, and the object and field where it names them."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        reason: str = "",
        about: Ref | None = None,
        field: str = "",
        hint: str = "",
    ) -> None:
        super().__init__("Kubernetes", message, hint=hint)
        self.code = code
        self.reason = reason
        """NotFound, Forbidden, Conflict, Invalid, UnknownKind ...; "" where Kubernetes gives none."""
        self.about = about
        self.field = field
        """A path like `spec.template.spec.containers[0].image`."""
        self.problems: tuple[RefusedError, ...] = (self,)
        """All that was refused, when several objects were looked at before anything was done."""

    @property
    def said(self) -> str:
        """The sentence without who said it."""
        return self.message.removeprefix("Kubernetes: ")

    @property
    def is_of_file(self) -> bool:
        """Whether what was written is wrong, whoever applies it wherever."""
        return self.reason in ("Invalid", "BadRequest", "UnknownField")


def together(problems: Sequence[RefusedError]) -> RefusedError:
    """Several refusals as one error."""
    first = problems[0]
    if len(problems) == 1:
        return first
    texts = [f"{len(problems)} problems, so nothing was applied"]
    for each in problems:
        texts.append(each.said)
        if each.hint:
            texts.append(f"  hint: {each.hint}")
    made = RefusedError("\n".join(texts), code=first.code, reason=first.reason, about=first.about, field=first.field)
    made.problems = tuple(problems)
    return made


def is_typed(answer: Answer) -> bool:
    """Whether a 500 stands for fields that are not of the object's type: the server calls that a fault of its own."""
    text = str(answer.data.get("message", ""))
    return bool(_TYPED.match(text) or _CONVERT.match(text))


def refused(
    answer: Answer, *, verb: str, who: str, about: Ref | None = None, fields: Fields = _nothing
) -> RefusedError:
    """What the server refused. `verb` is what we wanted, `fields` what may stand where an unknown field stood."""
    status: Mapping[str, Any] = answer.data
    text = " ".join(str(status.get("message") or f"HTTP {answer.code}").split())
    reason = str(status.get("reason") or "")
    told: Any = {"code": answer.code, "about": about}
    subject = str(about) if about else ""
    if answer.code == 401:
        hint = "log in again: the token has expired, or the certificate is of another cluster"
        return RefusedError(f"our login is not accepted ({who})", reason="Unauthorized", hint=hint, **told)
    if answer.code == 403:
        return _forbidden(text, subject, told)
    if reason == "Conflict" and "conflict" in text and _causes(status):
        return _conflict(status, subject, told)
    if answer.code == 404 and (status.get("details") or {}).get("kind") == "namespaces":
        name = str((status.get("details") or {}).get("name"))
        hint = f"kubectl create namespace {name}, or name another one by --namespace"
        return RefusedError(
            f"{_colon(subject)}namespace {name} does not exist", reason="NoNamespace", hint=hint, **told
        )
    if typed := _TYPED.match(text):
        return _typed(typed["rest"], about, told, fields)
    if unknown := _UNKNOWN.findall(text):
        return together([unknown_field(each, about, fields=fields) for each in dict.fromkeys(unknown)])
    if converted := _CONVERT.match(text):
        hint = "values of `data` are base64; plain text goes into `stringData`" if "base64" in text else ""
        return RefusedError(f"{_colon(subject)}{_plain(converted['rest'])}", reason="Invalid", hint=hint, **told)
    if "denied the request" in text or "denied request" in text:
        return RefusedError(f"{_colon(subject)}{_denied(text)}", reason="Denied", **told)
    if webhook := _WEBHOOK.search(text):
        message = f"{_colon(subject)}webhook {webhook['name']} of the cluster does not answer: {webhook['why']}"
        return RefusedError(
            message, reason="InternalError", hint="does what brings it run? kubectl get pods -A", **told
        )
    if answer.code == 422 and (causes := _causes(status)):
        return _invalid(causes, subject, told)
    if answer.code == 404:
        return RefusedError(f"{_colon(subject)}{text}", reason="NotFound", **told)
    busy = "the server is busy or is starting; try again in a minute" if answer.code in (429, 503) else ""
    what = text if subject or not verb else f"we cannot {verb} {who}: {text}"
    return RefusedError(f"{_colon(subject)}{what}", reason=reason or "Failed", hint=busy, **told)


def unknown_kind(kind: str, group: str, version: str, *, others: Sequence[str], kinds: Sequence[str]) -> RefusedError:
    """The cluster has no such kind."""
    named = f"{group}/{version}".strip("/")
    message = f"the cluster knows no {kind} of {named}" if named else f"the cluster knows no {kind}"
    operator = next((name for end, name in _OPERATORS.items() if group == end or group.endswith("." + end)), "")
    if others:
        hint = f"it knows {kind} of {', '.join(others)}"
    elif kinds and (near := did_you_mean(kind, kinds)):
        hint = near
    elif operator:
        hint = f"{operator} brings it; is it installed? kubectl api-resources --api-group={group}"
    else:
        hint = "its definition (CustomResourceDefinition) is not installed" if "." in group else ""
    return RefusedError(message, code=404, reason="UnknownKind", hint=hint)


def unknown_field(field: str, about: Ref | None, *, fields: Fields = _nothing) -> RefusedError:
    """An object has a field that its kind does not have; `fields` are those that may stand there."""
    hint = did_you_mean(re.split(r"\.(?![^\[]*\])", field)[-1], fields(field))
    message = f"{_colon(str(about) if about else '')}unknown field {field}"
    return RefusedError(message, code=400, reason="UnknownField", about=about, field=field, hint=hint)


def _forbidden(text: str, subject: str, told: Any) -> RefusedError:
    if quota := _QUOTA.search(text):
        hint = f"kubectl describe resourcequota {quota['quota']}"
        return RefusedError(f"{_colon(subject)}{quota_words(text)}", reason="Quota", hint=hint, **told)
    if must := _MUST_SAY.search(text):
        what = must["what"].replace(" for: ", " of ").replace(";", ",")
        message = f"{_colon(subject)}quota {must['quota']} asks every container for {what}"
        return RefusedError(
            message, reason="Quota", hint="give requests and limits, or a LimitRange with defaults", **told
        )
    if cannot := _CANNOT.search(text):
        return _no_right(cannot, subject, told)
    if "attempting to grant RBAC permissions not currently held" in text:
        message = f"{_colon(subject)}it grants rights that we do not have ourselves"
        return RefusedError(message, reason="Forbidden", hint="an administrator of the cluster must apply it", **told)
    if "being terminated" in text:
        message = f"{_colon(subject)}its namespace is being deleted"
        return RefusedError(message, reason="Terminating", hint="wait until it is gone, then apply again", **told)
    why = _denied(text.partition(" is forbidden: ")[2] or text)
    return RefusedError(f"{_colon(subject)}{why}", reason="Denied", **told)


def _no_right(cannot: re.Match[str], subject: str, told: Any) -> RefusedError:
    group, namespace = cannot["group"], cannot["namespace"]
    what = (cannot["resource"] or cannot["path"] or "") + (f".{group}" if group and cannot["resource"] else "")
    where = f" in namespace {namespace}" if namespace else "" if cannot["path"] else " in the whole cluster"
    message = f"{_colon(subject)}{cannot['user']} may not {cannot['verb']} {what}{where}"
    option = f" -n {namespace}" if namespace else ""
    if cannot["user"] == "system:anonymous":
        message = f"{_colon(subject)}we are nobody to the cluster, and nobody may {cannot['verb']} {what}{where}"
        hint = "kubectl config view: the user of the context has no token and no certificate"
        return RefusedError(message, reason="Forbidden", hint=hint, **told)
    hint = f"kubectl auth can-i {cannot['verb']} {what}{option} --as {cannot['user']}"
    return RefusedError(message, reason="Forbidden", hint=hint, **told)


def quota_words(text: str) -> str:
    """A sentence on a quota in words: `quota runs allows 4 pods, 4 are used and 1 more is asked for`."""
    quota = _QUOTA.search(text)
    if quota is None:
        return text
    asked, used, limit = (_pairs(quota[name]) for name in ("asked", "used", "limit"))
    parts = [
        f"{name}: {limit.get(name, '?')} allowed, {used.get(name, '?')} used, {more} more asked for"
        for name, more in asked.items()
    ]
    return f"quota {quota['quota']} is exceeded ({'; '.join(parts)})"


def _pairs(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split(","))


def _conflict(status: Mapping[str, Any], subject: str, told: Any) -> RefusedError:
    owned: dict[str, list[str]] = {}
    for cause in _causes(status):
        whose = re.search(r'conflict with "([^"]*)"', str(cause.get("message", "")))
        owned.setdefault(whose[1] if whose else "another", []).append(str(cause.get("field", "")).lstrip("."))
    parts = [
        f"{', '.join(fields)} {'is' if len(fields) == 1 else 'are'} set by {whose}" for whose, fields in owned.items()
    ]
    hint = "--force takes them over; or leave them out of the file, and they stay as they are"
    field = next(iter(owned.values()))[0]
    return RefusedError(f"{_colon(subject)}{'; '.join(parts)}", reason="Conflict", field=field, hint=hint, **told)


def _typed(rest: str, about: Ref | None, told: Any, fields: Fields) -> RefusedError:
    subject = str(about) if about else ""
    found = [
        unknown_field(each["field"], about, fields=fields)
        if "field not declared in schema" in each["what"]
        else RefusedError(
            f"{_colon(subject)}{each['field']}: {_type(each['what'])}", reason="Invalid", field=each["field"], **told
        )
        for each in _TYPED_FIELD.finditer(rest)
    ]
    return together(found) if found else RefusedError(f"{_colon(subject)}{rest}", reason="Invalid", **told)


def _type(text: str) -> str:
    text = re.sub(r"&value\.valueUnstructured\{Value:(.*?)\}", r"\1", text)
    return text.replace("numeric (int or float)", "a number")


def _invalid(causes: Sequence[Mapping[str, Any]], subject: str, told: Any) -> RefusedError:
    parts, hint = [], ""
    for cause in causes:
        field, text = str(cause.get("field", "")), _plain(str(cause.get("message", "")))
        if long := _TOO_LONG.match(text):
            text = f"{len(long['value'])} letters are too long; at most {long['most']} are allowed"
            subject = subject.replace(long["value"], f"{long['value'][:20]}...") if len(long["value"]) > 80 else subject
        if "immutable" in text or "may not change" in text or "forbidden: updates to" in text.lower():
            text = "it cannot be changed once it is made"
            hint = "delete the object and apply again: orc delete FILE"
        parts.append(f"{field}: {text}" if field and field != "<nil>" else text)
    field = str(causes[0].get("field", ""))
    # The same field may be told once for each rule it breaks.
    message = f"{_colon(subject)}{'; '.join(dict.fromkeys(parts))}"
    return RefusedError(message, reason="Invalid", field=field, hint=hint, **told)


def _plain(text: str) -> str:
    """A sentence of Kubernetes without the regular expressions it is checked by."""
    text = re.sub(r"\s*\((?:e\.g\. .*?, )?regex used for validation is .*\)", "", text)
    text = text.replace("error decoding from json: ", "").replace("Required value", "it is required")
    return re.sub(
        r"quantities must match the regular expression .*",
        "a quantity is no number with a unit, such as 500m or 2Gi",
        text,
    )


def _denied(text: str) -> str:
    if policy := re.search(r"violates PodSecurity \"(?P<level>[^\"]*)\": (?P<why>.*)", text):
        return f"Pod Security {policy['level']!r} does not allow it: {policy['why']}"
    if webhook := re.search(r'admission webhook "(?P<name>[^"]*)" denied the request:? ?(?P<why>.*)', text):
        return f"{webhook['name']} refuses it: {webhook['why']}".replace(": without explanation", " without saying why")
    if policy := re.search(r"AdmissionPolicy '(?P<name>[^']*)' with binding '[^']*' denied request: (?P<why>.*)", text):
        return f"policy {policy['name']} of the cluster refuses it: {policy['why']}"
    return text


def _causes(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((status.get("details") or {}).get("causes") or ())


def _colon(subject: str) -> str:
    return f"{subject}: " if subject else ""
