"""What is in the images, and what is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from machine import IMAGES, REPOSITORY, VERSION, Database, Podman, Postgres, wait_until

# Of what is released: built with the profile dist, whose link-time optimisation takes too long for each run of the tests.
LIMITS = {"order-food": 20, "database-migration": 12, "database-load": 12}
# What the profile release makes of the same programs is so much larger at most.
UNOPTIMISED = 1.2
# What else an image holds than its program.
FILES = {"etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"}
FOLDERS = {"data", "etc", "etc/ssl", "etc/ssl/certs", "tmp"}

each_image = pytest.mark.parametrize("image", IMAGES)


@pytest.fixture(scope="module")
def archives(podman: Podman, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The images as archives."""
    folder = tmp_path_factory.mktemp("archives")
    for image in images:
        podman("save", "--quiet", "--format", "oci-archive", "--output", folder / f"{image}.tar", f"{image}:{VERSION}")
    return {image: folder / f"{image}.tar" for image in images}


def members(archive: Path) -> dict[str, tarfile.TarInfo]:
    """All files of an image, by path."""
    with tarfile.open(archive) as outer:

        def blob(digest: str):
            return outer.extractfile(f"blobs/{digest.replace(':', '/')}")

        index = json.load(outer.extractfile("index.json"))
        manifest = json.load(blob(index["manifests"][0]["digest"]))
        found = {}
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=blob(layer["digest"])) as inner:
                found |= {member.name.strip("/"): member for member in inner}
        return found


@each_image
def test_size(podman: Podman, images: dict, image: str) -> None:
    megabytes = int(podman("image", "inspect", "--format", "{{.Size}}", images[image])) / 1e6
    is_released = Path(os.environ["ORDER_FOOD_PROGRAMS"]).name == "dist"
    assert megabytes <= LIMITS[image] * (1 if is_released else UNOPTIMISED)


@each_image
def test_has_its_program_and_nothing_that_could_run_beside_it(archives: dict, image: str) -> None:
    found = members(archives[image])
    folders = {path for path, member in found.items() if member.isdir()} - {""}
    assert set(found) - folders - {""} == FILES | {image}
    assert folders == FOLDERS
    assert all(member.uid == 0 for path, member in found.items() if path != "data")
    assert (found["data"].uid, found["data"].gid) == (65532, 65532)
    assert found["tmp"].mode & 0o7777 == 0o1777
    assert not any(member.mode & 0o6022 for path, member in found.items() if path != "tmp"), "a file that others may write"


@each_image
def test_configuration(podman: Podman, images: dict, image: str) -> None:
    [inspected] = json.loads(podman("image", "inspect", images[image]))
    configuration = inspected["Config"]
    assert configuration["User"] == "65532:65532"
    assert configuration["Entrypoint"] == [f"/{image}"]
    assert not configuration.get("Cmd")
    labels = configuration["Labels"]
    manifest = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())
    assert labels["org.opencontainers.image.title"] == image
    assert labels["org.opencontainers.image.version"] == manifest["workspace"]["package"]["version"] == VERSION
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert len(labels["org.opencontainers.image.revision"]) == 40
    assert labels["org.opencontainers.image.description"]
    if image == "order-food":
        assert "SERVER_ADDRESS=0.0.0.0" in configuration["Env"]
        assert "8080/tcp" in configuration["ExposedPorts"]


def test_the_same_programs_make_the_same_images(podman: Podman, images: dict, programs: Path) -> None:
    assert podman.build(programs) == images


@each_image
def test_bill_of_materials(archives: dict, image: str) -> None:
    """What a scanner sees: the list of dependencies inside the program."""
    syft = Path(sys.executable).with_name("syft")
    done = subprocess.run([syft, "scan", f"oci-archive:{archives[image]}", "-o", "cyclonedx-json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    bill = json.loads(done.stdout)
    found = {(part["name"], part["version"]) for part in bill["components"] if part["type"] == "library"}
    lock = tomllib.loads((REPOSITORY / "Cargo.lock").read_text())
    locked = {(package["name"], package["version"]) for package in lock["package"]}
    complete = found <= locked and {"sqlx", "tokio", "rustls"} <= {name for name, _ in found} and len(found) > 100
    assert complete, sorted(found - locked)


def test_health_check(podman: Podman, images: dict, programs: Path) -> None:
    """The OCI format knows none, so one image is built in docker's, as docker does."""
    podman.build(programs, tag="checked", BUILDAH_FORMAT="docker")
    container = podman("run", "--detach", "--read-only", "--volume", "/data", "order-food:checked")
    assert podman.inspect(container)["Config"]["Healthcheck"]["Test"] == ["CMD", "/order-food", "healthcheck"]
    wait_until(lambda: podman.run("healthcheck", "run", container).returncode == 0, 10, "podman finds it healthy")
    podman("rm", "--force", "--time", "0", container)


def test_runs_without_any_setting(podman: Podman, images: dict) -> None:
    """For trying out: SQLite in /data, and a client in another container that finds it by name."""
    server = podman("run", "--detach", "--network", podman.network, "--name", "trying-out", f"order-food:{VERSION}")
    client = ["run", "--rm", "--network", podman.network, "--read-only", "--cap-drop", "all", f"order-food:{VERSION}", "healthcheck"]
    named = [*client, "--url", "http://trying-out:8080/readyz"]
    answers: list = []
    wait_until(lambda: podman.run(*named).returncode == 0, 10, "healthy as seen from another container")
    podman("exec", server, "/order-food", "healthcheck")
    assert podman.run(*client).returncode == 1, "nobody listens in the client's own container"
    assert podman.run(*client, "--url", "http://no-such-name:8080/readyz").returncode == 1
    podman("rm", "--force", "--time", "0", server)


def test_tls_is_verified_with_the_authorities_of_the_image(
    podman: Podman, images: dict, database: Database, tmp_path: Path
) -> None:
    authority = certify(database.postgres, tmp_path)
    url = f"postgres://tls_only@localhost:{database.postgres.url.port}/{database.name}?sslmode=verify-full"
    run = ["run", "--rm", "--network", "host", "--read-only", "--env", "WAIT_SECONDS=2", "--env", f"DATABASE_URL={url}"]
    image = f"database-migration:{VERSION}"
    refused = podman.run(*run, image)
    assert refused.returncode == 3
    assert "UnknownIssuer" in refused.stdout + refused.stderr
    podman(*run, "--volume", f"{authority}:/etc/ssl/certs/ca-certificates.crt:ro", image)
    assert database.sql("select count(*) from products") == "0"


def certify(postgres: Postgres, folder: Path) -> Path:
    """Gives the server a certificate from a new authority; the authority's own certificate."""
    data = Path(postgres.sql("postgres", "show data_directory"))

    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)

    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.crt")
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout signed.key -out request")
    openssl("x509 -req -in request -CA authority.crt -CAkey authority.key -days 2 -extfile names -out signed.crt")
    for file in ("signed.key", "signed.crt"):
        shutil.copy(folder / file, data / file)
        shutil.chown(data / file, data.owner(), data.group())
        (data / file).chmod(0o600)
    postgres.sql("postgres", "alter system set ssl_cert_file = 'signed.crt'")
    postgres.sql("postgres", "alter system set ssl_key_file = 'signed.key'")
    postgres.sql("postgres", "select pg_reload_conf()")
    return folder / "authority.crt"
