"""A component's variables: in the order they are declared, of those before them, escaped, and with placeholders."""

from kfp import dsl


@dsl.container_component
def see(out: dsl.OutputPath(list), word: str = "w"):
    program = "import json, os, sys; json.dump([os.environ.get(n) for n in sys.argv[2:]], open(sys.argv[1], 'w'))"
    names = ["BASE", "OWN", "LATER", "NONE", "ESCAPED", "PRICE", "TWICE", "WORD"]
    return dsl.ContainerSpec(image="x", command=["python3", "-S", "-c", program], args=[out, *names])


@dsl.pipeline(name="variables")
def pipeline() -> list:
    seen = see()
    for name, value in {
        "BASE": "b",
        "OWN": "$(BASE)/own",
        "LATER": "$(TWICE)",
        "NONE": "$(NOWHERE_AT_ALL)|$(no name)|$(",
        "ESCAPED": "$$(BASE) $$$(BASE)",
        "PRICE": "5 $ or $BASE",
        "TWICE": "$(OWN)+$(OWN)",
        "WORD": "<{{$.inputs.parameters['word']}}> in {{$.pipeline_name}}",
    }.items():
        seen.set_env_variable(name, value)
    return seen.outputs["out"]
