"""Secrets and config maps: what a task is given, from where, and that nobody else gets to see it."""

import sqlite3

import pytest
from kfp import dsl, kubernetes

from orchestrator.errors import PipelineError
from orchestrator.history import parts
from orchestrator.runners.events import Warned
from orchestrator.stores import secrets
from tests.runners.compiling import compiled, program

VALUE = "correct-horse-battery"
FILE = f"""apiVersion: v1
kind: Secret
metadata: {{name: database, namespace: kubeflow, creationTimestamp: "2026-01-01T00:00:00Z"}}
type: Opaque
stringData:
  password: {VALUE}
  user: ana
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data:
  mode: fast
"""
SHOW = "put('out', ' '.join(os.environ.get(n, '-') for n in a['text'].split()))"


@pytest.fixture
def given(project):
    """A project with a file of secrets in its state folder."""

    def write(text: str = FILE, mode: int = 0o600) -> None:
        file = project.folder / "state" / "secrets.yaml"
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(mode)

    write()
    return write


def run(project, build, **arguments):
    compiled(project.folder / "pipeline.yaml", build)
    return project.run(**arguments)


def test_keys_become_variables(project, given):
    def build():
        task = program(SHOW, "PASSWORD MODE LEFT")
        kubernetes.use_secret_as_env(task, "database", {"password": "PASSWORD"})
        kubernetes.use_config_map_as_env(task, "settings", {"mode": "MODE"})
        kubernetes.use_secret_as_env(task, "nowhere", {"key": "LEFT"}, optional=True)

    ran = run(project, build)
    assert ran.value("program") == f"{VALUE} fast -"
    assert not [each for each in ran.events if isinstance(each, Warned)]


def test_the_name_may_come_from_anywhere(project, given):
    def build(name: str = "database"):
        made = program("put('out', a['text'])", "data" + "base")
        by_parameter = program(SHOW, "PASSWORD")
        kubernetes.use_secret_as_env(by_parameter, name, {"password": "PASSWORD"})
        by_output = program(SHOW, "PASSWORD")
        kubernetes.use_secret_as_env(by_output, made.outputs["out"], {"password": "PASSWORD"})
        with dsl.ParallelFor(["database", "other"]) as item:
            by_item = program(SHOW, "PASSWORD")
            kubernetes.use_secret_as_env(by_item, item, {"password": "PASSWORD"})

    ran = run(project, build)
    assert ran.value("program-2") == ran.value("program-3") == ran.value("program-4[0]") == VALUE
    assert ran.statuses["program-4[1]"] == "FAILED"
    assert "the key 'password' of the secret 'other'" in ran.tasks["program-4[1]"].reason
    ran = run(project, build, name="missing")
    assert ran.statuses["program-2"] == "FAILED"


def test_what_is_missing_is_said_with_what_to_do(project):
    def build():
        as_variable = program(SHOW, "PASSWORD")
        kubernetes.use_secret_as_env(as_variable, "database", {"password": "PASSWORD"})
        as_files = program("print(os.listdir('/keys'))")
        kubernetes.use_secret_as_volume(as_files, "database", "/keys")
        left_out = program("put('out', str(os.listdir('/keys')))")
        kubernetes.use_secret_as_volume(left_out, "database", "/keys", optional=True)

    ran = run(project, build)
    file = project.folder / "state" / "secrets.yaml"
    how = f"give it in {file} as a manifest"
    needed = f"it needs the key 'password' of the secret 'database': {how}, or set the variable PASSWORD"
    assert ran.tasks["program"].reason == needed
    assert ran.tasks["program-2"].reason == f"it needs the secret 'database', mounted at /keys: {how}"
    assert ran.value("program-3") == "[]"
    assert not ran.started[1:]


def test_a_variable_of_the_caller_stands_in(project, monkeypatch):
    monkeypatch.setenv("PASSWORD", "from-outside")

    def build():
        task = program("print('error: ' + os.environ['PASSWORD']); sys.exit(1)")
        kubernetes.use_secret_as_env(task, "database", {"password": "PASSWORD"})

    assert run(project, build).end.reason == "program: ***"


