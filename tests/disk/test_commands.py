"""Every command that writes, on a disk that fails; `campaign` has what is done."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.disk.campaign import FAULTS, Fault, Trial, suits
from tests.disk.commands import why_not
from tests.disk.pairs import NAMED, OVER_RUN, OVER_STREAM, Pairs, meetings, seconds
from tests.disk.scenes import SCENES, Scene, Stage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(folder=tmp_path_factory.mktemp("stage"))
    yield made
    made.commands.close()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_nothing_is_lost_and_all_is_said(stage: Stage, scene: Scene) -> None:
    if scene.name.startswith("finetune"):
        pytest.importorskip("torch")
    trial = Trial(stage, scene)
    rng = random.Random(scene.name)
    wrong = []
    for fault in FAULTS:
        for at in trial.places(5, rng) if suits(scene, fault) else ():
            wrong.append(_told(fault, at, trial.fail(fault, at)))
    assert [text for text in wrong if text] == []


def _told(fault: Fault, at: int, wrong: str | None) -> str:
    return f"{fault.name} at {at}: {wrong}" if wrong else ""


@pytest.mark.parametrize("name", [*OVER_RUN, *OVER_STREAM])
def test_of_two_on_one_folder_the_second_is_refused(stage: Stage, name: str) -> None:
    coming = seconds(NAMED[name])
    found = list(meetings(Pairs(stage, NAMED[name]), coming, 4, random.Random(name)))
    assert [met for met in found if met.what == "wrong"] == []
    refused = {met.second for met in found if met.what == "refused"}
    assert refused == {second.name for second in coming if not second.reads}
