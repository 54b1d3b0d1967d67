"""The paper's recipe for a linear head, and how a training departs from it.

Iofinova et al. (CVPR 2022), sections 3.3 and 3.6 and appendix B: 150 epochs of SGD in batches of
64, from 0.01 on, a tenth after every 50 epochs. Momentum and weight decay are of its reference [61]
(Salman et al., "Do adversarially robust ImageNet models transfer better?", NeurIPS 2020).
"""

from __future__ import annotations

from typing import Any

from edgetransfer.reports.train import RecipeRecord

EPOCHS = 150
LINEAR: dict[str, Any] = {
    "solver": "sgd",
    "epochs": EPOCHS,
    "batch_size": 64,
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "standardize": False,
    "min_crop": 0.08,
    "flip": True,
}


def departures(values: dict[str, Any], recipe: dict[str, Any]) -> list[str]:
    """The settings in which a training is not a recipe's, each as ``epochs 10 (not 150)``."""
    return [
        f"{name} {values[name]} (not {wanted})"
        for name, wanted in recipe.items()
        if values[name] != wanted
    ]


def recipe_record(recipe: str, departed: list[str]) -> RecipeRecord:
    """What the report says of the recipe."""
    return {"name": recipe, "departures": departed if recipe == "paper" else []}


def warning_of(departed: list[str]) -> list[str]:
    """A warning where a training that is to be the paper's is not."""
    return [f"this is not the paper's recipe: {', '.join(departed)}"] if departed else []
