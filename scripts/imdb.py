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
from labelled_files import Fields, is_labelled_file, labels_of, read_records, stars_of, text_of
from labels import NEGATIVE, POSITIVE, UNLABELLED, key_of, taken

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
    source: str | Path,
    splits: Iterable[str] | None = ("train", "test"),
    fields: Fields | None = None,
    notes: list[str] | None = None,
) -> list[Review]:
    """All reviews of the given splits (None: of all), in the source's order (of the ids in a folder or archive).

    The reviews of a file without the field split are of the split train. What a person should know of how a file was
    read is added to `notes`.
    """
    path = Path(source)
    if path.is_dir():
        reviews: Iterable[Review] = _in_id_order(_from_folder(path))
    elif path.name.endswith(ARCHIVES):
        reviews = _in_id_order(_from_archive(path))
    elif is_labelled_file(path):
        reviews = _from_labelled_file(path, fields or Fields(), [] if notes is None else notes)
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
    ids = set(read_text(path).split("\n"))  # not at blanks, which an id may hold, as a file's name may
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


def _from_labelled_file(path: Path, fields: Fields, notes: list[str]) -> list[Review]:
    records = list(read_records(path, fields))
    splits = [str(record.get("split") or "").strip().lower() for _, record in records]
    values = [(where, record.get(fields.label)) for where, record in records]
    # The label of a review that is unlabelled by its split says nothing of the others.
    found = labels_of(path, [value for value, split in zip(values, splits, strict=True) if split != "unsup"], fields)
    if guess := taken(found):
        notes.append(f"{path}: labels: {guess}")
    reviews = []
    for (where, record), split in zip(records, splits, strict=True):
        label = UNLABELLED if split == "unsup" else found[key_of(record.get(fields.label))]
        name = "unsup" if label == UNLABELLED else split or "train"
        review_id = str(record.get("id", f"{path.name}:{where.rpartition(':')[2]}"))
        reviews.append(Review(review_id, name, label, stars_of(record, where), text_of(record, fields, where)))
    unsplit = next((where for (where, _), split in zip(records, splits, strict=True) if not split), None)
    others = any(split not in ("", "train", "unsup") for split in splits)
    require(unsplit is None or not others, f"{unsplit}: there is no field 'split', which other records have")
    return reviews


def _from_hub(name: str) -> Iterator[Review]:
    """The hub's data sets of this form (stanfordnlp/imdb): splits train, test, unsupervised; fields text and label."""
    with blaming(f"{name}: neither a file nor a data set on the hub"):
        from datasets import load_dataset  # only needed with a network

        splits = load_dataset(name)
    for split, rows in splits.items():
        short = "unsup" if split == "unsupervised" else split
        values = [] if short == "unsup" else [(f"{name}, {split}:{n}", row.get("label")) for n, row in enumerate(rows)]
        found = labels_of(Path(name), values, Fields())
        for number, row in enumerate(rows):
            label = UNLABELLED if short == "unsup" else found[key_of(row.get("label"))]
            yield Review(f"{short}/{number}", short, label, 0, text_of(row, Fields(), f"{name}, {split}:{number}"))
