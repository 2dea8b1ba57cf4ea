"""Boxes from RAM agree with what games show, in frames that are played here."""

from functools import cache

import numpy as np
import pytest

from policyscope.agents.protocol import Protocol
from policyscope.episodes.atari import AtariGame
from policyscope.errors import ProtocolError, RunError
from policyscope.evaluation.objects import GAMES, LOOKS, agreement, objects_of
from policyscope.evaluation.objects.breakout import openings

RIGHT = {
    "breakout": {"ball": 0.99, "paddle": 0.99, "bricks": 0.99, "gap": 0.97},
    "pong": {"ball": 0.97, "player": 0.99, "opponent": 0.99},
    "seaquest": {"submarine": 0.99, "fish": 0.97, "diver": 0.85, "missile": 0.99, "oxygen": 0.99, "lives": 0.99},
    "space_invaders": {"player": 0.97, "aliens": 0.97, "shields": 0.99, "missile": 0.75, "enemy missile": 0.75},
    "video_pinball": {"ball": 0.9, "flippers": 0.95, "plunger": 0.95, "bumpers": 0.95, "targets": 0.95},
    "air_raid": {"player": 0.95, "enemies": 0.85, "buildings": 0.9},
    "enduro": {"player": 0.99, "road": 0.95},
}


@cache
def played(game, steps=160, seed=3):
    """Frames of random play (frame skips of 1 to 4, so that both halves of what flickers are seen)."""
    console = AtariGame(Protocol(game=game, frame_skip=(1, 4), max_pool="screens", size=None, stack=1))
    console.reset(seed)
    random, action, screens, ram = np.random.default_rng(seed), 0, [], []
    fire = console.actions.index("FIRE")
    for step in range(2 * steps):
        if random.random() < 0.25:
            action = fire if random.random() < 0.3 else int(random.integers(len(console.actions)))
        if step % 2:
            screens.append(console.screen.copy())
            ram.append(console.ram.copy())
        outcome = console.step(action)
        if outcome.terminated:
            console.reset()
    return np.array(screens), np.array(ram)


@pytest.mark.parametrize("game", GAMES)
def test_boxes_are_where_their_colours_are(game):
    screens, ram = played(game)
    found = {a.kind: a for a in agreement(objects_of(game, ram, screens), screens, LOOKS[game])}
    for kind, share in RIGHT[game].items():
        assert found[kind].boxes > 0, kind
        assert found[kind].right >= share, (kind, found[kind])


@pytest.mark.parametrize("game", GAMES)
def test_each_frame_is_found_by_itself(game):
    screens, ram = played(game)
    together, alone = objects_of(game, ram, screens), objects_of(game, ram[7:8], screens[7:8])
    np.testing.assert_array_equal(together.boxes[7:8], alone.boxes)
    assert all(together.facts[name][7] == alone.facts[name][0] for name in together.facts)


@pytest.mark.parametrize("game", GAMES)
def test_boxes_are_boxes_and_slots_are_named_once(game):
    screens, ram = played(game)
    objects = objects_of(game, ram, screens)
    there = objects.boxes[objects.present]
    assert (there[:, 2:] > there[:, :2]).all()
    assert len(set(objects.slots)) == len(objects.slots) == objects.boxes.shape[1] == len(objects.kind_of)
    assert set(objects.kind_of) == set(range(len(objects.kinds)))


@pytest.mark.parametrize("game", GAMES)
def test_any_bytes_give_boxes(game):
    ram = np.random.default_rng(0).integers(0, 256, (50, 128), np.uint8)
    boxes = objects_of(game, ram).boxes
    assert boxes.shape[0] == 50
    assert np.nanmax(np.abs(boxes)) < 1000


def test_a_breakthrough_is_a_way_through_the_wall_side_by_side():
    standing = np.ones((4, 6, 18), bool)
    standing[1, 1:, 4] = False  # the uppermost brick still stands
    standing[2, :, 4] = False
    standing[3, 3:, 4] = standing[3, :3, 5] = False  # only corners meet
    holes, through = openings(standing)
    assert holes.sum(axis=(1, 2)).tolist() == [0, 5, 6, 3]
    assert through.sum(axis=(1, 2)).tolist() == [0, 0, 6, 0]


def test_the_space_above_the_wall_is_there_once_a_hole_leads_to_it():
    ram = np.zeros((2, 128), np.uint8)
    ram[0, :36] = 255
    objects = objects_of("breakout", ram)
    above = objects.boxes[:, objects.slots.index("space above")]
    assert np.isnan(above[0]).all()
    assert above[1].tolist() == [8, 32, 152, 57]


def test_the_paddle_is_narrower_once_its_byte_says_so():
    ram = np.zeros((2, 128), np.uint8)
    ram[:, 72], ram[:, 108] = 100, (8, 6)
    paddle = objects_of("breakout", ram).of_kind("paddle")[:, 0]
    assert (paddle[:, 2] - paddle[:, 0]).tolist() == [16, 12]


def test_a_fish_that_leaves_on_the_right_does_not_come_in_on_the_left():
    ram = np.zeros((3, 128), np.uint8)
    ram[:, 36], ram[:, 30] = 4, (150, 158, 200)
    fish = objects_of("seaquest", ram).of_kind("fish")[:, 0]
    assert fish[0, [0, 2]].tolist() == [150, 158]
    assert fish[1, [0, 2]].tolist() == [158, 160]
    assert np.isnan(fish[2]).all()


def test_what_flickers_has_a_box_in_every_frame():
    screens, ram = played("space_invaders")
    objects = objects_of("space_invaders", ram)
    shots = next(a for a in agreement(objects, screens, LOOKS["space_invaders"]) if a.kind == "enemy missile")
    assert 0.3 < shots.drawn < 0.7


def test_a_game_that_is_not_known_is_told_with_those_that_are():
    with pytest.raises(ProtocolError, match="objects of tennis are not known; known are air_raid, breakout"):
        objects_of("tennis", np.zeros((1, 128), np.uint8))


def test_screens_of_another_size_are_told():
    with pytest.raises(RunError, match="on screens of 210 x 160; these are 84 x 84"):
        objects_of("pong", np.zeros((1, 128), np.uint8), np.zeros((1, 84, 84, 3), np.uint8))
    with pytest.raises(RunError, match=r"not in an array of shape \(2, 64\)"):
        objects_of("pong", np.zeros((2, 64), np.uint8))


def test_rows_can_be_chosen():
    _screens, ram = played("pong")
    objects = objects_of("pong", ram)
    np.testing.assert_array_equal(objects[3:5].boxes, objects.boxes[3:5])
    assert len(objects[np.array([1, 4, 6])]) == 3
    with pytest.raises(KeyError, match="no kind 'puck' in pong; there are ball"):
        objects.of_kind("puck")
