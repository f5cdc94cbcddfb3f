"""Names of the run and the task, whole and inside longer text: arguments of tasks and programs, variables."""

from kfp import dsl
from parts import say


@dsl.container_component
def see(out: dsl.OutputPath(dict), given: str = ""):
    program = "import json, os, sys; json.dump({'all': [*sys.argv[2:], os.environ['OWN']]}, open(sys.argv[1], 'w'))"
    return dsl.ContainerSpec(
        image="x",
        command=["python3", "-S", "-c", program],
        args=[
            out,
            given,
            "<{{$.pipeline_job_name}}|{{$.pipeline_job_resource_name}}|{{$.pipeline_job_uuid}}>",
            "{{$.pipeline_task_name}}",
            f"{dsl.PIPELINE_TASK_ID_PLACEHOLDER}-{dsl.PIPELINE_TASK_NAME_PLACEHOLDER}",
        ],
    )


@dsl.pipeline(name="placeholders-names")
def pipeline() -> dict:
    say(text=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
    say(text=f"at {dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER} {dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER}")
    say(text=dsl.PIPELINE_ROOT_PLACEHOLDER)
    seen = see(given=f"run {dsl.PIPELINE_JOB_ID_PLACEHOLDER} of {dsl.PIPELINE_TASK_NAME_PLACEHOLDER}")
    seen.set_env_variable("OWN", "{{$.pipeline_name}} {{$.inputs.parameters['given']}}")
    return seen.outputs["out"]
