"""The files of a deployment: they are well-formed, and agree with the program."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shelfwise.settings import SETTINGS

PROJECT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if not found:
        pytest.skip(f"{name} is not installed; `make test` installs what the lock names")
    return found


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_fits_its_schema() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_the_dockerfile_passes_hadolint() -> None:
    run(tool("hadolint"), "Dockerfile")


def test_every_variable_is_a_setting() -> None:
    known = {s.variable for s in SETTINGS} | {f"{s.variable}_FILE" for s in SETTINGS if s.secret}
    for name in ("compose.yaml", "Dockerfile"):
        text = (PROJECT / name).read_text(encoding="utf-8")
        found = set(re.findall(r"\b(SHELFWISE_[A-Z_]+)(?:=|: )", text))
        assert found
        assert found <= known, name


def test_every_secret_that_a_service_reads_is_given_to_it() -> None:
    for name, service in COMPOSE["services"].items():
        for value in service.get("environment", {}).values():
            if str(value).startswith("/run/secrets/"):
                secret = str(value).removeprefix("/run/secrets/")
                assert secret in service["secrets"], (name, secret)
                assert secret in COMPOSE["secrets"]


def test_every_command_is_one_of_the_program() -> None:
    from shelfwise.cli import app

    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    for name in ("migrate", "web", "worker"):
        command = COMPOSE["services"][name]["command"]
        assert command[0] == "shelfwise"
        assert command[1] in known


def test_containers_give_up_what_they_do_not_need() -> None:
    for name in ("migrate", "web", "worker"):
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    assert COMPOSE["services"]["web"]["ports"] == ["127.0.0.1:${SHELFWISE_PORT:-8000}:8000"]
