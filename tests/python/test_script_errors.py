"""Every script ends bad input with one line "NAME: what: why" and exit status 2 (usage) or 3, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import calibrate
import export
import finetune
import plot_eval
import plot_growth
import teach
import teach_data
from command_line import Parser, bounded, command
from conftest import PATIENCE, TOP

Main = Callable[[list[str]], int]
MAINS: dict[str, Main] = {
    module.__name__: module.main for module in (calibrate, export, finetune, plot_eval, plot_growth, teach, teach_data)
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with inputs of all kinds of badness."""
    monkeypatch.chdir(tmp_path)
    reviews = [
        {"id": f"train/{n}", "text": f"t{n}", "label": n % 2, "split": "train" if n < 8 else "test"} for n in range(10)
    ]
    Path("reviews.jsonl").write_text("".join(json.dumps(review) + "\n" for review in reviews))
    Path("one.csv").write_text("text,label\nLovely,pos\n")
    Path("unlabelled.csv").write_text("text,verdict\nLovely,pos\nDull,neg\n")
    Path("validation.csv").write_text("text,label,split\nLovely,pos,validation\nDull,neg,validation\n")
    Path("bad.csv").write_text("text,label,split\nLovely,3,train\n")
    Path("ids.txt").write_text("train/0\ntrain/1\n")
    Path("others.txt").write_text("train/pos/99_9\n")
    one = np.zeros(1, np.uint16)
    np.savez("data.npz", ids=one, lengths=one + 1, labels=one, stars=one, folds=one, teacher_ids=one)
    Path("other.json").write_text('{"input": {"labelled": 3, "failed": 0}}\n')
    Path("none.json").write_text('{"input": {"labelled": 3, "failed": 3}}\n')
    Path("broken.json").write_text("{")
    Path("empty").mkdir()
    Path("broken").mkdir()
    Path("broken/config.json").write_text('{"model_type": "distilbert"}')
    Path("done").mkdir()
    Path("done/result.json").write_text("{}")
    return tmp_path


TRAINING = "--data reviews.jsonl --hold-out ids.txt"
TEACHING = "--base empty --device cpu -o out"
CASES = {
    "finetune -o out --data missing.csv": "missing.csv: No such file or directory",
    "finetune -o out --data empty": "empty: holds no review",
    "finetune -o out --data bad.csv": "bad.csv:2: the label is",
    "finetune -o out --data one.csv": "one.csv: no test reviews (field 'split'), and too few reviews to hold some out",
    "finetune -o out --data unlabelled.csv": "unlabelled.csv: no labelled train reviews (fields 'label' and 'split')",
    "finetune -o out --data validation.csv": "validation.csv: no labelled train reviews",
    "finetune -o out --data unlabelled.csv --text-field review": "unlabelled.csv:2: there is no field 'review'",
    "finetune -o out --data reviews.jsonl --init ./nowhere": "./nowhere: no such folder",
    "finetune -o out --data reviews.jsonl --init empty": "empty: neither a model's folder nor a model on the hub",
    f"calibrate empty -o out {TRAINING}": "empty: neither a model's folder nor a model on the hub",
    "calibrate empty -o out --data reviews.jsonl --hold-out others.txt": "others.txt: names none of the reviews",
    f"calibrate empty -o out --rating r.json {TRAINING}": "--rating: 2 of the 2 reviews of --hold-out have no stars",
    "calibrate ./nowhere -o out --data reviews.jsonl --hold-out missing.txt": "missing.txt: No such file or directory",
    "teach_data --data missing.jsonl --base empty -o out": "missing.jsonl: No such file or directory",
    "teach_data --data reviews.jsonl --base nowhere -o out": "nowhere: no such folder",
    "teach_data --data reviews.jsonl --base empty -o done": "done: is not empty: remove it, or name another folder",
    "teach_data --data reviews.jsonl --base empty -o out": "reviews.jsonl: too few train reviews for 3 folds",
    f"teach --data missing.npz --student empty {TEACHING}": "missing.npz: No such file or directory",
    f"teach --data reviews.jsonl --student empty {TEACHING}": "reviews.jsonl: is not what teach_data.py writes",
    f"teach --data data.npz --student nowhere {TEACHING}": "nowhere/config.json: No such file or directory",
    f"teach --data data.npz --student broken {TEACHING}": "broken: holds no model that can be read: ",
    "plot_eval missing.json a.png": "missing.json: No such file or directory",
    "plot_eval broken.json a.png": "broken.json: is not what `reviewrate eval --json` writes",
    "plot_eval other.json a.png": "other.json: is not what `reviewrate eval --json` writes",
    "plot_eval none.json a.png": "none.json: holds no classified reviews",
    "plot_growth reviews.jsonl --json new.json --binary nothing": "nothing: no such program",
    "plot_growth reviews.jsonl --json broken.json": "broken.json: is not what this script writes",
}
USAGE = {
    "finetune --data reviews.jsonl": "the following arguments are required: -o/--output",
    "finetune -o out --batch 0": "argument --batch: '0' is not a whole number of at least 1",
    "finetune -o out --epochs nan": "argument --epochs: 'nan' is not a number from 1e-06 to 1e+06",
    "finetune -o out --label-map 1=good": "argument --label-map: '1=good' is not VALUE=NEGATIVE, VALUE=POSITIVE",
    "finetune -o out --limit 1.5": "argument --limit: '1.5' is not a whole number of at least 0",
    f"calibrate empty -o out --confidence c.json {TRAINING}": "--confidence: needs --kept",
    "teach --data data.npz": "the following arguments are required: --base, --student, -o/--output",
    f"teach --data data.npz --student empty --rows 0 {TEACHING}": "argument --rows: '0' is not a whole number",
    "export": "the following arguments are required: SRC, -o/--output",
    "export empty -o done": "exists; --force replaces it",
    "export empty -o done --force": "is not a package: it has no manifest.json",
    "export empty -o out --rating broken.json": "argument --rating: broken.json: cannot be read",
    "export empty -o out --long-text middle": "argument --long-text: invalid choice: 'middle'",
    "plot_eval": "the following arguments are required: report, picture",
}


