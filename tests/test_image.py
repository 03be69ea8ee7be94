"""The image, built from the Dockerfile and run, without a Docker engine.

buildah builds it, on a stand-in for its base: Debian with its own Python, under the names
that the official image has. Packages come from wheels that this machine's pip has fetched,
so the build itself needs no network, and takes the very files that the lock names.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
TOOLS = ("buildah", "mmdebstrap", "unshare", "nsenter", "setpriv")
KEY = "k" * 24
OWNER = 10_001
# What the official image has and Debian has not: these names, and a pip that may install.
AS_OFFICIAL = (
    'ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
    'ln -s /usr/bin/pip3 "$1/usr/local/bin/pip"',
    'rm "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
)
# As compose.yaml runs it: all read-only but /data, which is the volume, and /tmp.
IN_CONTAINER = """
set -eu
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev,noexec tmpfs "$ROOT/dev/shm"
mount -t tmpfs -o size=512m,mode=1777,nosuid,nodev,noexec tmpfs "$ROOT/tmp"
mount --bind "$DATA" "$ROOT/data"
exec "$@"
"""

pytestmark = pytest.mark.slow


def run(*command: str | Path, **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return str(done.stdout)


@dataclass(frozen=True)
class Image:
    """A built image: its configuration, and the folder in which its files can be seen."""

    root: Path
    config: dict[str, Any]

    def command(self, *command: str, **variables: str) -> list[str]:
        """A command as the engine would start it: the image's user, variables and folder."""
        given = [f"{name}={value}" for name, value in variables.items()]
        user = ["chroot", f"--userspec={self.config['User']}", str(self.root)]
        place = ["/usr/bin/env", "-i", "-C", self.config["WorkingDir"]]
        return ["setpriv", "--no-new-privs", *user, *place, *self.config["Env"], *given, *command]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed (Debian: apt install buildah mmdebstrap)")
    if os.geteuid() != 0:
        pytest.skip("an image can be built and mounted by root only")
    folder = tmp_path_factory.mktemp("image")
    here = buildah(folder)
    version = make_base(here)
    fetch_wheels(folder / "wheels", version)
    (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    run(
        *here, "bud", "--isolation", "chroot", "--pull-never", "--format", "docker",
        "--volume", f"{folder}/wheels:/wheels:ro",
        "--volume", f"{folder}/pip.conf:/etc/pip.conf:ro",
        "--tag", "shelfwise", PROJECT,
    )  # fmt: skip
    container = run(*here, "from", "--pull-never", "shelfwise").strip()
    config = json.loads(run(*here, "inspect", "--type", "image", "shelfwise"))["Docker"]["config"]
    try:
        yield Image(Path(run(*here, "mount", container).strip()), config)
    finally:
        run(*here, "rm", "--all")
        run(*here, "rmi", "--all", "--force")


def buildah(folder: Path) -> tuple[str, ...]:
    """buildah with a store of its own; overlays are fast, but not every machine can mount them."""
    for driver in ("overlay", "vfs"):
        place = ("--root", str(folder / driver), "--runroot", str(folder / "run"))
        here = ("buildah", *place, "--storage-driver", driver)
        if subprocess.run([*here, "info"], capture_output=True, check=False).returncode == 0:
            break
    return here


def make_base(here: tuple[str, ...]) -> str:
    """Make the stand-in python:3.13-slim; the version of its Python."""
    known = dict(line.split("=", 1) for line in
                 Path("/etc/os-release").read_text().splitlines() if "=" in line)  # fmt: skip
    hooks = [f"--customize-hook={hook}" for hook in AS_OFFICIAL]
    sources = [p for p in (Path("/etc/apt/sources.list.d/debian.sources"),
                           Path("/etc/apt/sources.list")) if p.exists()]  # fmt: skip
    base = run(*here, "from", "scratch").strip()
    root = Path(run(*here, "mount", base).strip())
    run(
        "mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory",
        "--dpkgopt=force-unsafe-io", "--include=python3,python3-venv,python3-pip",
        *hooks, known["VERSION_CODENAME"], root, *sources[:1],
    )  # fmt: skip
    version = run(
        "chroot", root, "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"
    ).strip()
    run(*here, "umount", base)
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    run(*here, "config", "--env", f"PATH={path}", base)
    run(*here, "commit", "--rm", "--format", "docker", base, "python:3.13-slim")
    return version


def fetch_wheels(folder: Path, version: str) -> None:
    """What the lock names, for that Python, from where this machine's pip gets its packages."""
    locks = [option for name in ("build", "serve")
             for option in ("-r", PROJECT / "requirements" / f"{name}.txt")]  # fmt: skip
    run(
        sys.executable, "-m", "pip", "download", "-q", "--require-hashes", "--only-binary", ":all:",
        "--python-version", version, "--dest", folder, *locks,
    )  # fmt: skip


@dataclass(frozen=True)
class Container:
    """The service as it runs in the image."""

    image: Image
    process: subprocess.Popen[bytes]
    port: int
    data: Path

    def inside(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """A command beside the service, as `docker exec` would run it."""
        enter = ["nsenter", f"--target={self.process.pid}", "--mount"]
        return subprocess.run(
            [*enter, *self.image.command(*command)], capture_output=True, text=True, check=False
        )

    def ask(self, path: str, body: Any = None, **headers: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "X-API-Key": KEY} | headers,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def container(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The image's own command, with another port, until the block ends."""
    folder = tmp_path_factory.mktemp("container")
    data = folder / "data"
    # An engine makes a new volume like the folder that the image has in its place.
    like = (image.root / "data").stat()
    data.mkdir()
    data.chmod(like.st_mode & 0o7777)
    os.chown(data, like.st_uid, like.st_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [part.replace("8000", str(port)) for part in image.config["Cmd"]]
    log = folder / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_CONTAINER, "sh",
             *image.command(*command, SHELFWISE_API_KEY=KEY)],
            env=os.environ | {"ROOT": str(image.root), "DATA": str(data)},
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        end = time.monotonic() + 90
        while "Stop: Ctrl-C" not in (said := log.read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.1)
        yield Container(image, process, port, data)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


SHOP = [{"product_id": n, "name": "Lamp", "price": 2.5 * n, "units_sold": 3, "stock": n}
        for n in range(1, 30)]  # fmt: skip


def test_the_image_says_what_an_engine_has_to_know(image: Image) -> None:
    assert image.config["User"] == f"{OWNER}:{OWNER}"
    assert list(image.config["Volumes"]) == ["/data"]
    assert list(image.config["ExposedPorts"]) == ["8000/tcp"]
    assert image.config["Cmd"][0] == "shelfwise"
    assert image.config["Healthcheck"]["Test"][0] == "CMD"


def test_the_program_cannot_change_itself_and_has_no_tools(image: Image) -> None:
    program = image.root / "opt" / "shelfwise"
    assert {path.lstat().st_uid for path in program.rglob("*")} == {0}
    names = {path.name for path in (program / "bin").iterdir()}
    assert "shelfwise" in names
    assert not {"pip", "hatchling", "pytest"} & names
    assert not list(image.root.glob("wheels/*"))


def test_it_is_healthy_and_scores(container: Container) -> None:
    check = [part.replace("8000", str(container.port))
             for part in container.image.config["Healthcheck"]["Test"][1:]]  # fmt: skip
    assert container.inside(*check).returncode == 0
    wrong = [part.replace("/readyz", "/nothing") for part in check]
    assert container.inside(*wrong).returncode == 1
    answer = container.ask("/product-analysis", SHOP)
    assert answer["summary"]["products"] == len(SHOP)


def test_it_keeps_runs_and_does_jobs_in_its_volume(container: Container) -> None:
    run_id = container.ask("/product-analysis?save=1", SHOP)["run_id"]
    job = container.ask("/product-analysis", SHOP, Prefer="respond-async")
    end = time.monotonic() + 90
    while not (found := container.ask(f"/v1/jobs/{job['id']}"))["finished_at"]:
        assert time.monotonic() < end
        time.sleep(0.3)
    assert found["state"] == "succeeded", found
    assert {run["id"] for run in container.ask("/v1/runs")["data"]} == {run_id, found["run_id"]}
    written = list(container.data.rglob("*"))
    assert {"shelfwise.db", "results", "uploads"} <= {path.name for path in written}
    assert {path.stat().st_uid for path in written} == {OWNER}
    # The commands of docs/how-to/production.md for a backup, without the engine's part of them.
    packed = container.inside("sh", "-c", "tar -c -C /data results | tar -t")
    assert packed.stdout.count(".parquet") >= 1, packed.stderr
    listed = container.inside("shelfwise", "runs", "list")
    assert listed.returncode == 0, listed.stderr


def test_it_runs_as_its_user_and_can_write_nowhere_else(container: Container) -> None:
    group = [container.process.pid]
    for pid in group:  # It grows by the children of each.
        told = Path(f"/proc/{pid}/status").read_text()
        ids = [line.split()[1:] for line in told.splitlines() if line[:4] in ("Uid:", "Gid:")]
        assert ids == [[str(OWNER)] * 4] * 2
        assert "CapEff:\t0000000000000000" in told
        for task in Path(f"/proc/{pid}/task").iterdir():
            group += map(int, (task / "children").read_text().split())
    assert len(group) > 1  # The worker.
    probe = (
        "import os, sys\n"
        "for folder, _, _ in os.walk('/'):\n"
        "    if folder.split('/')[1] not in ('proc', 'sys', 'dev'):\n"
        "        try:\n"
        "            open(folder + '/probe', 'x').close()\n"
        "            os.remove(folder + '/probe')\n"
        "        except OSError:\n"
        "            continue\n"
        "        print(folder)\n"
    )
    writable = container.inside("python", "-c", probe).stdout.split()
    assert {"/".join(path.split("/")[:2]) for path in writable} == {"/data", "/tmp"}


def test_it_refuses_to_answer_others_without_a_key(container: Container) -> None:
    done = container.inside("shelfwise", "serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 7
    assert "SHELFWISE_API_KEY" in done.stderr