def test_keys_become_files_for_the_time_of_the_task(project, given):
    code = (
        "p = '/keys/password'; mode = oct(os.stat(p).st_mode)[-3:]\n"
        "put('out', f'{open(p).read()} {mode} {open(\"/conf/mode\").read()}')"
    )

    def build():
        task = program(code)
        kubernetes.use_secret_as_volume(task, "database", "/keys")
        kubernetes.use_config_map_as_volume(task, "settings", "/conf/")
        failing = program("open('/keys/password'); sys.exit(1)")
        kubernetes.use_secret_as_volume(failing, "database", "/keys")

    ran = run(project, build)
    assert ran.value("program") == f"{VALUE} 400 fast"
    assert ran.statuses["program-2"] == "FAILED"
    assert not list(project.settings.state.glob("runs/*/.secrets/**/*"))


def test_no_secret_is_written_down(project, given):
    def build():
        loud = program("print('error: no access for ' + os.environ['PASSWORD']); sys.exit(1)")
        kubernetes.use_secret_as_env(loud, "database", {"password": "PASSWORD"})
        kubernetes.use_secret_as_volume(loud, "database", "/keys")
        warning = program("print('warning: ' + os.environ['PASSWORD']); put('out', 'x')")
        kubernetes.use_secret_as_env(warning, "database", {"password": "PASSWORD"})

    ran = run(project, build)
    assert ran.tasks["program"].reason == "no access for ***"
    assert all(VALUE not in each for each in ran.tasks["program-2"].warnings)
    state = project.settings.state
    kept = {"secrets.yaml", "log.txt"}  # Its own file, and what the tasks themselves printed.
    holding = [each for each in state.rglob("*") if each.is_file() and VALUE.encode() in each.read_bytes()]
    assert {each.name for each in holding} <= kept
    with sqlite3.connect(state / "state.db") as database:
        assert not any(VALUE in line for line in database.iterdump())
    database.close()
    assert oct((state / "salt").stat().st_mode)[-3:] == "600"


def test_a_value_that_changed_is_another_input(project, given):
    def build():
        task = program(SHOW, "PASSWORD")
        kubernetes.use_secret_as_env(task, "database", {"password": "PASSWORD"})
        files = program("put('out', open('/conf/mode').read())")
        kubernetes.use_config_map_as_volume(files, "settings", "/conf")

    before = run(project, build)
    assert set(run(project, build).statuses.values()) == {"SKIPPED"}
    given(FILE.replace(VALUE, "another-value"))
    after = run(project, build)
    assert after.statuses == {"program": "SUCCEEDED", "program-2": "SKIPPED"}
    changes = parts.changes(before.tasks["program"].key_parts, after.tasks["program"].key_parts)
    assert list(parts.sentences(changes, {})) == ["variable 'PASSWORD' changed"]
    given(FILE.replace("fast", "slow"))
    assert run(project, build).value("program-2") == "slow"


def test_a_file_that_others_can_read_is_warned_of(project, given):
    given(mode=0o644)

    def build():
        task = program(SHOW, "PASSWORD")
        kubernetes.use_secret_as_env(task, "database", {"password": "PASSWORD"})

    told = [each.message for each in run(project, build).events if isinstance(each, Warned)]
    file = project.settings.state / "secrets.yaml"
    assert told == [f"others can read {file}, which holds secrets: `chmod 600 {file}`"]


def test_a_file_that_cannot_be_used_stops_the_run_before_it_starts(project, given):
    given("apiVersion: v1\nkind: Secret\nmetadata: {name: database}\ndata: {password: '%%%'}\n")

    def build():
        kubernetes.use_secret_as_env(program(SHOW, "PASSWORD"), "database", {"password": "PASSWORD"})

    with pytest.raises(PipelineError, match=r"secrets.yaml:4:\d+: the value of 'password' is not base64"):
        run(project, build)
    assert not project.metadata().runs()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Secret\nmetadata: {name: a}\n", "s:1:7: expected a Kubernetes manifest of kind Secret or ConfigMap"),
        ("apiVersion: v1\nkind: Pod\n", "s:2:7: expected a Kubernetes manifest"),
        ("- 1\n", "s:1:1: expected a Kubernetes manifest"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {}\n", "s:3:11: the Secret has no `metadata.name`"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {port: 1}\n", "s:4:20: the value of 'port'"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {../x: y}\n", "'../x' is no key"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: x\n", "`stringData` is a mapping"),
        (f"{FILE}---\n{FILE}", "s:17:18: the secret 'database' is given twice"),
        ("{", "not valid YAML"),
    ],
)
def test_mistakes_in_the_file_have_a_place(text, message):
    with pytest.raises(PipelineError) as raised:
        secrets.parse(text, "s")
    assert message in str(raised.value)


