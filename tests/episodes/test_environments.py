import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation, GrayscaleObservation, ResizeObservation
from players import Blocks, Values, driver, make_blocks

from policyscope.agents.agent import Agent
from policyscope.agents.protocol import Protocol
from policyscope.episodes.environment import make_environment, protocol_of
from policyscope.episodes.play import play
from policyscope.errors import PolicyscopeError, ProtocolError


def blocks_agent(protocol: Protocol) -> Agent:
    channels = protocol.observation_shape[0]
    agent = Agent(Values(2, channels).eval(), protocol, ("q",), ("5", "6"))
    agent.check_inputs()
    return agent


@pytest.mark.parametrize(
    ("shape", "observed", "layout", "stack", "colour"),
    [
        ((12, 16, 3), (3, 12, 16), "channels", 1, "rgb"),
        ((3, 12, 16), (3, 12, 16), "channels", 1, "rgb"),
        ((12, 16), (1, 12, 16), "channels", 1, "grey"),
        ((4, 12, 16), (4, 12, 16), "channels", 4, "grey"),
        ((12, 16, 4), (4, 12, 16), "channels", 4, "grey"),
        ((2, 12, 16, 3), (2, 3, 12, 16), "time", 2, "rgb"),
    ],
)
def test_ready_observations_are_recorded_channels_first_whatever_their_order(shape, observed, layout, stack, colour):
    env = Blocks(shape)
    protocol = protocol_of(env)
    assert protocol.observation_shape == observed
    assert (protocol.layout, protocol.stack, protocol.colour, protocol.scale) == (layout, stack, colour, 255.0)
    environment = make_environment(protocol, env)
    environment.reset(0)
    for _ in range(3):
        environment.step(0)
    assert environment.observation.shape == observed
    assert (environment.observation == 255 * 3 // 20).all()
    assert environment.screen.shape == (12, 16, 3)
    assert (environment.lives, environment.ram) == (2, None)


def test_the_axes_of_a_ready_observation_are_moved_and_not_mixed():
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 6), dtype=np.uint8)

    class Still(Blocks):
        def _observation(self):
            return image

    environment = make_environment(protocol_of(Still((12, 16, 6))), Still((12, 16, 6)))
    environment.reset(0)
    np.testing.assert_array_equal(environment.observation, image.transpose(2, 0, 1))
    np.testing.assert_array_equal(environment.screen, image[:, :, 3:])


def test_floats_up_to_one_are_left_as_they_are():
    env = Blocks((3, 12, 16), np.float32, 1.0)
    protocol = protocol_of(env)
    assert protocol.scale == 1.0
    episode = play(blocks_agent(protocol), 15, env=env)
    assert episode.observations.dtype == np.float32
    np.testing.assert_allclose(episode.observations[3], 3 / 20)
    assert (episode.screens[3] == round(255 * 3 / 20)).all()


def test_an_environments_pictures_go_through_the_protocol_as_a_games_do():
    rgb = gym.make("CarRacing-v3", continuous=False)
    grey = ResizeObservation(GrayscaleObservation(gym.make("CarRacing-v3", continuous=False)), (64, 48))
    grey = FrameStackObservation(grey, 4)
    protocol = Protocol(env="CarRacing-v3", colour="rec709", size=(64, 48), pad="repeat")
    ours, observation = make_environment(protocol, rgb), grey.reset(seed=4)[0]
    ours.reset(4)
    for action in (0, 3, 3, 1, 2):
        np.testing.assert_array_equal(ours.observation, observation)
        ours.step(action)
        observation = grey.step(action)[0]


@pytest.mark.parametrize(
    ("part", "key"),
    [
        (lambda box: spaces.Dict({"image": box, "speed": spaces.Box(0, 1, (3,))}), "image"),
        (lambda box: spaces.Tuple([spaces.Discrete(3), box]), 1),
    ],
)
def test_the_one_image_of_several_parts_is_seen(part, key):
    class Parts(Blocks):
        def __init__(self) -> None:
            super().__init__()
            self.observation_space = part(self._box)
            self._part = lambda image: {"image": image, "speed": 0} if key == "image" else (0, image)

    episode = play(blocks_agent(protocol_of(Parts())), 12, env=Parts())
    assert episode.observations.shape == (12, 3, 12, 16)
    assert episode.returns().tolist() == [10.0]


def test_two_images_or_none_are_refused_with_the_parts():
    env = Blocks()
    env.observation_space = spaces.Dict({"left": env._box, "right": env._box})
    with pytest.raises(ProtocolError, match=r"it has 2; its parts are left: Box.*right: Box"):
        protocol_of(env)
    with pytest.raises(ProtocolError, match="must have one image, it has 0"):
        protocol_of("CartPole-v1")


