"""The accuracy that counts follows the data set's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetransfer.metrics.conventions import KNOWN, known_data_set, metric_of

NAMES = {
    "FGVC Aircraft": ("aircraft", "fgvc-aircraft-2013b", "FGVC_Aircraft/train", "aircraft.csv"),
    "Caltech-101": ("caltech-101", "caltech101", "Caltech_101/test", "101_ObjectCategories"),
    "Caltech-256": ("caltech256", "Caltech-256", "256_ObjectCategories/train"),
    "Oxford Flowers": ("flowers", "flowers-102", "oxford-flowers102", "102flowers/jpg"),
    "Oxford-IIIT Pets": ("pets", "oxford-iiit-pet/images", "OxfordPets", "iiit_pet"),
    "Stanford Cars": ("stanford-cars", "cars196", "StanfordCars/train"),
    "CIFAR-10": ("cifar10", "CIFAR-10"),
    "CIFAR-100": ("cifar-100", "cifar100/train"),
    "DTD": ("dtd", "DTD/images"),
    "Food-101": ("food-101", "food101.jsonl"),
    "SUN397": ("SUN397",),
    "Birdsnap": ("birdsnap",),
}
OTHERS = (
    *("photos", "carpets", "petals", "my pet rocks", "caltech", "sunflowers", "food", "cartoons"),
    *("train", "101", "scars", "aircrafting", "caltech-1010"),
)
PER_CLASS = {"FGVC Aircraft", "Caltech-101", "Caltech-256", "Oxford Flowers", "Oxford-IIIT Pets"}


def test_the_papers_twelve_are_known_and_five_count_by_class() -> None:
    assert {known.title for known in KNOWN} == set(NAMES)
    assert {known.title for known in KNOWN if known.per_class} == PER_CLASS


@pytest.mark.parametrize(("title", "name"), [(t, n) for t, names in NAMES.items() for n in names])
def test_names_of_the_twelve(title: str, name: str) -> None:
    path = Path("/data") / name
    known = known_data_set(path)
    assert known is not None
    assert known.title == title
    metric = metric_of("auto", path)
    assert metric.name == ("mean_per_class" if title in PER_CLASS else "top1")
    assert title in metric.reason


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_count_by_top1(name: str) -> None:
    assert known_data_set(Path("/home/pets") / "x" / name) is None
    assert metric_of("auto", Path("/home/pets") / "x" / name).name == "top1"


def test_the_choice_wins() -> None:
    assert metric_of("top1", Path("caltech-101")).name == "top1"
    assert metric_of("per-class", Path("photos")).name == "mean_per_class"
