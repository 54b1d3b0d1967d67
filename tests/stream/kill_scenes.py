"""What a kill campaign does to a stream's run: a scene is a phase of a command that is killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LEARNING: dict[str, dict[str, Any]] = {
    "replay": {"views": 6, "refit_every": 8, "batch_size": 4, "reservoir_bytes": 20_000},
    "statistics": {"learner": "statistics", "views": 6},
    "auto": {
        "learner": "auto",
        "views": 2,
        "refit_every": 8,
        "batch_size": 4,
        "reservoir_bytes": 20_000,
    },
}
EACH, RARELY = 0, 1e9  # seconds between checkpoints
BEGUN, MORE = 34, 42  # samples of a run that is gone on with, and in the end


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A phase in which a command is killed.

    Parameters
    ----------
    name
        As it is reported.
    phase
        As `stream_phases` has it.
    order
        What is done.
    begins
        The run that it is done to, by its name in the campaign's folder.
    """

    name: str
    phase: str
    order: dict[str, Any]
    begins: str


def learning(
    last: int, checkpoint_seconds: float = EACH, learner: str = "statistics", **more: Any
) -> dict[str, Any]:
    keeping: dict[str, Any] = {"checkpoint_seconds": checkpoint_seconds, "checkpoints": 3}
    if checkpoint_seconds == RARELY:
        keeping["journal_bytes"] = 2**20  # no segment leaves before the kills begin
    settings = {"keeping": keeping, "learning": LEARNING[learner]}
    return {"call": "learn", "pictures": [0, last], "settings": settings, **more}


BACK: dict[str, Any] = {"call": "rollback", "to": "24"}
GONE, DARK = frozenset(["n0", "n9"]), frozenset(["dark"])
FORGET: dict[str, Any] = {"call": "forget", "ids": [*GONE], "classes": [*DARK]}
CORRECTIONS: dict[str, Any] = {"relabel": (["n3", "n6"], "blue"), "forget": (["n5", "n8"], None)}
ASKED = {"do": "forget", "ids": [*GONE], "classes": [*DARK]}
PHASES = {
    "replay": ("learning", "refit", "checkpoint", "rotation", "head"),
    "statistics": ("learning", "solve", "checkpoint", "rotation", "head"),
    "auto": ("learning", "refit", "solve", "checkpoint"),
}


def scenes(learner: str) -> tuple[Scene, ...]:
    """What is killed of a learner."""
    start, more = learning(0, learner=learner), learning(MORE, learner=learner)
    correcting = learning(0, RARELY, learner, corrections=CORRECTIONS)
    return (
        Scene(name="first start", phase="start", order=start, begins="nothing"),
        Scene(name="start", phase="start", order=start, begins="begun"),
        *(Scene(name=name, phase=name, order=more, begins="begun") for name in PHASES[learner]),
        *(
            Scene(name=name, phase=name, order=correcting, begins="begun")
            for name in ("relabel", "live forget")
            if learner != "replay"
        ),
        *(
            Scene(
                name="asked to forget",
                phase="asked",
                order=learning(0, RARELY, learner, asked=ASKED),
                begins="begun",
            )
            for _ in range(learner != "replay")
        ),
        Scene(name="rollback", phase="rollback", order=BACK, begins="begun"),
        Scene(name="forget", phase="forget", order=FORGET, begins="begun"),
        Scene(name="recovery from damage", phase="start", order=start, begins="damaged"),
        Scene(name="recovery of a rollback", phase="start", order=start, begins="undone"),
        Scene(name="recovery of a forget", phase="start", order=start, begins="unforgotten"),
    )
