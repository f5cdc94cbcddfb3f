"""IfPresent and Concat, nested, over parameters and artifacts, in command and arguments; a list, a text, nothing."""

from kfp import dsl
from kfp.dsl import Artifact, ConcatPlaceholder, IfPresentPlaceholder, Input
from parts import write

WORDS = 'p="$1"; shift; { for w in "$@"; do printf "[%s]" "$w"; done; } > "$p"'


@dsl.container_component
def see(out: dsl.OutputPath(str), word: str = None, count: int = None, data: Input[Artifact] = None, fixed: str = "f"):
    return dsl.ContainerSpec(
        image="x",
        command=["sh", "-c", WORDS, "sh", out, IfPresentPlaceholder("word", then=word, else_="no word")],
        args=[
            IfPresentPlaceholder("count", then=["--count", count]),
            ConcatPlaceholder(
                ["<", fixed, "-", IfPresentPlaceholder("count", then=ConcatPlaceholder(["n=", count])), ">"]
            ),
            IfPresentPlaceholder(
                "data",
                then=[
                    "--data",
                    ConcatPlaceholder([data.metadata, "/", IfPresentPlaceholder("word", then=word, else_="?")]),
                ],
                else_=["--no-data", IfPresentPlaceholder("fixed", then=["default", "is present"])],
            ),
            '{"Concat": it is text}',
        ],
    )


@dsl.pipeline(name="placeholders-structures")
def pipeline() -> None:
    see()
    see(word="", count=0)
    see(data=write(text="x").outputs["data"], word='{"Concat": ["a", "b"]}')
