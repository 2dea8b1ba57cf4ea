import json
from dataclasses import replace

import pytest
import torch

from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError


def test_a_protocol_goes_through_json_and_back_unchanged():
    protocol = Protocol(
        name="mine", game="pong", frame_skip=(2, 4), noops=(0, 29), crop=(30, 0, 160, 160), colour="rgb", size=(64, 96)
    )
    assert Protocol.from_dict(json.loads(json.dumps(protocol.to_dict()))) == protocol


def test_what_a_dictionary_leaves_out_keeps_its_default():
    assert Protocol.from_dict({"stack": 2}) == replace(Protocol(), stack=2)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"colr": "grey"}, "did you mean 'colour'"),
        ({"zzz": 1}, "known are name, game"),
        ({"colour": "red"}, "'grey', 'rgb', 'mean'"),
        ({"frame_skip": "4"}, "int | tuple[int, int]"),
        ({"frame_skip": [4, 2]}, "a range from low to high"),
        ({"stack": True}, "must be int"),
        ({"size": [84]}, "tuple[int, int] | None"),
        ({"sticky": 2}, "between 0 and 1"),
        ({"scale": 0}, "anything but 0"),
        ({"crop": [0, 0, 0, 10]}, "within the screen"),
        ({"colour": "rgb", "stretch": True}, "stretch is True"),
    ],
)
def test_a_wrong_field_or_value_is_told_in_one_line(values, told):
    with pytest.raises(ProtocolError) as error:
        Protocol.from_dict(values)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, (4, 84, 84)),
        ({"colour": "rgb", "stack": 2, "size": (64, 96)}, (6, 64, 96)),
        ({"layout": "time", "stack": 10}, (10, 1, 84, 84)),
        ({"layout": "channels_last", "colour": "rgb", "stack": 2}, (84, 84, 6)),
        ({"size": None, "stack": 1}, (1, 210, 160)),
        ({"size": None, "crop": (30, 0, 170, 150), "stack": 1}, (1, 170, 150)),
    ],
)
def test_the_observation_shape_follows_from_the_values(changes, shape):
    assert replace(Protocol(), **changes).observation_shape == shape


def test_scaling_subtracts_the_offset_and_divides():
    scaled = replace(Protocol(), scale=127.5, offset=127.5).scaled(torch.tensor([0, 255], dtype=torch.uint8))
    assert scaled.tolist() == [-1.0, 1.0]
    assert scaled.dtype == torch.float32


def test_the_placement_of_an_observation_is_its_crop_or_the_whole_screen():
    assert Protocol().placement(210, 160) == (0, 0, 210, 160)
    assert replace(Protocol(), crop=(35, 0, 160, 160)).placement(210, 160) == (35, 0, 160, 160)