def test_an_environment_may_be_named_by_module_and_factory_in_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "my_blocks_game.py").write_text("from players import Blocks as Mine\nNOTHING = None\n")
    monkeypatch.chdir(tmp_path)
    protocol = protocol_of("my_blocks_game:Mine")
    assert protocol.env == "my_blocks_game:Mine"
    episode = play(blocks_agent(protocol), 12)
    assert episode.meta["game"] == "my_blocks_game:Mine"
    assert len(play(blocks_agent(protocol), 12, env=make_blocks)) == 12


@pytest.mark.parametrize("name", ["NoSuchGame-v7", "no_such_module:make", "players:NOTHING"])
def test_an_environment_that_does_not_exist_is_told_in_one_line(name):
    with pytest.raises(ProtocolError) as error:
        protocol_of(name)
    assert "\n" not in str(error.value)


def test_a_factory_that_makes_something_else_is_refused():
    with pytest.raises(ProtocolError, match="made a dict, not a Gymnasium environment"):
        make_environment(Protocol(), dict)


def test_a_stacked_observation_is_not_stacked_again():
    with pytest.raises(ProtocolError, match="'ready': true"):
        make_environment(Protocol(), Blocks((4, 12, 16)))


def test_a_protocol_that_describes_another_observation_is_refused():
    with pytest.raises(ProtocolError, match=r"observations of shape \(12, 16, 3\)"):
        make_environment(Protocol(ready=True), Blocks())


def test_the_same_seed_plays_the_same_race_and_is_continued(tmp_path):
    gym.spec("CarRacing-v3")
    protocol = protocol_of("CarRacing-v3")
    assert protocol.observation_shape == (3, 96, 96)
    agent = driver(protocol)
    whole = play(agent, 40, seed=2)
    play(agent, 25, seed=2, out=tmp_path)
    continued = play(agent, 40, seed=2, out=tmp_path, resume=True)
    assert continued.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(continued.screens[:], whole.screens[:])
    assert (whole.actions.shape, whole.actions.dtype) == ((40, 3), np.float32)
    assert whole.screens.shape == (40, 400, 600, 3)
    assert whole.ram is None


def test_continuous_actions_are_clipped_or_squashed_into_their_bounds():
    protocol = protocol_of("CarRacing-v3")
    low, high = np.array([-1, 0, 0]), np.array([1, 1, 1])
    clipped = play(driver(protocol), 6)
    np.testing.assert_allclose(clipped.actions, np.clip(clipped.streams["policy"], low, high))
    squashed = play(driver(protocol, squash=True), 6)
    expected = low + (np.tanh(squashed.streams["policy"]) + 1) / 2 * (high - low)
    np.testing.assert_allclose(squashed.actions, expected, atol=1e-6)


def test_a_continuous_agent_is_sampled_only_where_it_tells_its_spread():
    protocol = protocol_of("CarRacing-v3")
    with pytest.raises(PolicyscopeError, match="no 'log_std' stream"):
        play(driver(protocol), 6, policy="sample")
    drawn = play(driver(protocol, log_std=True), 6, policy="sample")
    assert not np.allclose(drawn.actions, np.clip(drawn.streams["policy"], [-1, 0, 0], [1, 1, 1]))


def test_a_discrete_agent_does_not_play_a_continuous_environment():
    with pytest.raises(ProtocolError, match="actions are continuous"):
        play(blocks_agent(protocol_of(Blocks())), 5, env=Blocks(continuous=True))


@pytest.mark.parametrize(("wrapper", "side"), [("RGBImgPartialObsWrapper", 56), ("RGBImgObsWrapper", 40)])
def test_minigrid_is_played_in_colour_without_a_stack(wrapper, side):
    minigrid = pytest.importorskip("minigrid.wrappers")
    env = gym.make("MiniGrid-Empty-5x5-v0", render_mode="rgb_array")
    env = getattr(minigrid, wrapper)(env)
    protocol = protocol_of(env)
    assert protocol.observation_shape == (3, side, side)
    env = minigrid.ImgObsWrapper(env)
    assert protocol_of(env) == protocol
    agent = Agent(Values(7, 3).eval(), protocol, ("q",), tuple("abcdefg"))
    agent.check_inputs()
    episode = play(agent, 30, env=env, policy="epsilon=1")
    assert episode.meta["actions"] == ["left", "right", "forward", "pickup", "drop", "toggle", "done"]
    expected = env.reset(seed=0)[0]
    np.testing.assert_array_equal(episode.observations[0], expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(episode.screens[0], env.render())
