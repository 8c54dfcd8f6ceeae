"""Reads the Large Movie Review Dataset (Maas et al., ACL 2011) in the forms it is met in, and cuts a hold-out.

A source is the unpacked aclImdb folder, its .tar.gz, a .jsonl or .jsonl.xz file with the fields text, label and split
(and optionally stars and id), or the name of a data set on the Hugging Face hub.
"""

from __future__ import annotations

import json
import lzma
import random
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

NEGATIVE, POSITIVE, UNLABELLED = 0, 1, -1
_FOLDERS = {"neg": NEGATIVE, "pos": POSITIVE, "unsup": UNLABELLED}


@dataclass(frozen=True)
class Review:
    """One review; stars is 0 where the source does not say, label is UNLABELLED in the split unsup."""

    id: str
    split: str
    label: int
    stars: int
    text: str


def read_reviews(source: str | Path, splits: Iterable[str] = ("train", "test")) -> list[Review]:
    """All reviews of the given splits, in the source's order (numeric order of the ids in a folder or archive)."""
    wanted = set(splits)
    path = Path(source)
    if path.is_dir():
        reviews: Iterable[Review] = _in_id_order(_from_folder(path))
    elif path.name.endswith((".tar.gz", ".tgz")):
        reviews = _in_id_order(_from_archive(path))
    elif path.name.endswith((".jsonl", ".jsonl.xz")):
        reviews = _from_jsonl(path)
    elif path.exists():
        raise ValueError(f"cannot tell what {path} is: expected a folder, .tar.gz, .jsonl or .jsonl.xz")
    else:
        reviews = _from_hub(str(source))
    found = [review for review in reviews if review.split in wanted]
    if not found:
        raise ValueError(f"no review of the splits {sorted(wanted)} in {source}")
    return found


def hold_out(reviews: list[Review], size: int, block: int, seed: int) -> set[str]:
    """Ids of about `size` train reviews in blocks of `block` neighbours, none of them a text of the test half.

    Reviews of one film have neighbouring ids, so blocks keep most films whole; a block takes the same numbers of each
    class, which keeps the classes level.
    """
    in_test = {review.text for review in reviews if review.split == "test"}
    train = [review for review in reviews if review.split == "train" and review.text not in in_test]
    blocks: dict[int, list[str]] = {}
    for review in train:
        blocks.setdefault(block_of(review, block), []).append(review.id)
    order = list(blocks.values())
    random.Random(seed).shuffle(order)
    chosen: set[str] = set()
    for ids in order:
        if len(chosen) >= size:
            break
        chosen.update(ids)
    return chosen


def training_reviews(reviews: list[Review], held_out: set[str]) -> list[Review]:
    """The train and unsup reviews that may be learnt from: none held out, none with such a review's or a test text."""
    barred = {review.text for review in reviews if review.split == "test" or review.id in held_out}
    return [review for review in reviews if review.split != "test" and review.text not in barred]


def block_of(review: Review, size: int) -> int:
    """The number of the review's block of `size` neighbours; the same numbers come again in each class."""
    return (_number(review.id) or 0) // size


def _number(review_id: str) -> int | None:
    """The numeric part of an id such as train/pos/127_9."""
    match = re.search(r"(\d+)(?:_\d+)?$", review_id)
    return int(match[1]) if match else None


def _in_id_order(reviews: Iterable[Review]) -> list[Review]:
    return sorted(reviews, key=lambda review: (review.id.rsplit("/", 1)[0], _number(review.id) or 0))


def _from_file(name: PurePosixPath, data: bytes) -> Review | None:
    """A review from its path, such as aclImdb/train/pos/127_9.txt; None for any other file."""
    match = re.fullmatch(r"(\d+)_(\d+)\.txt", name.name)
    if match is None or len(name.parts) < 3 or name.parts[-2] not in _FOLDERS:
        return None
    label = _FOLDERS[name.parts[-2]]
    split = "unsup" if label == UNLABELLED else name.parts[-3]
    review_id = f"{name.parts[-3]}/{name.parts[-2]}/{name.stem}"
    return Review(review_id, split, label, int(match[2]), data.decode("utf-8"))


def _from_folder(folder: Path) -> Iterator[Review]:
    for path in folder.rglob("*.txt"):
        review = _from_file(PurePosixPath(path.as_posix()), path.read_bytes())
        if review is not None:
            yield review


def _from_archive(path: Path) -> Iterator[Review]:
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            handle = archive.extractfile(member) if member.isfile() else None
            review = _from_file(PurePosixPath(member.name), handle.read()) if handle else None
            if review is not None:
                yield review


def _from_jsonl(path: Path) -> Iterator[Review]:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            record = json.loads(line)
            try:
                yield Review(
                    id=str(record.get("id", f"{path.name}:{number}")),
                    split=record["split"],
                    label=int(record.get("label", UNLABELLED)),
                    stars=int(record.get("stars", 0)),
                    text=record["text"],
                )
            except KeyError as missing:
                raise ValueError(f"{path}:{number}: no field {missing}") from None


def _from_hub(name: str) -> Iterator[Review]:
    """The hub's data sets of this form (stanfordnlp/imdb): splits train, test, unsupervised; fields text and label."""
    from datasets import load_dataset  # only needed with a network

    for split, rows in load_dataset(name).items():
        short = "unsup" if split == "unsupervised" else split
        for number, row in enumerate(rows):
            yield Review(f"{short}/{number}", short, int(row["label"]), 0, row["text"])
