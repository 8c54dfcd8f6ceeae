#!/usr/bin/env python3
"""Adds to the tree of a package what tells of its contents: the licenses, and a bill of materials (SPDX 2.3, JSON).

share/doc/reviewrate/copyright lists what the package is made of, share/doc/reviewrate/licenses/ has the texts, and
share/doc/reviewrate/reviewrate.spdx.json the versions and the checksums. A library in lib/reviewrate comes either from
torch or pyarrow of the Python that runs this, or from a Debian package of this machine; one that comes from neither is
an error.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
WHEELS = {"torch": "BSD-3-Clause", "pyarrow": "Apache-2.0"}
HEADERS = ("libboost1.74-dev", "libcli11-dev", "nlohmann-json3-dev")  # what is compiled into the program itself


@dataclass
class Part:
    """Something that the package is made of."""

    name: str
    version: str
    license: str  # SPDX's name of it
    url: str  # where it comes from, as a package URL (purl)
    texts: list[tuple[str, str]]  # the license's titles and texts
    linked: str = "DYNAMIC_LINK"  # SPDX's word for how the program has it
    within: str = "reviewrate"  # the part that has it
    files: list[Path] = field(default_factory=list)


def wheel(name: str) -> Part:
    """torch or pyarrow, with every license that the wheel carries."""
    found = importlib.metadata.distribution(name)
    folder = Path(str(found.locate_file(""))) / f"{name}-{found.version}.dist-info" / "licenses"
    texts = [
        (f"{name}: {path.relative_to(folder)}", path.read_text(errors="replace"))
        for path in sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path))
        if path.is_file()
    ]
    if not texts:
        raise SystemExit(f"contents.py: {folder}: has no license")
    return Part(name, found.version, WHEELS[name], f"pkg:pypi/{name}@{found.version}", texts)


def built_into_torch() -> list[Part]:
    """The libraries of vendors that libtorch_cpu.so has within it."""
    import torch

    told = torch.__config__.show()
    parts = []
    if found := re.search(r"Math Kernel Library Version (\S+)", told):
        license_text = (Path(__file__).parent / "onemkl.txt").read_text()
        url = f"pkg:generic/onemkl@{found[1]}"
        parts.append(
            Part("onemkl", found[1], "LicenseRef-ISSL", url, [("oneMKL", license_text)], "STATIC_LINK", "torch")
        )
    if found := re.search(r"MKL-DNN v(\S+)", told):
        url = f"pkg:github/uxlfoundation/oneDNN@v{found[1]}"
        parts.append(
            Part("onednn", found[1], "Apache-2.0", url, [], "STATIC_LINK", "torch")
        )  # its text is among torch's
    return parts


def debian(name: str) -> Part:
    """A Debian package of this machine."""
    query = ["dpkg-query", "-W", "-f", "${Version} ${Architecture}", name]
    version, architecture = subprocess.run(query, check=True, capture_output=True, text=True).stdout.split()
    text = Path("/usr/share/doc", name, "copyright").read_text(errors="replace")
    url = f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={architecture}"
    return Part(name, version, "NOASSERTION", url, [(name, text)])


def owner(library: Path) -> str | None:
    """The Debian package that a library of this file name belongs to."""
    found = subprocess.run(["dpkg-query", "-S", f"*/{library.name}"], check=False, capture_output=True, text=True)
    return found.stdout.partition(":")[0] or None


def parts_of(libraries: list[Path]) -> list[Part]:
    """What the package is made of, beside the program."""
    wheels = {name: wheel(name) for name in WHEELS}
    of_wheel = {
        file.name: part for name, part in wheels.items() for file in importlib.metadata.distribution(name).files or []
    }
    packages: dict[str, Part] = {}
    for library in libraries:
        part = of_wheel.get(library.name)
        if part is None:
            name = owner(library)
            if name is None:
                raise SystemExit(
                    f"contents.py: {library.name}: belongs neither to {', '.join(WHEELS)} nor to a package"
                )
            part = packages.setdefault(name, debian(name))
        part.files.append(library)
    headers = [debian(name) for name in HEADERS]
    for part in headers:
        part.linked = "STATIC_LINK"
    used = [part for part in wheels.values() if part.files]
    return [*used, *built_into_torch(), *sorted(packages.values(), key=lambda part: part.name), *headers]


def write_licenses(folder: Path, version: str, parts: list[Part]) -> None:
    """copyright, and licenses/ beside it."""
    (folder / "licenses").mkdir(parents=True)
    shutil.copyfile(TOP / "LICENSE", folder / "licenses" / "reviewrate")
    lines = [
        f"reviewrate {version}, the program and its model models/imdb-small",
        "Copyright: the reviewrate authors",
        "License: Apache-2.0, /usr/share/common-licenses/Apache-2.0 or licenses/reviewrate beside this file",
        "",
        "It comes with libraries of others, unchanged but for debugging symbols, which were removed, and has headers",
        "of others within it. The files in licenses/ beside this one have their copyright and license.",
        "",
    ]
    for part in parts:
        within = "libtorch_cpu.so" if part.within == "torch" else "the program"
        names = ", ".join(file.name for file in part.files) or f"within {within}"
        lines += [f"{part.name} {part.version}: {names}"]
        if part.texts:
            text = "\n".join(f"==== {title} ====\n\n{text.strip()}\n" for title, text in part.texts)
            (folder / "licenses" / part.name).write_text(text)
    (folder / "copyright").write_text("\n".join(lines) + "\n")


def identifier(text: str) -> str:
    """Text as SPDX allows it in an identifier."""
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", text)


def bill(version: str, files: list[Path], root: Path, parts: list[Part]) -> dict[str, Any]:
    """The SPDX document."""

    def package(name: str, version: str, license: str, url: str) -> dict[str, Any]:
        return {
            "SPDXID": identifier(name),
            "name": name,
            "versionInfo": version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": license,
            "licenseDeclared": license,
            "copyrightText": "NOASSERTION",
            "externalRefs": [
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url}
            ],
        }

    def relation(one: str, kind: str, other: str) -> dict[str, str]:
        return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}

    def entry(path: Path) -> dict[str, Any]:
        data = path.read_bytes()
        sums = {name: hashlib.new(name.lower(), data).hexdigest() for name in ("SHA1", "SHA256")}
        return {
            "SPDXID": identifier(f"file-{path.relative_to(root)}"),
            "fileName": f"./{path.relative_to(root)}",
            "checksums": [{"algorithm": name, "checksumValue": value} for name, value in sums.items()],
            "licenseConcluded": "NOASSERTION",
            "copyrightText": "NOASSERTION",
        }

    program = identifier("reviewrate")
    source = {file: identifier(part.name) for part in parts for file in part.files}
    entries = [entry(path) for path in files]
    relations = [relation("SPDXRef-DOCUMENT", "DESCRIBES", program)]
    relations += [relation(identifier(part.within), part.linked, identifier(part.name)) for part in parts]
    relations += [
        relation(entry["SPDXID"], "GENERATED_FROM", source.get(path, program))
        for entry, path in zip(entries, files, strict=True)
    ]
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    unique = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([entries, relations]))
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"reviewrate-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/reviewrate-{version}-{unique}",
        "creationInfo": {"created": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: reviewrate-release"]},
        "packages": [package("reviewrate", version, "Apache-2.0", f"pkg:generic/reviewrate@{version}")]
        + [package(part.name, part.version, part.license, part.url) for part in parts],
        "files": entries,
        "relationships": relations,
        "hasExtractedLicensingInfos": [
            {
                "licenseId": "LicenseRef-ISSL",
                "name": "Intel Simplified Software License",
                "extractedText": (Path(__file__).parent / "onemkl.txt").read_text(),
            }
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the tree, with bin, lib and share")
    parser.add_argument("version", help="of reviewrate")
    arguments = parser.parse_args()
    root: Path = arguments.root
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    libraries = [path for path in files if path.parent.name == "reviewrate" and path.name.startswith("lib")]
    parts = parts_of(libraries)
    folder = root / "share" / "doc" / "reviewrate"
    write_licenses(folder, arguments.version, parts)
    document = bill(arguments.version, files, root, parts)
    (folder / "reviewrate.spdx.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
