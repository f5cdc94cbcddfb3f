"""A cache key of one's own stands for everything that decides a task's outputs; without one the inputs do."""

from kfp import dsl
from parts import say


@dsl.pipeline(name="cached")
def pipeline(word: str = "a", key: str = "x"):
    say(text=word).set_caching_options(True, cache_key="mine").set_display_name("own key")
    say(text=word).set_display_name("inputs")
    say(text=word).set_caching_options(False).set_display_name("never")
