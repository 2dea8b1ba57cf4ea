import json

import pytest

from policyscope.agents.presets import PRESETS, game_name, games, preset
from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("breakout", "breakout"),
        ("Breakout-v0", "breakout"),
        ("Breakout-v4", "breakout"),
        ("BreakoutNoFrameskip-v4", "breakout"),
        ("BreakoutDeterministic-v4", "breakout"),
        ("Breakout-ramNoFrameskip-v4", "breakout"),
        ("ALE/Breakout-v5", "breakout"),
        ("ms_pacman", "ms_pacman"),
        ("MsPacman", "ms_pacman"),
        ("ms-pacman", "ms_pacman"),
        ("TicTacToe3D", "tic_tac_toe_3d"),
    ],
)
def test_a_game_may_be_written_in_any_usual_way(text, name):
    assert game_name(text) == name


def test_an_unknown_game_is_refused_with_close_matches():
    with pytest.raises(ProtocolError, match=r"no game 'brekout'; did you mean breakout"):
        preset("modern", "brekout")


def test_a_game_for_two_players_only_is_refused_rather_than_loaded():
    assert "combat" not in games()
    with pytest.raises(ProtocolError, match="one player"):
        preset("modern", "combat")


def test_every_preset_has_its_own_name_and_survives_json():
    for name, protocol in PRESETS.items():
        assert protocol.name == name
        assert Protocol.from_dict(json.loads(json.dumps(protocol.to_dict()))) == protocol


def test_the_papers_agents_see_four_three_and_ten_frames():
    assert preset("paper", "Breakout-v0").observation_shape == (4, 84, 84)
    assert preset("paper-a3c", "Breakout-v0").observation_shape == (3, 84, 84)
    assert preset("paper-recurrent", "Seaquest-v0").observation_shape == (10, 1, 84, 84)
    assert preset("paper", "seaquest").sticky == 0.25
    assert preset("paper", "seaquest").frame_skip == (2, 4)


def test_modern_is_what_a_protocol_is_unless_told_otherwise():
    assert preset(None, "pong") == Protocol().on("pong") == preset("modern", "pong")


def test_a_protocol_itself_is_taken_as_it_is():
    mine = Protocol(name="mine", game="pong")
    assert preset(mine) is mine
    assert preset(mine, "MsPacman").game == "ms_pacman"


def test_an_unknown_preset_is_refused_with_the_names():
    with pytest.raises(ProtocolError) as error:
        preset("modrn", "pong")
    assert "did you mean 'modern'?" in str(error.value)
    assert all(name in str(error.value) for name in PRESETS)


def test_a_json_file_is_a_protocol_named_after_it(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"stack": 2, "game": "ALE/Pong-v5"}))
    assert preset(path) == preset(str(path)) == Protocol(name="mine", stack=2, game="pong")


@pytest.mark.parametrize(
    ("content", "told"), [("{", "is not JSON"), ("[1]", "holds no protocol"), ('{"stak": 1}', "did you mean 'stack'")]
)
def test_a_bad_json_file_is_told_in_one_line(tmp_path, content, told):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(ProtocolError, match=told):
        preset(path)


def test_a_missing_json_file_is_told_by_its_name():
    with pytest.raises(ProtocolError, match=r"no protocol file nowhere\.json"):
        preset("nowhere.json")
