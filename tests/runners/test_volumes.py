"""Volumes on this machine: folders that a task finds by the path at which a cluster mounts them."""

from pathlib import Path

import pytest
from kfp import dsl, kubernetes

from orchestrator.runners.events import Warned
from orchestrator.runners.local import volumes
from orchestrator.runners.local.launch import Launch, Mount
from orchestrator.runners.local.places import Places
from tests.runners.compiling import compiled, program

WRITE = "open('/data/x.txt', 'w').write(a['text']); put('out', '')"
READ = "put('out', open('/data/x.txt').read())"


def run(project, build, *, cache: bool = False, **arguments):
    compiled(project.folder / "pipeline.yaml", build)
    return project.run(cache=cache, **arguments)


def warned(ran) -> list[str]:
    return [each.message for each in ran.events if isinstance(each, Warned)]


def claim(project, name: str = "datasets") -> Path:
    made = project.settings.state / "volumes" / name
    made.mkdir(parents=True)
    return made


def test_tasks_share_what_is_in_a_claim_that_a_task_made_and_another_deletes(project):
    def build():
        made = kubernetes.CreatePVC(
            pvc_name_suffix="-data", access_modes=["ReadWriteOnce"], size="1Gi", storage_class_name="standard"
        )
        writing = program(WRITE, "hello")
        kubernetes.mount_pvc(writing, made.outputs["name"], "/data")
        reading = program(READ).after(writing)
        kubernetes.mount_pvc(reading, made.outputs["name"], "/data")
        kubernetes.DeletePVC(pvc_name=made.outputs["name"]).after(reading)

    ran = run(project, build)
    assert (ran.value("program-2"), warned(ran)) == ("hello", [])
    name = ran.value("createpvc", "name")
    assert name.startswith(ran.end.run)
    assert name.endswith("-data")
    volumes_folder = project.settings.state / "volumes"
    assert not (volumes_folder / name).exists()
    assert not list((volumes_folder / ".claims").iterdir())
    assert run(project, build).value("createpvc", "name") != name


def test_claims_made_in_a_loop_are_told_apart(project):
    def build():
        with dsl.ParallelFor(["a", "b"]) as item:
            made = kubernetes.CreatePVC(
                pvc_name_suffix="-data", access_modes=["ReadWriteOnce"], size="1Gi", storage_class_name=""
            )
            task = program(WRITE + "; put('out', str(len(os.listdir('/data'))))", item)
            kubernetes.mount_pvc(task, made.outputs["name"], "/data")

    ran = run(project, build)
    assert [ran.value(f"program[{n}]") for n in (0, 1)] == ["1", "1"]


def test_a_named_claim_stays_and_a_second_run_finds_it(project):
    def build():
        made = kubernetes.CreatePVC(
            pvc_name="kept", access_modes=["ReadWriteOnce"], size="1Gi", storage_class_name="", annotations={"a": "b"}
        )
        task = program("n = len(os.listdir('/data')); open(f'/data/{n}', 'w'); put('out', str(n))")
        kubernetes.mount_pvc(task, made.outputs["name"], "/data")

    assert run(project, build).value("program") == "0"
    ran = run(project, build)
    assert ran.value("program") == "1"
    assert ran.tasks["createpvc"].warnings == ("the claim 'kept' was there already, with what is in it",)


def test_a_claim_made_anew_is_another_input(project):
    def build():
        made = kubernetes.CreatePVC(pvc_name="again", access_modes=["ReadWriteOnce"], size="1Gi", storage_class_name="")
        writing = program(WRITE, "hello")
        kubernetes.mount_pvc(writing, made.outputs["name"], "/data")
        reading = program(READ).after(writing)
        kubernetes.mount_pvc(reading, made.outputs["name"], "/data")
        kubernetes.DeletePVC(pvc_name=made.outputs["name"]).after(reading)

    for _ in range(2):
        assert run(project, build, cache=True).statuses["program"] == "SUCCEEDED"


def test_a_claim_of_the_users_own(project):
    def build(name: str = "datasets"):
        kubernetes.mount_pvc(program(READ), name, "/data", sub_path="penguins/2026")

    ran = run(project, build)
    place = project.settings.state / "volumes" / "datasets"
    assert ran.tasks["program"].reason == (
        f"there is no claim 'datasets', mounted at /data: make the folder {place}, or a link there"
    )
    mine = project.folder / "mine"
    (mine / "penguins" / "2026").mkdir(parents=True)
    (mine / "penguins" / "2026" / "x.txt").write_text("my own")
    place.parent.mkdir()
    place.symlink_to(mine)
    assert run(project, build).value("program") == "my own"
    assert "cannot be the name of a claim" in run(project, build, name="../up").tasks["program"].reason


def test_deleting_a_link_leaves_the_folder_alone(project):
    def build():
        kubernetes.DeletePVC(pvc_name="datasets")

    mine = project.folder / "mine"
    mine.mkdir()
    (mine / "x.txt").write_text("mine")
    claim(project).rmdir()
    (project.settings.state / "volumes" / "datasets").symlink_to(mine)
    ran = run(project, build)
    assert "link" in ran.tasks["deletepvc"].warnings[0]
    assert (mine / "x.txt").read_text() == "mine"
    assert run(project, build).tasks["deletepvc"].warnings == ("there was no claim 'datasets'",)


