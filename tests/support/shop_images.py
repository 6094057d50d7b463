"""What the shop in tests/shop is made of, under the names that it has for them: images shaped like the official ones.

`python:3.11-slim` has pip, and the wheels of the shop's requirements where pip looks for them; `postgres:15` is Debian's
PostgreSQL with as much of the official image's entrypoint as the shop needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.guards import REAL_HOME
from tests.support.images import Root, busybox_root, image_archive, python_root
from tests.support.net import in_machine_network

SHOP = Path(__file__).parent.parent / "shop"
PYTHON = "python:3.11-slim"
POSTGRES = "postgres:15"
PIP = "pip==26.3"
VERSION = max((path.parent.parent.name for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")), key=int, default="15")
"""Of Debian's PostgreSQL, whatever the image is called."""
POSTGRES_PROGRAMS = Path(f"/usr/lib/postgresql/{VERSION}/bin")
POSTGRES_FILES = (f"/usr/lib/postgresql/{VERSION}/lib/", f"/usr/share/postgresql/{VERSION}/")
POSTGRES_LEAVES_OUT = ("/bitcode/", "/llvmjit", "/man/", "/locale/", "/libpqwalreceiver", "perl")

# As in the official image (docker-library/postgres): a database is made in an empty directory, then the program takes over.
POSTGRES_ENTRYPOINT = """\
#!/bin/sh
set -eu
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown postgres:postgres "$PGDATA"
    chmod 700 "$PGDATA"
    exec /usr/bin/setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf '%s\\n' "${POSTGRES_PASSWORD:?}" >/tmp/password
    initdb --pgdata="$PGDATA" --username="${POSTGRES_USER:=postgres}" --pwfile=/tmp/password --auth=scram-sha-256 --no-locale \\
        --encoding=UTF8 --no-sync
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE ${POSTGRES_DB:-$POSTGRES_USER}" | postgres --single -D "$PGDATA" postgres >/dev/null
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/tmp
"""


def shop_python_root(wheels: Path) -> Root:
    """Debian's python3 with pip, and wheels at /wheels."""
    root = python_root(tests=True)
    packages = "/usr/lib/python3/dist-packages"
    for wheel in sorted(wheels.iterdir()):
        if wheel.name.startswith("pip-"):
            with zipfile.ZipFile(wheel) as archive:
                root.files |= {f"{packages}/{name}": (0o644, archive.read(name)) for name in archive.namelist()}
        else:
            root.copy(wheel, f"/wheels/{wheel.name}")
    for library in _output("dpkg", "-L", "libc6").splitlines():  # wheels with compiled code take them for granted
        if (
            library.startswith(("/lib/", "/usr/lib/"))
            and ".so" in library
            and "/gconv/" not in library
            and Path(library).is_file()
        ):
            root.copy(Path(library))
    root.files["/usr/local/bin/pip"] = (0o755, b'#!/bin/sh\nexec python3 -m pip "$@"\n')
    return root


def postgres_root() -> Root:
    """Debian's PostgreSQL server on top of busybox."""
    root = busybox_root()
    for name in _output("dpkg", "-L", f"postgresql-{VERSION}").splitlines():
        path = Path(name)
        if name.startswith(POSTGRES_FILES) and path.is_file() and not any(part in name for part in POSTGRES_LEAVES_OUT):
            (root.copy_program if path.suffix == ".so" else root.copy)(path)
    for program in ("initdb", "postgres"):
        root.copy_program(POSTGRES_PROGRAMS / program)
    root.copy_program(Path("/usr/bin/setpriv"))
    root.copy(Path("/usr/share/zoneinfo/UTC").resolve(), "/usr/share/zoneinfo/UTC")
    root.files["/etc/passwd"] = (0o644, b"root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n")
    root.files["/etc/group"] = (0o644, b"root:x:0:\npostgres:x:999:\n")
    root.files["/usr/local/bin/docker-entrypoint.sh"] = (0o755, POSTGRES_ENTRYPOINT.encode())
    root.directories |= {"/var/lib/postgresql": (0o755, 999), "/var/lib/postgresql/data": (0o700, 999)}
    return root


PATH = f"PATH={POSTGRES_PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POSTGRES_CONFIG = {
    "Env": [PATH, "PGDATA=/var/lib/postgresql/data"],
    "Entrypoint": ["docker-entrypoint.sh"],
    "Cmd": ["postgres"],
    "StopSignal": "SIGINT",
    "Volumes": {"/var/lib/postgresql/data": {}},
    "ExposedPorts": {"5432/tcp": {}},
}
PYTHON_CONFIG = {
    "Cmd": ["python3"],
    "Env": [
        PATH.replace(f"{POSTGRES_PROGRAMS}:", ""),
        *("PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels", "PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_ROOT_USER_ACTION=ignore"),
    ],
}


def archives(cache: Path) -> Mapping[str, Path]:
    """The archives of both images for `docker load`, by name; made if the cache has none."""
    wheels = _wheels(cache)
    recipes: Mapping[str, tuple[Callable[[], Root], Mapping[str, object]]] = {
        PYTHON: (lambda: shop_python_root(wheels), PYTHON_CONFIG),
        POSTGRES: (postgres_root, POSTGRES_CONFIG),
    }
    made = {}
    for reference, (recipe, config) in recipes.items():
        key = hashlib.sha256(Path(__file__).read_bytes() + wheels.name.encode()).hexdigest()[:12]
        path = cache / f"shop-{reference.partition(':')[0]}-{key}.tar"
        if not path.exists():
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(image_archive(reference, recipe().tar(), config))
            unfinished.rename(path)
        made[reference] = path
    return made


def _wheels(cache: Path) -> Path:
    requirements = SHOP / "requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + PIP.encode()).hexdigest()[:12]
    directory = cache / f"shop-wheels-{key}"
    if not directory.exists():
        unfinished = directory.with_suffix(f".{os.getpid()}")
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--only-binary=:all:"]
        command += ["--dest", str(unfinished), "--requirement", str(requirements), PIP]
        environment = {**os.environ, "HOME": str(REAL_HOME)}  # pip's own settings name its index
        subprocess.run(in_machine_network(*command), check=True, env=environment)
        with contextlib.suppress(OSError):  # another process of the same run was faster
            unfinished.rename(directory)
        shutil.rmtree(unfinished, ignore_errors=True)
    return directory


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
