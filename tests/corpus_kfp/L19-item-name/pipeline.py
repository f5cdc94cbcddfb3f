"""In the DSL `item.name` is the name of the loop's variable, and the SDK writes that as text: the run warns."""

from kfp import dsl
from parts import say


@dsl.pipeline(name="item-name")
def pipeline(people: list = [{"name": "Ada", "age": 36}]):
    with dsl.ParallelFor(people) as person:
        say(text=person.name).set_display_name("trapped")
        say(text=f"{person.name} is {person.age}").set_display_name("in text")
        say(text=f"{person.age}").set_display_name("fine")