def test_scratch_is_empty_for_every_task_and_gone_after_it(project):
    code = "open('/scratch/a', 'x'); open('/more/b', 'x'); put('out', str(os.listdir('/scratch')))"

    def build():
        for _ in range(2):
            task = program(code)
            kubernetes.empty_dir_mount(task, volume_name="a", mount_path="/scratch", medium="Memory")
            kubernetes.add_ephemeral_volume(
                task, volume_name="b", mount_path="/more", access_modes=["ReadWriteOnce"], size="1Gi"
            )

    ran = run(project, build)
    assert ran.value("program") == ran.value("program-2") == "['a']"
    assert not list(project.settings.state.rglob("scratch"))


def test_shared_memory_is_this_machines_own(project):
    def build():
        task = program("put('out', str('/dev' + '/shm' == '/dev/shm'))")
        kubernetes.empty_dir_mount(task, volume_name="a", mount_path="/dev/shm", medium="Memory")

    ran = run(project, build)
    assert (ran.value("program"), warned(ran)) == ("True", [])


def test_a_path_comes_by_argument_by_output_and_by_variable(project):
    claim(project).joinpath("x.txt").write_text("hello")

    def build(path: str = "/data/x.txt"):
        named = program("put('out', '/dat' + 'a/x.txt')")
        for text in (path, named.outputs["out"], "no path"):
            task = program("put('out', open(a['text'] if '/' in a['text'] else os.environ['FILE']).read())", text)
            task.set_env_variable("FILE", "file:///data/x.txt"[7:])
            kubernetes.mount_pvc(task, "datasets", "/data")

    ran = run(project, build)
    assert [ran.value(f"program-{n}") for n in (2, 3, 4)] == ["hello"] * 3


def test_a_mount_no_word_speaks_of_is_warned_of_once(project):
    claim(project)

    def build():
        for _ in range(2):
            task = program("put('out', str(os.path.isdir(os.environ['ORC_MOUNT_VAR_LIB'])))")
            kubernetes.mount_pvc(task, "datasets", "/var/lib")
            kubernetes.empty_dir_mount(task, volume_name="a", mount_path="/tmp/x", size_limit="1Gi")

    ran = run(project, build)
    told = (
        "on this machine the run does without size limits of volumes (program, program-2); mounts where no word of"
        " theirs names the path, only the variable does: /var/lib ($ORC_MOUNT_VAR_LIB), /tmp/x ($ORC_MOUNT_TMP_X)"
        " (program, program-2)"
    )
    assert warned(ran) == [told]
    assert ran.value("program") == "True"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", "/here"),
        ("/data/x", "/here/x"),
        ("open('/data/x')", "open('/here/x')"),
        ("--dir=/data --other /data/", "--dir=/here --other /here/"),
        ("file:///data/x", "file:///here/x"),
        ('{"path": "/data/x"}', '{"path": "/here/x"}'),
        ("/data/models/m", "/there/m"),
        ("/data/models-2", "/here/models-2"),
        ("/data.csv /data-2 /database", "/data.csv /data-2 /database"),
        ("https://a.example/data/x", "https://a.example/data/x"),
        (
            "my/data ./data ~/data $HOME/data ${X}/data {root}/data",
            "my/data ./data ~/data $HOME/data ${X}/data {root}/data",
        ),
        ("root + '/data'", "root + '/data'"),
        ("/data/home/state/artifacts/a", "/data/home/state/artifacts/a"),
    ],
)
def test_what_is_a_mount_path_in_a_text(text, expected):
    launch = Launch(
        "x", (text,), {"A": text, "KEY": text}, {"A": text, "KEY": text}, Path(), Places(Path(), Path(), Path()), Path()
    )
    mounts = [Mount(Path("/here"), "/data"), Mount(Path("/there"), "/data/models")]
    seen = volumes.in_words(launch, mounts, [Path("/data/home/state")], ["KEY"])
    assert seen.words == (expected,)
    assert seen.environment == {
        "A": expected,
        "KEY": text,
        "ORC_MOUNT_DATA": "/here",
        "ORC_MOUNT_DATA_MODELS": "/there",
    }


def test_our_own_pipeline_file_asks_for_the_same(project):
    claim(project).joinpath("x.txt").write_text("from a claim")
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: value}\n"
    (project.settings.state / "secrets.yaml").write_text(secret)
    (project.settings.state / "secrets.yaml").chmod(0o600)
    project.component("show", "put('out', open('/data/x.txt').read() + os.environ['K'])", {}, {"out": "string"})
    project.pipeline(
        "tasks:\n  show:\n    component: show\n    env: {K: {secret: s, key: k}}\n"
        "    volumes: [{pvc: datasets, path: /data}]\n"
    )
    assert project.run().value("show") == "from a claimvalue"
