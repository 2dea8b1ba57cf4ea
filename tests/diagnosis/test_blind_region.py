"""Parts of the picture that get no gradient."""

from __future__ import annotations

import numpy as np
import torch
from small import SIDE, SmallDueling, agent_of, asked, episode_of, frames, stacked, trained_looking
from torch import Tensor

from policyscope.diagnosis.cells import GRID, Cells, Region, regions
from policyscope.diagnosis.examination import Examination


class RightHalfBlind(SmallDueling):
    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        seen = torch.ones(SIDE)
        seen[SIDE // 2 :] = 0
        return super().forward(observations * seen)


def test_a_half_that_the_network_blanks_is_found_where_it_is() -> None:
    found = asked("blind_region", agent_of(trained_looking(RightHalfBlind())), episode_of(stacked(frames(150))))
    (said,) = [f for f in found if f.severity == "warning"]
    assert (said.sure, said.where.part, said.where.stream) == ("certain", "network", "q")
    assert said.where.region is not None
    assert f"columns {SIDE // 2} to {SIDE - 1} of {SIDE}" in said.where.region
    assert "no gradient at all" in said.evidence
    assert said.picture is not None


def test_a_network_that_sees_all_is_not_warned_of() -> None:
    found = asked("blind_region", agent_of(trained_looking(SmallDueling())), episode_of(stacked(frames(150))))
    assert [f for f in found if f.severity != "note"] == []


def test_gradients_are_shares_and_motion_is_where_something_moves() -> None:
    pictures = np.zeros((60, SIDE, SIDE), np.uint8)
    for step, picture in enumerate(pictures):
        picture[3:6, 3 * (step % 12) : 3 * (step % 12) + 3] = 200
    cells = Cells(
        Examination(agent_of(trained_looking(SmallDueling())), episode_of(stacked(pictures)), following=False)
    )
    assert np.allclose(cells.gradients("q").mean(axis=(1, 2)), 1)
    moves = cells.motion.sum(axis=0)
    assert (moves[1] > 0).all()
    assert not moves[[0, *range(2, GRID)]].any()
    assert np.array_equal(cells.still, moves == 0)


def test_a_flash_of_the_whole_picture_is_no_motion() -> None:
    pictures = np.zeros((20, SIDE, SIDE), np.uint8)
    pictures[::2] = 255
    cells = Cells(
        Examination(agent_of(trained_looking(SmallDueling())), episode_of(stacked(pictures)), following=False)
    )
    assert not cells.motion.any()


def test_regions_are_named_by_thirds_and_by_pixels() -> None:
    cells = np.zeros((GRID, GRID), bool)
    cells[0:2, 8:12] = cells[11, 0] = True
    large, small = regions(cells)
    assert (large.box, small.box) == ((0, 8, 2, 4), (11, 0, 1, 1))
    assert large.words((84, 160)) == "upper third, rows 0 to 13 of 84; right third, columns 106 to 159 of 160"
    whole = np.zeros((GRID, GRID), bool)
    whole[0:6] = True
    assert Region(whole).words((84, 84)) == "upper and middle third, rows 0 to 41 of 84; all columns"
