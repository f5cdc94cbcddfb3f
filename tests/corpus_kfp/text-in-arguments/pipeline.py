"""Text put together from parameters, outputs and items; what is put in is data, whatever it looks like."""

from kfp import dsl
from parts import count, number, rows, say, table


@dsl.pipeline(name="text")
def pipeline(word: str = "{{$.inputs.parameters['text']}}", n: int = 3, x: float = 2.0) -> str:
    counted = count(value=n)
    half = number(value=0.5)
    say(text=f"{word}|{n}|{x}|{counted.outputs['out']}|{half.outputs['out']}").set_display_name("text")
    rows(value=["a", f"{word}", n, {"k": counted.outputs["out"]}]) if False else rows(value=[f"{n}", f"<{word}>"])
    table(value={"k": f"{counted.outputs['out']}", "n": 1})
    with dsl.ParallelFor([1, 2]) as item:
        say(text=f"{item}{word}").set_display_name("item")
    return say(text="{{$.pipeline_task_name}}").set_display_name("named").outputs["out"]
