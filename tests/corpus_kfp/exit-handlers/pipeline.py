"""Exit tasks run whatever happened to the group they guard, and are told what: the group's state, not a task's."""

from kfp import dsl
from parts import done, fail, say


@dsl.container_component
def state(status: dsl.PipelineTaskFinalStatus, out: dsl.OutputPath(str)):
    """The state out of a final status."""
    code = "import json, sys; open(sys.argv[2], 'w').write(json.loads(sys.argv[1])['state'])"
    given = "{{$.inputs.parameters['status']}}"
    return dsl.ContainerSpec(image="x", command=["python", "-S", "-c", code], args=[given, out])


@dsl.pipeline(name="exits")
def pipeline(word: str = "ok"):
    good = state().set_display_name("after good")
    with dsl.ExitHandler(good, name="good"):
        done().set_display_name("inside good")
    bad = state().set_display_name("after bad")
    with dsl.ExitHandler(bad, name="bad"):
        fail().set_display_name("fails")
        done().set_display_name("beside")
    skipped = state().set_display_name("after skipped")
    with dsl.ExitHandler(skipped, name="skipped"):
        with dsl.If(word == "no"):
            say(text=word).set_display_name("skipped")
    loop = state().set_display_name("after loop")
    with dsl.ExitHandler(loop, name="loop"):
        with dsl.ParallelFor([1, 2]):
            done().set_display_name("each")
    say(text="only say").ignore_upstream_failure().set_display_name("plain exit task")
