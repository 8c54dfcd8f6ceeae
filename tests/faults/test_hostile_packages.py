"""Packages that somebody made to do harm, their checksums mended: refused in one line, and nothing in them is run."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import BINARY, PATIENCE, TINY, TOP, Result, Run, error_line, records

PLAIN = TOP / "tests" / "data" / "tiny_plain.pt"
FLAGS = Path("/proc/cpuinfo").read_text()
PRECISIONS = ["fp32"] + ["bf16"] * ("avx512_bf16" in FLAGS) + ["int8"] * ("avx2" in FLAGS)
Change = Callable[[torch.Tensor], torch.Tensor]


class Evil(torch.nn.Module):
    """A module whose code says so when it is loaded or run."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, 2))

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return (self.weight, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        print("EVIL")
        self.weight = state[0]  # type: ignore[assignment]
        self.training = state[1]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        print("EVIL")
        return torch.zeros(1, 2)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the tiny package, to be changed."""
    return Path(shutil.copytree(TINY, tmp_path / "package"))


@pytest.fixture(scope="session")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evil") / "evil.pt"
    torch.jit.script(Evil()).save(str(path))
    return path


def mend(package: Path, **model: str) -> None:
    """States the checksum that model.pt has."""
    path = package / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["model"].update(sha256=hashlib.sha256((package / "model.pt").read_bytes()).hexdigest(), **model)
    path.write_text(json.dumps(manifest))


def change_parameters(package: Path, changes: dict[str, Change]) -> None:
    module = torch.jit.load(package / "model.pt")
    for path, change in changes.items():
        *owners, name = path.split(".")
        owner = module
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, torch.nn.Parameter(change(getattr(owner, name)), requires_grad=False))
    torch.jit.save(module, package / "model.pt")
    mend(package)


def refused(result: Result, reason: str) -> None:
    assert (result.returncode, result.stdout) == (3, b"")
    assert reason in error_line(result)


def test_torch_would_run_it(evil: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.jit.load(evil)
    assert "EVIL" in capfd.readouterr().out


def test_code_in_a_native_package_is_not_run(run: Run, package: Path, evil: Path) -> None:
    shutil.copy(evil, package / "model.pt")
    mend(package)
    refused(run("-t", "film", model=package), "model.pt: cannot be loaded: its data.pkl")


@pytest.mark.parametrize("interface", ["packed", "padded"])
def test_nothing_is_run_before_the_checksum_holds(run: Run, package: Path, evil: Path, interface: str) -> None:
    mend(package, interface=interface)
    shutil.copy(evil, package / "model.pt")
    refused(run("-t", "film", model=package), "model.pt: is damaged or was changed")


def test_broken_code_in_a_native_package_does_not_matter(run: Run, package: Path) -> None:
    expected = run("-t", "film", model=package).stdout
    reader = torch._C.PyTorchFileReader(str(package / "model.pt"))
    content = {name: reader.get_record(name) for name in reader.get_all_records()}
    writer = torch._C.PyTorchFileWriter(str(package / "model.pt"))
    for name, data in content.items():
        if name == "version" or name.startswith(".data/"):  # the writer makes these itself
            continue
        broken = b"(" * 100_000 if name.endswith(".py") or name == "constants.pkl" else data
        writer.write_record(name, broken, len(broken))
    writer.write_end_of_file()
    mend(package)
    result = run("-t", "film", model=package)
    assert (result.returncode, result.stdout, result.stderr) == (0, expected, b"")


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        ("layers.0.qkv.weight", lambda w: w.new_zeros(96, 32, 0), "fp16 [96, 32, 0], not fp16 [96, 32]"),
        ("layers.0.qkv.weight", lambda w: w[..., None].clone(), "fp16 [96, 32, 1], not fp16 [96, 32]"),
        ("layers.0.qkv.bias", lambda w: w[:1].clone().expand(96), "qkv.bias is not "),
        ("layers.0.qkv.bias", lambda w: w.repeat_interleave(2)[::2], "qkv.bias is not "),
        ("layers.0.qkv.bias", lambda w: w.float(), "fp32 [96], not fp16 [96]"),
        ("last.rest.out.bias", lambda w: w.to(torch.complex64), "complex [32], not fp16 [32]"),
        ("last.rest.norm1.weight", lambda w: w * float("nan"), "norm1.weight holds NaN or infinity"),
        ("words", lambda w: w[:, :0].clone(), "words is [838, 0]"),
        ("words", lambda w: w[:837].clone(), "the vocabulary's tokens are 838, the model has embeddings for 837"),
        ("places", lambda w: w[:511].clone(), "max_tokens is 512, the model has embeddings for 511"),
        ("classifier.bias", lambda w: w.new_zeros(3), "fp16 [3], not fp16 [2]"),
    ],
)
def test_weights_that_the_forward_pass_does_not_assume(
    run: Run, package: Path, path: str, change: Change, reason: str
) -> None:
    change_parameters(package, {path: change})
    for precision in ("fp32", "auto"):
        refused(run("-t", "film", "--precision", precision, model=package), reason)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_finite_weights_that_overflow_end_in_an_error(run: Run, package: Path, precision: str) -> None:
    """Layer normalization squares more than a float holds."""
    hidden, most = 4096, 65504
    shapes = {"norm1.weight": (32,), "norm1.bias": (32,), "up.weight": (hidden, 32), "up.bias": (hidden,)}
    changes: dict[str, Change] = {
        f"last.rest.{name}": lambda w, shape=shape: w.new_full(shape, most)  # type: ignore[misc]
        for name, shape in shapes.items()
    }
    signs = torch.tensor([1.0, -1.0]).repeat(16)[:, None]
    changes["last.rest.down.weight"] = lambda w: (signs * most).repeat(1, hidden).half()
    change_parameters(package, changes)
    result = run("-t", "film", "--precision", precision, model=package)
    refused(result, "model.pt: cannot be run: its logits are not all finite numbers")


@pytest.mark.parametrize("file", ["model.pt", "vocab.txt", "reference.jsonl", "manifest.json"])
def test_a_named_pipe_or_a_device_is_no_package_file(run: Run, package: Path, file: str) -> None:
    (package / file).unlink()
    os.mkfifo(package / "pipe")
    for target in ("pipe", "/dev/zero"):
        (package / file).symlink_to(target)
        refused(run("verify", model=package), f"{file}: is not a regular file")
        (package / file).unlink()


def test_a_named_pipe_beside_a_bare_model(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    vocabulary = ("--vocab", TINY / "vocab.txt")
    refused(run("-m", tmp_path / "pipe", *vocabulary, "-t", "film", model=None), "pipe: is not a regular file")
    refused(run("-m", PLAIN, "--vocab", tmp_path / "pipe", "-t", "film", model=None), "pipe: is not a regular file")


def test_files_of_a_hub_are_links(run: Run, package: Path) -> None:
    blobs = package.parent / "blobs"
    blobs.mkdir()
    for path in list(package.iterdir()):
        path.rename(blobs / path.name)
        path.symlink_to(Path("..") / "blobs" / path.name)
    assert records(run("-t", "film", model=package))[0]["label"] in ("NEGATIVE", "POSITIVE")


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["packed", "padded"])
def test_a_zip_bomb_takes_no_memory(package: Path, interface: str) -> None:
    with zipfile.ZipFile(package / "model.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in ("data.pkl", "constants.pkl", "data/0"):
            bomb.writestr(f"model/{name}", b"\0" * 200_000_000)
    mend(package, interface=interface)
    result = subprocess.run(
        [BINARY, "-m", package, "-t", "film", "-j", "1"],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (500_000_000, 500_000_000)),
    )
    refused(result, "what is compressed in it expands to more than 67108864 bytes")


def test_a_program_that_no_package_vouches_for_is_told(run: Run) -> None:
    bare = ["-m", str(PLAIN), "--vocab", str(TINY / "vocab.txt"), "-t", "good"]
    told = run(*bare, model=None)
    assert told.returncode == 0
    assert b"TorchScript file is a program" in told.stderr and str(PLAIN).encode() in told.stderr
    quiet = run(*bare, "-q", model=None)
    assert (quiet.returncode, quiet.stderr, quiet.stdout) == (0, b"", told.stdout)
    assert run("-m", str(TINY), "-t", "good", model=None).stderr == b""
