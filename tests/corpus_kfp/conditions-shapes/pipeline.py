"""Every shape of a condition that the SDK writes: six comparisons of whole numbers, numbers, text and truth."""

from kfp import dsl
from parts import done


@dsl.pipeline(name="shapes")
def pipeline(n: int = 2, m: int = 2, x: float = 0.5, s: str = "a", b: bool = True):
    for name, condition in {
        "n == 2": n == 2,
        "n != 2": n != 2,
        "n < 3": n < 3,
        "n <= m": n <= m,
        "n > m": n > m,
        "n >= m": n >= m,
        "x == 0.5": x == 0.5,
        "x != n": x != n,
        "x < 0.25": x < 0.25,
        "s == a": s == "a",
        "s != a": s != "a",
        "s < b": s < "b",
        "b == True": b == True,
        "b == False": b == False,
        "b != False": b != False,
    }.items():
        with dsl.If(condition, name=name):
            done().set_display_name(name)
