"""The command line of a component: by our convention of flags, or as its file spells it in KFP's placeholders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.errors import did_you_mean

if TYPE_CHECKING:
    from orchestrator.pipeline.component import Input, Output
from orchestrator.pipeline.kinds import Type


def convention(inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> tuple[str, ...]:
    """`--name VALUE` for every input and output. Sorted, so that the order of keys in a file decides nothing."""
    args: list[str] = []
    for name, each in sorted(inputs.items()):
        flag = [f"--{name}", input_placeholder(name, each.type)]
        # An input with a default always has a value; one without may be absent, and its flag with it.
        absent = each.optional and each.default is None and each.type.name != "TASK_FINAL_STATUS"
        args.extend([if_present(name, flag)] if absent else flag)
    for name, output in sorted(outputs.items()):
        args.extend((f"--{name}", output_placeholder(name, output.type)))
    return tuple(args)


def settled(args: Sequence[str], given: Mapping[str, bool]) -> Iterator[str]:
    """Flags by our convention with nothing left to ask where it is known whether an input is given.

    KFP's server fills in no question before 2.17, and to one about an artifact it always answers no.
    """
    for word in args:
        asked = json.loads(word)["IfPresent"] if word.startswith('{"IfPresent"') else None
        if asked is None or asked["InputName"] not in given:
            yield word
        elif given[asked["InputName"]]:
            yield from asked["Then"]


def explicit(args: Sequence[Any], types: Mapping[str, Type]) -> tuple[str, ...]:
    """Arguments as written, with structured placeholders carried as JSON text. Raises ValueError (message, hint)."""
    return tuple(
        text if isinstance(text, str) else json.dumps(text) for text in (_argument(each, types) for each in args)
    )


def _argument(each: Any, types: Mapping[str, Type]) -> Any:
    """One argument: text, `{inputValue: x}` and the like, or KFP's own `{IfPresent: ...}` and `{Concat: [...]}`."""
    match each:
        case str() | int() | float():
            return str(each)
        case {"inputValue": str() as name}:
            return value_placeholder(_known(name, types))
        case {"inputPath": str() as name} | {"inputUri": str() as name}:
            return f"{{{{$.inputs.artifacts['{_known(name, types)}'].{'uri' if 'inputUri' in each else 'path'}}}}}"
        case {"outputPath": str() as name}:
            return output_placeholder(name, types[_known(name, types)])
        case {"outputUri": str() as name}:
            return f"{{{{$.outputs.artifacts['{_known(name, types)}'].uri}}}}"
        case {"executorInput": _}:
            return "{{$}}"
        case {"concat": list() as parts} | {"Concat": list() as parts}:
            return {"Concat": [_argument(part, types) for part in parts]}
        case {"if": {"cond": cond, "then": then, **rest}}:
            name = cond["isPresent"] if isinstance(cond, dict) else str(cond)
            return _present(_known(name, types), then, rest.get("else"), types)
        case {"IfPresent": {"InputName": str() as name, "Then": then, **rest}}:
            return _present(_known(name, types), then, rest.get("Else"), types)
    hint = "inputValue, inputPath, outputPath, if {cond, then, else}, concat"
    raise ValueError(f"{each!r} is not an argument", f"text, or one of {hint}")


def _present(name: str, then: Any, otherwise: Any, types: Mapping[str, Type]) -> dict[str, Any]:
    def inner(each: Any) -> Any:
        return [_argument(part, types) for part in each] if isinstance(each, list) else _argument(each, types)

    placeholder = {"InputName": name, "Then": inner(then)}
    if otherwise:
        placeholder["Else"] = inner(otherwise)
    return {"IfPresent": placeholder}


def _known(name: str, types: Mapping[str, Type]) -> str:
    if name not in types:
        raise ValueError(f"no input or output is named {name!r}", did_you_mean(name, types))
    return name


def input_placeholder(name: str, kind: Type) -> str:
    """What stands for an input: its value, or the path of the artifact."""
    return f"{{{{$.inputs.artifacts['{name}'].path}}}}" if kind.artifact else value_placeholder(name)


def value_placeholder(name: str) -> str:
    """What stands for the value of an input parameter."""
    return f"{{{{$.inputs.parameters['{name}']}}}}"


def output_placeholder(name: str, kind: Type) -> str:
    """What stands for the path an output is written to."""
    if kind.artifact:
        return f"{{{{$.outputs.artifacts['{name}'].path}}}}"
    return f"{{{{$.outputs.parameters['{name}'].output_file}}}}"


def if_present(name: str, then: Sequence[Any], otherwise: Sequence[Any] = ()) -> str:
    """Arguments that are there only if an input was given, in KFP's JSON."""
    placeholder: dict[str, Any] = {"InputName": name, "Then": list(then)}
    if otherwise:
        placeholder["Else"] = list(otherwise)
    return json.dumps({"IfPresent": placeholder})
