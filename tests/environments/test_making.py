"""Environments are made whole or not at all, once, by whoever comes first, and without the caller's."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.environments import making, place, requirements
from orchestrator.environments.requirements import Install
from orchestrator.errors import BackendError, NotFoundError, OrchestratorError, RunError

VALUE = "import tiny_thing; print(tiny_thing.VALUE)"


def says(environment: place.Environment, code: str) -> str:
    done = subprocess.run([environment.python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def asked(environment: place.Environment, tmp_path: Path, words: Sequence[str], **changes: Any) -> list[str]:
    """The command line of a task that makes its environment first."""
    spec = dataclasses.asdict(environment.spec(by="test")) | changes
    file = tmp_path / f"spec-{time.monotonic_ns()}.json"
    file.write_text(json.dumps({"spec": spec, "words": list(words), "python": environment.python}), encoding="utf-8")
    return [sys.executable, "-I", str(place.PROGRAM), str(file)]


def test_what_is_asked_for_is_there_and_nothing_else(offline: Path) -> None:
    made = place.find(offline, [Install(("tiny_user",)), Install(("kfp",), bare=True)])
    assert not made.is_ready
    made.make()
    assert made.is_ready
    assert says(made, VALUE) == "1"  # What it needs itself, in the version it needs.
    assert says(made, "import pydantic").startswith("ModuleNotFoundError")
    assert says(made, "import google.protobuf").startswith("ModuleNotFoundError")  # kfp without what it needs.
    assert says(made, "import sys; print(sys.prefix)") == str(made.folder)


def test_a_later_install_may_change_an_earlier_one(offline: Path) -> None:
    made = place.find(offline, [Install(("tiny_thing==2.0",)), Install(("tiny_thing==1.0",))])
    made.make()
    assert says(made, VALUE) == "1"


def test_equal_requirements_are_one_environment(offline: Path) -> None:
    def name(*packages: str, **options: Any) -> str:
        return place.find(offline, [Install(requirements.normalised(packages), **options)]).folder.name

    assert name("Tiny_Thing == 1.0", "b") == name("b", "tiny-thing==1.0", "b")
    assert name("x[b, A]>=1, <2 ; python_version > '3'") == name("X[a,b]<2,>=1; python_version > '3'")
    assert name("x", index="https://a:1@h/s") == name("x", index="https://b:2@h/s")
    others = [name("x"), name("x==1"), name("x", bare=True), name("x", pre=True), name("x", index="https://h/s")]
    assert len({*others, name("y")}) == 6
    assert place.find(offline, [Install(("a",)), Install(("b",))]) != place.find(offline, [Install(("a", "b"))])


def test_passwords_are_shown_to_nobody(offline: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = place.find(
        offline, [Install(("tiny_thing @ https://me:secret@127.0.0.1:9/tiny_thing-1.0-py3-none-any.whl",))]
    )
    with pytest.raises(BackendError, match=r"tiny_thing @ https://\*\*\*@127.0.0.1:9/"):
        found.make()
    said = capfd.readouterr()
    assert "uv: " in said.out
    assert "secret" not in said.out + said.err
    assert not [each for each in offline.iterdir() if b"secret" in each.name.encode()]


def test_an_index_is_asked_with_its_password(
    offline: Path, index: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    made = place.find(offline, [Install(("tiny-thing<2",), index=f"http://me:secret@{index.url}")])
    made.make()
    assert says(made, VALUE) == "1"
    assert any("Basic" in each for each in index.asked)
    assert "secret" not in capfd.readouterr().out
    # What pip was told in the environment holds for uv.
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{index.url}")
    other = place.find(offline, [Install(("tiny-thing==2.0",))])
    other.make()
    assert says(other, VALUE) == "2"


def test_half_made_is_never_used(offline: Path, tmp_path: Path) -> None:
    made = place.find(offline, [Install(("tiny_thing==1.0",))])
    (made.folder / "bin").mkdir(parents=True)
    (made.folder / "bin" / "python").symlink_to(sys.executable)
    (made.folder / "left").write_text("by somebody who was killed")
    assert not made.is_ready
    assert [each.complete for each in place.kept(offline)] == [False]
    done = subprocess.run(asked(made, tmp_path, [made.python, "-c", VALUE]), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1"
    assert made.is_ready
    assert not (made.folder / "left").exists()


def test_killed_in_the_middle_it_is_made_again(offline: Path, tmp_path: Path) -> None:
    installs = [Install(("tiny_thing==1.0",)), *[Install(("huge_thing",))] * 30]
    made = place.find(offline, installs)
    unfinished = 0
    for delay in (0.01, 0.1, 0.3):
        program = subprocess.Popen(asked(made, tmp_path, ["true"]), stdout=subprocess.PIPE, start_new_session=True)
        assert program.stdout
        program.stdout.readline()
        time.sleep(delay)
        program.kill()
        program.wait()
        program.stdout.close()
        if made.is_ready:  # It was quicker than we: then it is whole.
            assert says(made, VALUE) == "1"
            break
        unfinished += 1
    assert unfinished
    made = place.find(offline, installs[:2])
    made.make()
    assert says(made, VALUE) == "1"


def test_uv_dies_with_who_started_it(offline: Path, tmp_path: Path) -> None:
    slow = tmp_path / "uv"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    made = place.find(offline, [Install(("tiny_thing==1.0",))])
    line = asked(made, tmp_path, ["true"], uv=str(slow))
    # Its first use of uv, to see whether the caller's environment would do, is this one already.
    program = subprocess.Popen(line, start_new_session=True)
    deadline = time.monotonic() + 10
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    program.send_signal(signal.SIGKILL)
    program.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "uv goes on"
        time.sleep(0.01)


def test_two_at_once_make_it_once(offline: Path, tmp_path: Path) -> None:
    made = place.find(offline, [Install(("tiny_thing==1.0",)), Install(("huge_thing",))])
    programs = [
        subprocess.Popen(asked(made, tmp_path, [made.python, "-c", VALUE]), stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [program.communicate()[0] for program in programs]
    assert [each.splitlines()[-1] for each in said] == ["1"] * 3
    assert sum("tiny-thing==1.0" in each and "uv:  +" in each for each in said) == 1
    assert len(list(place.kept(offline))) == 1


def test_a_full_disk_leaves_nothing_that_is_used(offline: Path, tmp_path: Path) -> None:
    made = place.find(offline, [Install(("tiny_thing==1.0",)), Install(("huge_thing",))])

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    line = asked(made, tmp_path, ["true"])
    environment = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "uv")}
    done = subprocess.run(line, capture_output=True, text=True, check=False, preexec_fn=small, env=environment)
    assert done.returncode == 1
    assert "error: huge-thing cannot be installed" in done.stderr or "error: huge_thing" in done.stderr
    assert not made.folder.exists()
    made.make()
    assert made.is_ready


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = place.find(tmp_path / "file" / "environments", [Install(("tiny_thing==1.0",))])
    assert not made.is_ready
    with pytest.raises(BackendError, match="cannot be made"):
        made.make()


def test_without_uv_the_error_says_how_to_get_it(offline: Path) -> None:
    made = place.find(offline, [Install(("tiny_thing==1.0",))])
    with pytest.raises(making.NotMadeError, match="uv is not there") as caught:
        making.ensure(dataclasses.replace(made.spec(), uv=""))
    assert caught.value.hint == "pip install 'orchestrator[kfp]'"


def test_what_the_caller_has_already_runs_there(offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))  # An empty shelf: there is no network.
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    made = place.find(offline, [Install(("kfp", "pydantic>=2"), bare=True)])
    line = asked(made, tmp_path, [made.python, "-c", "import sys; print(sys.prefix)"])
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    first, *_, last = done.stdout.splitlines()[-2:]
    assert first.startswith("warning: kfp, pydantic>=2 cannot be installed")
    assert last == sys.prefix
    assert not made.folder.exists()
    # What it does not have fails at once, and names what is missing.
    other = place.find(offline, [Install(("no-such-thing", "pydantic>=2"))])
    done = subprocess.run(asked(other, tmp_path, ["true"]), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no-such-thing, pydantic>=2 cannot be installed")


def test_what_failed_is_not_tried_by_every_task_of_the_run(offline: Path, tmp_path: Path) -> None:
    found = place.find(offline, [Install(("no-such-thing",))])
    spec = dataclasses.replace(found.spec(by="run"))
    with pytest.raises(making.NotMadeError) as first:
        making.ensure(spec)
    broken = dataclasses.replace(spec, uv="/no/such/uv")  # Where it is tried again, this is the reason.
    with pytest.raises(making.NotMadeError) as second:
        making.ensure(broken)
    assert second.value.reason == first.value.reason
    with pytest.raises(making.NotMadeError, match="/no/such/uv"):
        making.ensure(dataclasses.replace(broken, by="another"))


def test_a_python_that_is_gone_makes_it_anew(offline: Path) -> None:
    made = place.find(offline, [Install(("tiny_thing==1.0",))])
    made.make()
    (made.folder / "bin" / "python").unlink()
    (made.folder / "bin" / "python").symlink_to("/no/such/python")
    assert not made.is_ready
    made.make()
    assert says(made, VALUE) == "1"


def test_environments_are_listed_and_removed(offline: Path) -> None:
    assert list(place.kept(offline)) == []
    first, second = (place.find(offline, [Install((f"tiny_thing=={each}",))]) for each in ("1.0", "2.0"))
    first.make()
    second.make()
    assert [each.told for each in place.kept(offline)] == ["tiny_thing==1.0", "tiny_thing==2.0"]
    with pytest.raises(NotFoundError):
        place.named(offline, "zz")
    with pytest.raises((NotFoundError, OrchestratorError)):
        place.named(offline, "")
    place.remove(place.named(offline, first.folder.name[:12]))
    assert not first.is_ready
    assert [each.folder for each in place.kept(offline)] == [second.folder]
    assert not list(offline.glob(f"{first.folder.name}*"))
    first.make()
    assert says(first, VALUE) == "1"


def test_a_read_only_home_is_no_obstacle(offline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UV_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/1/no-such-home")
    made = place.find(offline, [Install(("tiny_thing==1.0",))])
    made.make()
    assert says(made, VALUE) == "1"


def test_the_callers_environment_stays_as_it_is(offline: Path) -> None:
    site = Path(shutil.__file__).parent / "site-packages"
    ours = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    before = [sorted(each.name for each in folder.iterdir()) for folder in (site, ours)]
    place.find(offline, [Install(("tiny_thing==2.0",))]).make()
    assert [sorted(each.name for each in folder.iterdir()) for folder in (site, ours)] == before


def test_a_file_of_requirements_is_read(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# all\n--index-url https://h/s\nTiny_Thing==1.0  # pinned\n\nother>=1 \\\n  --hash=sha256:abc\n--pre\n"
    )
    found = requirements.read(file)
    assert found.index == "https://h/s"
    assert found.pre
    assert [" ".join(each.split()) for each in found.packages] == ["other>=1 --hash=sha256:abc", "tiny-thing==1.0"]
    for line in ("-r other.txt", "-c limits.txt", "-e .", "./here", "https://x/y.whl", "--target x"):
        file.write_text(f"six\n{line}\n")
        with pytest.raises(RunError, match=r"requirements\.txt:2: "):
            requirements.read(file)
