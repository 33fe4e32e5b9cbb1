"""
Build the corpus: the source text of pinned source distributions, deduplicated and split by file.

The content's hash decides everything: which copy of a file is kept, on which side of the split it falls, and where
it stands, so that the same pins give the same bytes on every machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
SUFFIXES = {".py", ".pyi", ".pyx", ".rst", ".c", ".h"}
SMALLEST, LARGEST = 200, 400_000
"""Bytes of a file: less is a stub, more is a table that a program wrote."""
VALIDATION = 50
"""One file in this many is held out for validation."""

PACKAGES = (
    # project, version, licence, file, sha256 of the file
    (
        "sympy",
        "1.13.3",
        "BSD-3-Clause",
        "sympy-1.13.3.tar.gz",
        "b27fd2c6530e0ab39e275fc9b683895367e51d5da91baa8d3d64db2565fec4d9",
    ),
    (
        "Django",
        "5.1.4",
        "BSD-3-Clause",
        "Django-5.1.4.tar.gz",
        "de450c09e91879fa5a307f696e57c851955c910a438a35e6b4c895e86bedc82a",
    ),
    (
        "transformers",
        "4.47.1",
        "Apache-2.0",
        "transformers-4.47.1.tar.gz",
        "6c29c05a5f595e278481166539202bf8641281536df1c42357ee58a45d0a564a",
    ),
    (
        "salt",
        "3007.1",
        "Apache-2.0",
        "salt-3007.1.tar.gz",
        "b933ac4cb3e4b1118b46dada55c9cc6bdc6f0f94b4c92877aec44b25c6a28c9a",
    ),
    (
        "ansible-core",
        "2.18.1",
        "GPL-3.0-or-later",
        "ansible_core-2.18.1.tar.gz",
        "14cac1f92bbdae881cb0616eddeb17925e8cb507e486087975e724533d9de74f",
    ),
    (
        "Twisted",
        "24.11.0",
        "MIT",
        "twisted-24.11.0.tar.gz",
        "695d0556d5ec579dcc464d2856b634880ed1319f45b10d19043f2b57eb0115b5",
    ),
    (
        "networkx",
        "3.4.2",
        "BSD-3-Clause",
        "networkx-3.4.2.tar.gz",
        "307c3669428c5362aab27c8a1260aa8f47c4e91d3891f48be0141738d8d053e1",
    ),
    (
        "Sphinx",
        "8.1.3",
        "BSD-2-Clause",
        "sphinx-8.1.3.tar.gz",
        "43c1911eecb0d3e161ad78611bc905d1ad0e523e4ddc202a58a821773dc4c927",
    ),
    (
        "nltk",
        "3.9.1",
        "Apache-2.0",
        "nltk-3.9.1.tar.gz",
        "87d127bd3de4bd89a4f81265e5fa59cb1b199b27440175370f7417d2bc7ae868",
    ),
)


def download(folder: Path) -> list[Path]:
    """Fetch the pinned source distributions with pip where they are missing, and check every hash."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for project, version, _, name, expected in PACKAGES:
        file = folder / name
        if not file.exists():
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
            subprocess.run([*pip, "--dest", str(folder), f"{project}=={version}"], check=True)  # noqa: S603
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != expected:
            msg = f"{file} has sha256 {found}, and {expected} was pinned; delete it and download it again."
            raise SystemExit(msg)
        files.append(file)
    return files


def source_texts(archives: Iterable[Path]) -> Iterator[bytes]:
    """Yield the content of every source file of the archives that is text of a usual size."""
    for archive in archives:
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and Path(member.name).suffix in SUFFIXES and SMALLEST <= member.size <= LARGEST:
                    handle = opened.extractfile(member)
                    text = b"" if handle is None else handle.read()
                    if text and b"\0" not in text:
                        yield text


def split(texts: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """
    Return train and validation: each distinct text once, in the order of its hash, which also picks its side.

    Texts that differ only in the space around their lines count as the same.
    """
    kept: dict[bytes, bytes] = {}
    for text in texts:
        key = hashlib.sha256(b"\n".join(line.strip() for line in text.splitlines())).digest()
        kept[key] = min(text, kept.get(key, text))
    ordered = sorted(kept)
    held_out = [key for key in ordered if int.from_bytes(key[-4:], "big") % VALIDATION == 0]
    chosen = set(held_out)
    return [kept[key] for key in ordered if key not in chosen], [kept[key] for key in held_out]


def write(folder: Path, train: list[bytes], validation: list[bytes]) -> dict[str, object]:
    """Write train.bin and val.bin, files joined by a zero byte, and corpus.json, which says what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    card: dict[str, object] = {}
    for name, texts in (("train", train), ("val", validation)):
        joined = b"\0".join(texts)
        (folder / f"{name}.bin").write_bytes(joined)
        card[name] = {"bytes": len(joined), "files": len(texts), "sha256": hashlib.sha256(joined).hexdigest()}
    names = ("project", "version", "licence", "file", "sha256")
    card["packages"] = [dict(zip(names, package, strict=True)) for package in PACKAGES]
    (folder / "corpus.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def main() -> None:
    """Download, extract, split and write the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUILD / "corpus", help="folder of train.bin and val.bin")
    parser.add_argument("--downloads", type=Path, default=BUILD / "downloads", help="folder of the distributions")
    asked = parser.parse_args()
    card = write(asked.out, *split(source_texts(download(asked.downloads))))
    print(json.dumps({side: card[side] for side in ("train", "val")}, indent=2))


if __name__ == "__main__":
    main()
