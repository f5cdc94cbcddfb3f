"""An optional parameter of the pipeline, left empty, for a task that needs a value: the task fails, in words."""

from typing import Optional

from kfp import dsl
from parts import done, say


@dsl.pipeline(name="required")
def pipeline(text: Optional[str] = None, flag: bool = True):
    say(text=text).set_display_name("needs it")
    with dsl.If(flag == True):
        say(text=text).set_display_name("needs it too")
    done()
