"""Outputs by type: whole numbers, numbers, True as Python writes it, text as it is, lists and mappings."""

from kfp import dsl
from parts import count, number, rows, say, table, truth


@dsl.pipeline(name="outputs")
def pipeline():
    say(text=" 3 \n").set_display_name("text")
    say(text="null").set_display_name("null")
    count(value=-3)
    number(value=3.0)
    truth(value=False)
    rows(value=[1, 2.0, "a", [True]])
    table(value={"a": {"b": 1}, "c": []})
