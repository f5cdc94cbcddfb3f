"""The pipeline `policies` in the KFP DSL."""

from in_kfp import say
from kfp import dsl, kubernetes


@dsl.pipeline(name="policies")
def pipeline():
    say(text="a").set_retry(3, "10s", 3.0, "120s")
    kubernetes.set_timeout(say(text="b").set_retry(2), 1800)
    say(text="c").set_caching_options(False)
    kubernetes.set_timeout(say(text="d").set_caching_options(True, cache_key="mine"), 90)
