"""Reads reviews to train on and cuts a hold-out.

A source is the Large Movie Review Dataset (Maas et al., ACL 2011) as the aclImdb folder or its .tar.gz; a jsonl, csv or
tsv file, compressed or not, with the fields text and label (and optionally split, stars and id); or the name of a data
set on the Hugging Face hub.
"""

from __future__ import annotations

import random
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from command_line import BadInput, blaming, read_text, reason, require
from labelled_files import (
    NEGATIVE,
    POSITIVE,
    UNLABELLED,
    Fields,
    is_labelled_file,
    label_of,
    number_of,
    read_records,
    stars_of,
    text_of,
)

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_FOLDERS = {"neg": NEGATIVE, "pos": POSITIVE, "unsup": UNLABELLED}


@dataclass(frozen=True)
class Review:
    """One review; stars is 0 where the source does not say, and the split is unsup where the label is UNLABELLED."""

    id: str
    split: str
    label: int
    stars: int
    text: str


def read_reviews(
    source: str | Path, splits: Iterable[str] | None = ("train", "test"), fields: Fields | None = None
) -> list[Review]:
    """All reviews of the given splits (None: of all), in the source's order (of the ids in a folder or archive).

    The reviews of a file without the field split are of the split train.
    """
    path = Path(source)
    if path.is_dir():
        reviews: Iterable[Review] = _in_id_order(_from_folder(path))
    elif path.name.endswith(ARCHIVES):
        reviews = _in_id_order(_from_archive(path))
    elif is_labelled_file(path):
        reviews = _from_labelled_file(path, fields or Fields())
    elif path.exists():
        raise BadInput(f"{path}: cannot tell what it is: a folder, .tar.gz, .jsonl, .csv or .tsv (with .gz, .xz, ...)?")
    else:
        reviews = _from_hub(str(source))
    wanted = None if splits is None else set(splits)
    found = [review for review in reviews if wanted is None or review.split in wanted]
    of = "" if wanted is None else f" of the splits {', '.join(sorted(wanted))}"
    require(bool(found), f"{source}: holds no review{of}")
    return found


def hold_out(reviews: list[Review], size: int, block: int, seed: int) -> set[str]:
    """Ids of about `size` train reviews in blocks of `block` neighbours, none of them a text of the test half.

    Reviews of one film have neighbouring ids, so blocks keep most films whole; a block takes the same numbers of each
    class, which keeps the classes in balance.
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


def hold_out_by_chance(reviews: list[Review], size: int, seed: int) -> set[str]:
    """Ids of about `size` train reviews, of each label its share; reviews of one text stay together.

    At least one text of each label is held out and one is not, if it has two.
    """
    train = [review for review in reviews if review.split == "train"]
    by_text: dict[str, list[Review]] = {}
    for review in train:
        by_text.setdefault(review.text, []).append(review)
    chosen: set[str] = set()
    for label in (NEGATIVE, POSITIVE):
        texts = [same for same in by_text.values() if same[0].label == label]
        random.Random(seed).shuffle(texts)
        share = max(1, round(size * sum(map(len, texts)) / max(1, len(train))))
        held = 0
        for same in texts[1:]:
            if held < share:
                chosen.update(review.id for review in same)
                held += len(same)
    return chosen


def has_neighbours(reviews: list[Review]) -> bool:
    """Whether the ids are those of the Large Movie Review Dataset, in which reviews of one film stand together."""
    return all(re.fullmatch(r"\w+/(?:(?:neg|pos|unsup)/)?\d+(?:_\d+)?", review.id) for review in reviews)


def training_reviews(reviews: list[Review], held_out: set[str]) -> list[Review]:
    """The train and unsup reviews that may be learnt from: none held out, none with such a review's or a test text."""
    barred = {review.text for review in reviews if review.split == "test" or review.id in held_out}
    return [review for review in reviews if review.split != "test" and review.text not in barred]


