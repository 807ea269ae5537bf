"""The files in deploy/ agree with the service and with each other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from app.config import Settings
from tests.running import ROOT

PROJECT = ROOT.parent
DEPLOY = PROJECT / "deploy"
SETTINGS = {field.name.upper() for field in fields(Settings)}
UNIT = (DEPLOY / "box-office.service").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICE: dict[str, Any] = COMPOSE["services"]["box-office"]

COPIED = {
    name
    for names in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    for name in names.split()
}
IMAGE_SETTINGS = dict(
    word.split("=") for line in re.findall(r"^ENV (.*)", DOCKERFILE, re.M) for word in line.split()
)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if not tool:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing")
        pytest.skip("needs systemd-analyze")
    # It requires the program to exist.
    unit = re.sub("^ExecStart=[^ ]+", f"ExecStart={sys.executable}", UNIT, flags=re.MULTILINE)
    (tmp_path / "box-office.service").write_text(unit)
    checked = subprocess.run(
        [tool, "verify", tmp_path / "box-office.service"], capture_output=True, text=True
    )
    # It may also report on other units of the machine.
    assert checked.returncode == 0
    assert "box-office" not in checked.stderr


def test_the_unit_keeps_data_where_a_socket_path_fits() -> None:
    (data_dir,) = re.findall("^Environment=DATA_DIR=(.*)", UNIT, re.MULTILINE)
    assert f"StateDirectory={Path(data_dir).relative_to('/var/lib')}\n" in UNIT
    assert len(f"{data_dir}/mongodb/mongod.sock") <= 107


def test_variables_are_settings() -> None:
    in_unit = set(re.findall("^Environment=([^=]+)", UNIT, re.MULTILINE))
    in_compose = set(re.findall(r"(?<!\$)\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    in_readme = set(re.findall(r"\b([A-Z_]{4,})=", (DEPLOY / "README.md").read_text()))
    for names in (in_unit, in_compose, in_readme, IMAGE_SETTINGS.keys(), SERVICE["environment"]):
        assert names
        assert set(names) <= SETTINGS


def test_the_image_has_everything_the_service_needs() -> None:
    assert {"requirements.txt", "app", "root.py", "gunicorn.conf.py"} == COPIED
    assert all((PROJECT / path).exists() for path in COPIED)
    let_in = re.findall("^!(.*)", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert set(let_in) == COPIED


def test_the_installation_copies_what_the_image_has() -> None:
    (copied,) = re.findall(r"^cp -r (.+) \S+$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert set(copied.split()) == COPIED


def test_the_image_runs_what_systemd_runs() -> None:
    (command,) = re.findall(r"^CMD (\[.*\])", DOCKERFILE, re.MULTILINE)
    (started,) = re.findall("^ExecStart=(.*)", UNIT, re.MULTILINE)
    program, *arguments = started.split()
    assert json.loads(command) == [Path(program).name, *arguments]


def test_compose_agrees_with_the_image() -> None:
    build = SERVICE["build"]
    assert (DEPLOY / build["context"]).resolve() == PROJECT
    assert (PROJECT / build["dockerfile"]).read_text() == DOCKERFILE
    assert f"EXPOSE {IMAGE_SETTINGS['PORT']}\n" in DOCKERFILE
    (published,) = SERVICE["ports"]
    assert published.split(":")[-1] == IMAGE_SETTINGS["PORT"]


def test_compose_gives_the_databases_the_names_in_the_uri() -> None:
    databases = [
        name for name, it in COMPOSE["services"].items() if it.get("command", [""])[0] == "mongod"
    ]
    assert SERVICE["environment"]["MONGODB_URI"] == (
        f"mongodb://{','.join(databases)}/?replicaSet=rs0"
    )
    assert all("ports" not in COMPOSE["services"][name] for name in databases)
    replica_set = COMPOSE["services"]["replica-set"]
    assert set(replica_set["depends_on"]) == set(databases)
    assert set(SERVICE["depends_on"]) <= set(COMPOSE["services"])
