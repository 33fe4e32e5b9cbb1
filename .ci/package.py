"""Build what is released, twice: the source archive, the wheel from that archive, and both again, byte for byte."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The date of every file in the archives; any fixed one will do.
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "1767225600")}
SDIST = "import hatchling.build, sys; hatchling.build.build_sdist(sys.argv[1])"
WHEEL = "import hatchling.build, sys; hatchling.build.build_wheel(sys.argv[1])"


def build(where: Path) -> dict[str, str]:
    """Build both into a folder; return their hashes."""
    where.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", SDIST, where], cwd=ROOT, env=ENVIRONMENT, check=True)
    (archive,) = where.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
        (source,) = Path(folder).iterdir()
        subprocess.run([sys.executable, "-c", WHEEL, where], cwd=source, env=ENVIRONMENT, check=True)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(where.iterdir())}


with tempfile.TemporaryDirectory() as again:
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    first, second = build(ROOT / "dist"), build(Path(again) / "dist")
if first != second:
    raise SystemExit(f"two builds differ: {first} and {second}")
for name, digest in first.items():
    sys.stdout.write(f"{digest}  dist/{name}\n")