@pytest.mark.parametrize("words", [*CASES, *USAGE])
def test_bad_input_is_one_line(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, *arguments = words.split()
    try:
        status = MAINS[name](arguments)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        status = ended.code
    (line,) = capsys.readouterr().err.splitlines()
    if words in CASES:
        assert status == 3
        assert line.startswith(f"{name}: {CASES[words]}")
    else:
        assert status == 2
        assert line.startswith(f"{name}: ") and USAGE[words] in line and line.endswith("(--help tells the options)")
    assert not (folder / "out").exists() or not list((folder / "out").iterdir())


def test_a_process_says_one_line_as_well(folder: Path) -> None:
    """What libraries write to stderr by themselves counts too; all in one process, as the libraries load slowly."""
    (folder / "run.py").write_text(
        f"import sys\nsys.path.insert(0, {str(TOP / 'scripts')!r})\nimport export, finetune\n"
        "for words in open('commands.txt'):\n"
        "    name, *rest = words.split()\n"
        "    status = {'export': export, 'finetune': finetune}[name].main(rest)\n"
        "    print(status)\n"
    )
    commands = ["export empty -o out", "export no-such-owner/no-such-model -o out"]
    commands += [words for words in CASES if words.startswith("finetune")]
    (folder / "commands.txt").write_text("\n".join(commands) + "\n")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "REVIEWRATE_BIN": sys.executable}
    done = subprocess.run([sys.executable, "run.py"], capture_output=True, text=True, env=environment, timeout=PATIENCE)
    lines = done.stderr.splitlines()
    assert done.stdout.split() == ["3"] * len(commands), done.stderr
    assert [line.split(":")[0] for line in lines] == [words.split()[0] for words in commands], done.stderr
    assert "neither a folder nor a model on the hub" in lines[1]


@pytest.mark.parametrize(
    "arguments", [["--reviews", "none.jsonl"], ["--reviews", "reviews.jsonl", "--rounds", "0"], []]
)
def test_the_bench_as_well(arguments: list[str], folder: Path) -> None:
    script = TOP / "scripts" / "bench" / "run.py"
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith("bench: ")


def test_what_nobody_thought_of_is_one_line_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    @command("example")
    def main(argv: object = None) -> int:
        return [1][2]

    assert main() == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("example: IndexError: list index out of range (unexpected; test_script_errors.py:")


def test_a_reader_that_leaves_ends_a_script_in_silence() -> None:
    """As `plan_cluster.py ... | head -1` does, where a buffered print fails only at the end."""
    read, write = os.pipe()
    os.close(read)
    arguments = ["--reviews", "1e9", "--tokens", "250", "--cores", "1000"]
    script = [sys.executable, str(TOP / "scripts" / "plan_cluster.py"), *arguments]
    with os.fdopen(write, "wb") as closed:
        ended = subprocess.run(script, stdout=closed, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_an_interruption_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    @command("example")
    def main(argv: object = None) -> None:
        raise KeyboardInterrupt

    assert main() == 130
    assert capsys.readouterr().err == "example: interrupted\n"


@pytest.mark.parametrize(
    ("text", "good"), [("3", True), ("7", True), ("2", False), ("8", False), ("x", False), ("inf", False)]
)
def test_bounds(text: str, good: bool) -> None:
    parser = Parser("example", None)
    parser.add_argument("--size", type=bounded(float, 3, 7))
    if good:
        assert parser.parse_args(["--size", text]).size == float(text)
    else:
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(["--size", text])
        assert ended.value.code == 2