def test_what_kubectl_prints_is_understood():
    listed = """apiVersion: v1
items:
- apiVersion: v1
  data:
    password: Y29ycmVjdA==
    empty: ""
  kind: Secret
  metadata: {name: a, resourceVersion: "1", uid: 0c1e}
  type: Opaque
- apiVersion: v1
  binaryData: {b: AP8=}
  data: {c: plain}
  kind: ConfigMap
  metadata: {name: a}
kind: List
metadata: {resourceVersion: ""}
"""
    found = secrets.parse(listed, "s")
    assert found["Secret", "a"] == {"password": b"correct", "empty": b""}
    assert found["ConfigMap", "a"] == {"b": b"\x00\xff", "c": b"plain"}


def test_a_named_file_must_exist(project, monkeypatch):
    def build():
        kubernetes.use_secret_as_env(program(SHOW, "PASSWORD"), "database", {"password": "PASSWORD"})

    (project.folder / "orc.toml").write_text('secrets = "mine.yaml"\n')
    with pytest.raises(PipelineError, match=r"mine.yaml: the file does not exist"):
        run(project, build)
    (project.folder / "mine.yaml").write_text(FILE)
    (project.folder / "mine.yaml").chmod(0o600)
    assert run(project, build).status == "SUCCEEDED"


def test_masking_hides_lines_of_long_secrets_and_leaves_short_words():
    key = b"-----BEGIN-----\nabcdefgh12345\n-----END-----\n"
    assert secrets.masked("in abcdefgh12345 a", [key, b"a"]) == "in *** a"


def test_what_a_killed_run_left_of_secrets_is_gone_when_it_is_resumed(project, given):
    def build():
        task = program("sys.exit(int(open('/keys/user').read() == 'ana'))")
        kubernetes.use_secret_as_volume(task, "database", "/keys")

    ran = run(project, build)
    left = project.settings.state / "runs" / ran.end.run / ".secrets" / "other" / "password"
    left.parent.mkdir(parents=True)
    left.write_text(VALUE)
    assert project.resume().status == "FAILED"
    assert not left.exists()


def test_what_may_be_missing_leaves_no_trace(project, monkeypatch):
    monkeypatch.setenv("TOKEN", "of-the-caller")

    def build():
        task = program("put('out', ' '.join(sorted(n for n in os.environ if 'TOKEN' in n or 'MOUNT' in n)))")
        kubernetes.use_secret_as_env(task, "service", {"token": "TOKEN"}, optional=True)
        kubernetes.use_config_map_as_env(task, "service", {"address": "ADDRESS"}, optional=True)
        kubernetes.use_secret_as_volume(task, "account", "/var/run/account", optional=True)

    ran = run(project, build)
    assert ran.value("program") == "TOKEN", "what the caller has anyway, and no variable that names a mount"
    assert not [each for each in ran.events if isinstance(each, Warned)]
    monkeypatch.setenv("TOKEN", "another")
    again = project.run()
    assert again.statuses["program"] == "SKIPPED", "what may be missing, and is, is no part of the cache key"


def test_what_may_be_missing_and_is_there_is_given_and_told(project, given):
    given(FILE.replace("name: database", "name: account"))

    def build():
        task = program("put('out', min(os.listdir(os.environ['ORC_MOUNT_VAR_RUN_ACCOUNT'])))")
        kubernetes.use_secret_as_volume(task, "account", "/var/run/account", optional=True)

    ran = run(project, build)
    assert ran.value("program") == "password"
    (warned,) = [each for each in ran.events if isinstance(each, Warned)]
    assert "mounts where no word of theirs names the path" in warned.message
