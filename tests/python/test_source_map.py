"""src/README.md names every file of the source, and no other; no file, nor the README, is too long to read at once."""

import re

from conftest import TOP


def test_every_file_has_its_line() -> None:
    files = [
        path.stem
        for folder in ("src", "include")
        for path in (TOP / folder).rglob("*")
        if path.suffix in (".h", ".cpp", ".inc")
    ]
    section = (TOP / "src" / "README.md").read_text().split("## The files\n")[1].split("\n## ")[0]
    named = [
        name for row in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", row)
    ]
    named += re.findall(r"from `(\w+_tables)`", section)
    assert len(named) == len(set(named))
    assert set(files) - set(named) == set()
    assert set(named) - set(files) == set()


def test_the_readme_is_read_in_one_go() -> None:
    assert len((TOP / "README.md").read_text().splitlines()) <= 150


def test_no_file_is_longer_than_500_lines() -> None:
    long = {
        path.name: count
        for folder in ("src", "include")
        for path in (TOP / folder).rglob("*")
        if path.suffix in (".h", ".cpp") and "kernels" not in str(path)
        if (count := len(path.read_text().splitlines())) > 500
    }
    assert long == {}
