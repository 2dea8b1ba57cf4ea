"""What panels are called."""

import pytest

from policyscope.rendering.words import detail, target
from policyscope.saliency.maps import Panel

NAMES = ("NOOP", "FIRE", "RIGHT", "LEFT")


@pytest.mark.parametrize(
    ("stream", "action", "by_index", "by_name"),
    [
        ("q", "taken", "q of the action taken", "q of the action taken"),
        ("q", "2", "q of action 2", "q of RIGHT"),
        ("q", "2-3", "q of action 2 against 3", "q of RIGHT against LEFT"),
        ("policy", "contrast", "policy of the action taken against the rest", None),
        ("policy", "all", "policy of all actions", None),
        ("value", "taken", "value", None),
        ("value", "all", "value", None),
    ],
)
def test_a_target_is_told_in_words_with_the_actions_names_where_they_are_known(stream, action, by_index, by_name):
    panel = Panel("gradient", stream, action)
    assert target(panel) == by_index
    assert target(panel, NAMES) == (by_name or by_index)


def test_names_that_do_not_reach_as_far_as_the_index_are_left_out():
    assert target(Panel("gradient", "q", "2-7"), NAMES) == "q of action 2 against 7"


def test_a_caption_names_two_actions_in_short():
    panel = Panel("grad_cam", "q", "2-3", "conv1", 0)
    assert detail(panel, lags=True) == "q 2-3 · conv1 · t-0"
    assert detail(panel, lags=False, actions=NAMES) == "q RIGHT-LEFT · conv1"