def read_hold_out(path: Path, reviews: list[Review]) -> set[str]:
    """The held-out ids that a file names, one a line; some must be of the reviews."""
    ids = set(read_text(path).split())
    require(any(review.id in ids for review in reviews), f"{path}: names none of the reviews")
    return ids


def block_of(review: Review, size: int) -> int:
    """The number of the review's block of `size` neighbours; the same numbers come again in each class."""
    return (_number(review.id) or 0) // size


def _number(review_id: str) -> int | None:
    """The numeric part of an id such as train/pos/127_9."""
    match = re.search(r"(\d+)(?:_\d+)?$", review_id)
    return int(match[1]) if match else None


def _in_id_order(reviews: Iterable[Review]) -> list[Review]:
    return sorted(reviews, key=lambda review: (review.id.rsplit("/", 1)[0], _number(review.id) or 0))


def _from_text_file(name: PurePosixPath, data: bytes) -> Review | None:
    """A review from its path, such as aclImdb/train/pos/127_9.txt; None for any other file."""
    match = re.fullmatch(r"(\d+)_(\d+)\.txt", name.name)
    if match is None or len(name.parts) < 3 or name.parts[-2] not in _FOLDERS:
        return None
    label = _FOLDERS[name.parts[-2]]
    split = "unsup" if label == UNLABELLED else name.parts[-3]
    review_id = f"{name.parts[-3]}/{name.parts[-2]}/{name.stem}"
    with blaming(str(name)):
        return Review(review_id, split, label, int(match[2]), data.decode("utf-8"))


def _from_folder(folder: Path) -> Iterator[Review]:
    for path in folder.rglob("*.txt"):
        review = _from_text_file(PurePosixPath(path.as_posix()), path.read_bytes())
        if review is not None:
            yield review


def _from_archive(path: Path) -> Iterator[Review]:
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                handle = archive.extractfile(member) if member.isfile() else None
                review = _from_text_file(PurePosixPath(member.name), handle.read()) if handle else None
                if review is not None:
                    yield review
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: damaged: {reason(error)}") from error


def _from_labelled_file(path: Path, fields: Fields) -> list[Review]:
    reviews = []
    unsplit = ""  # FILE:LINE of the first record without the field split
    minus_one = False
    for where, record in read_records(path):
        label = label_of(record, fields, where)
        minus_one = minus_one or (label == UNLABELLED and number_of(str(record.get(fields.label))) == UNLABELLED)
        split = str(record.get("split") or "").strip().lower()
        unsplit = unsplit or ("" if split else where)
        if label == UNLABELLED:
            split = "unsup"
        review_id = str(record.get("id", f"{path.name}:{where.rpartition(':')[2]}"))
        reviews.append(
            Review(review_id, split or "train", label, stars_of(record, where), text_of(record, fields, where))
        )
    labels = {review.label for review in reviews}
    require(
        not minus_one or NEGATIVE in labels or POSITIVE not in labels,
        f"{path}: the labels are 1 and -1, and -1 stands for no label: NEGATIVE is 0",
    )
    with_split = [review for review in reviews if review.split not in ("train", "unsup")]
    require(not unsplit or not with_split, f"{unsplit}: there is no field 'split', which other records have")
    return reviews


def _from_hub(name: str) -> Iterator[Review]:
    """The hub's data sets of this form (stanfordnlp/imdb): splits train, test, unsupervised; fields text and label."""
    with blaming(f"{name}: neither a file nor a data set on the hub"):
        from datasets import load_dataset  # only needed with a network

        splits = load_dataset(name)
    for split, rows in splits.items():
        short = "unsup" if split == "unsupervised" else split
        for number, row in enumerate(rows):
            where = f"{name}, {split}:{number}"
            label = label_of(row, Fields(), where)
            yield Review(f"{short}/{number}", short, label, 0, text_of(row, Fields(), where))
