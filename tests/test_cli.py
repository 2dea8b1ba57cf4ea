"""The command line as people meet it: results, one line for each mistake, and runs that survive their process."""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.networks import build
from policyscope.cli import COMMANDS, main
from policyscope.episodes.episode import Episode
from policyscope.saliency.maps import Maps

BABY_A3C = Path(__file__).resolve().parents[2] / "shared" / "agents" / "baby-a3c"
BRIEF = ("--methods", "gradient", "--no-render")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dueling network that plays Breakout as badly as its weights are random."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("agents")
    return save_agent(make_agent(build("dueling_dqn", actions=4), game="breakout"), folder / "duel.safetensors")


@pytest.fixture(scope="session")
def run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 70 steps, played and explained in one go."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    main(["explain", str(checkpoint), "--steps", "70", "--policy", "epsilon=0.5", "--out", str(folder), *BRIEF])
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail by the user's hand, and returns the one line it says."""

    def refuse(*words: Any) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        said = capsys.readouterr()
        assert caught.value.code == 2, said.err
        return one_line(said.err)

    return refuse


def one_line(text: str) -> str:
    assert text.startswith("policyscope: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert "Traceback" not in text
    return text.removeprefix("policyscope: ").rstrip("\n")


def arrays(run: Path) -> dict[str, bytes]:
    """Everything that a run's arrays and their descriptions hold, by file."""
    files = [path for part in ("episode.zarr", "maps.zarr") for path in sorted((run / part).rglob("*"))]
    return {str(path.relative_to(run)): path.read_bytes() for path in files if path.is_file()}


# What comes out


def test_an_agent_is_played_explained_and_shown_with_one_command(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = ["--look.no-gif", "--look.sheet-steps", "2"]
    main(["explain", str(checkpoint), "--steps", "12", "--methods", "gradient,grad_cam", "full_grad_pp", *looks])
    said = capsys.readouterr()
    folder = Path("runs/duel-0").resolve()
    assert said.out.splitlines() == [
        "12 steps explained by 3 panels, 0 so far in the unfinished game",
        f"open {folder / 'index.html'}",
    ]
    assert said.err == ""
    assert {"episode.zarr", "maps.zarr", "run.json", "sheet.png", "index.html"} <= set(os.listdir(folder))
    assert len(Episode.open(folder)) == 12
    assert [panel.method for panel in Maps(folder).panels] == ["gradient", "grad_cam", "full_grad_pp"]


def test_every_combination_of_streams_actions_layers_and_lags_is_a_panel(checkpoint: Path) -> None:
    asked = ["--stream", "q", "value", "--action", "taken", "left", "--layer", "1,3", "--lag", "0", "sum"]
    asked += ["--methods", "gradient", "grad_cam", "--variant", "full_grad_pp=blog_code"]
    main(["explain", str(checkpoint), "--steps", "3", "--out", "run", "--no-render", *asked])
    panels = Maps("run").panels
    assert {(p.stream, p.action) for p in panels} == {("q", "taken"), ("q", "3"), ("value", "taken")}
    assert {p.layer for p in panels if p.method == "grad_cam"} == {"body.0", "body.4"}
    assert {p.lag for p in panels if p.method == "gradient"} == {0, "sum"}


def test_another_protocol_does_not_make_an_agent_forget_its_game(checkpoint: Path) -> None:
    main(["play", str(checkpoint), "--steps", "2", "--protocol", "sb3", "--out", "run"])
    episode = Episode.open("run")
    assert (episode.protocol.name, episode.protocol.game) == ("sb3", "breakout")


def test_all_means_every_method(checkpoint: Path) -> None:
    main(["explain", str(checkpoint), "--steps", "1", "--out", "run", "--no-render", "--methods", "all"])
    from policyscope.saliency.plan import NAMES

    assert {panel.method for panel in Maps("run").panels} == set(NAMES)


def test_a_run_tells_how_it_was_made_and_can_be_made_again_from_that(run: Path, checkpoint: Path) -> None:
    told = json.loads((run / "run.json").read_text())
    assert told["state"] == {"played": 70, "explained": 70}
    assert told["options"]["agent"]["policy"] == "epsilon=0.5"
    assert told["options"]["explain"]["methods"] == ["gradient"]
    program, *words = told["command"].split()
    assert program == "policyscope"
    again = [word if word != str(run) else "again" for word in words]
    main(again)
    assert arrays(Path("again")) == arrays(run)


def test_recorded_observations_are_explained_without_playing(checkpoint: Path) -> None:
    random = np.random.default_rng(0)
    np.savez("seen.npz", observations=random.integers(0, 256, (5, 4, 84, 84), dtype=np.uint8), actions=np.arange(5) % 4)
    words = ["explain", str(checkpoint), "--observations", "seen.npz", "--out", "run", *BRIEF]
    main(words)
    assert len(Maps("run")) == 5
    assert not Path("run/episode.zarr").exists()
    main(["render", "run", "--look.no-video", "--look.no-gif", "--look.sheet-steps", "1"])
    assert Path("run/index.html").exists()


def test_a_played_run_is_explained_later_and_drawn_again(
    checkpoint: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["play", str(checkpoint), "--steps", "4", "--out", "run"])
    assert capsys.readouterr().out.startswith("4 steps played, 0 so far")
    assert "holds no maps: explain the run first" in refused("render", "run")
    main(["explain", str(checkpoint), "--steps", "4", "--out", "run", "--resume", *BRIEF])
    main(["render", "run", "--look.no-video", "--look.no-gif", "--look.style", "paper", "--look.sheet-steps", "1"])
    assert "--resume" not in json.loads(Path("run/run.json").read_text())["command"]
    assert "policyscope explain" in Path("run/index.html").read_text()


@pytest.mark.parametrize("command", list(COMMANDS))
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: policyscope {command}" in text
    assert "None" not in text.split("look options")[0]
    assert "``" not in text


def test_agents_that_nobody_here_trained_are_explained() -> None:
    if not BABY_A3C.is_dir():
        pytest.skip(f"{BABY_A3C} with the baby-a3c agents is absent")
    words = ["--steps", "4", "--stream", "policy", "value", "--lag", "0", "1", "--no-render"]
    for file in sorted(BABY_A3C.glob("*.tar")):
        methods = ["gradient", "noise_saliency"] if "invaders" in file.name else ["gradient", "grad_cam"]
        main(["explain", str(file), *words, "--methods", *methods])
    assert sorted(os.listdir("runs")) == ["breakout-v4.40-0", "breakout-v4.80-0", "spaceinvaders-v4.80-0"]


OWN = """
import gymnasium, numpy, torch
class Colours(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (40, 40, 3), numpy.uint8)
    action_space = gymnasium.spaces.Discrete(3)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.shown(), {}
    def shown(self):
        return self.np_random.integers(0, 256, (40, 40, 3)).astype(numpy.uint8)
    def step(self, action):
        return self.shown(), 1.0, False, False, {}
class Tired(Colours):
    def step(self, action):
        raise RuntimeError("the battery\\nis empty")
def closed():
    raise ValueError("the licence has run out")
def network(shape, actions):
    return torch.nn.Sequential(
        torch.nn.Conv2d(shape[0], 4, 8, 8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(100, actions)
    )
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words for a user's own network on one colour picture."""
    Path("own_of_a_user.py").write_text(OWN)
    Path("one.json").write_text('{"colour": "rgb", "size": [40, 40], "stack": 1}')
    monkeypatch.delitem(sys.modules, "own_of_a_user", raising=False)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8), torch.nn.ReLU(), torch.nn.Flatten())
    torch.save(network.append(torch.nn.Linear(100, 3)).state_dict(), "own.pth")
    return ["own.pth", "--network", "own_of_a_user:network", "--protocol", "one.json"]


def test_a_network_and_an_environment_of_ones_own_are_explained(
    own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["explain", *own, "--env", "own_of_a_user:Colours", "--steps", "5", *BRIEF])
    assert "5 so far in the unfinished game" in capsys.readouterr().out
    assert Maps("runs/own-0")["gradient"].shape == (5, 40, 40)


# Mistakes: one line, exit status 2


def test_a_missing_file_is_told_with_what_lies_beside_it(refused: Callable[..., str]) -> None:
    Path("other.zip").touch()
    assert refused("explain", "agent.zip") == "no file agent.zip; . has other.zip"


def test_a_truncated_file_is_told(refused: Callable[..., str], checkpoint: Path) -> None:
    Path("half.safetensors").write_bytes(checkpoint.read_bytes()[:100_000])
    assert "truncated or damaged" in refused("explain", "half.safetensors")


def test_a_foreign_file_is_told_with_the_formats_that_are_known(refused: Callable[..., str]) -> None:
    Path("picture.png").write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    assert "Stable-Baselines3 zip" in refused("explain", "picture.png")


class Intruder:
    """Unpickling it would make a folder."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("intruded",)


@pytest.mark.parametrize("save", [torch.save, lambda thing, path: Path(path).write_bytes(pickle.dumps(thing))])
def test_a_pickle_that_would_run_code_is_refused_and_never_run(refused: Callable[..., str], save: Any) -> None:
    save(Intruder(), "agent.pth")
    line = refused("explain", "agent.pth", "--game", "breakout")
    assert "would run" in line
    assert "state_dict" in line
    assert not Path("intruded").exists()


def test_weights_that_do_not_fit_are_told_with_both_shapes(refused: Callable[..., str]) -> None:
    state = build("cleanrl_q", actions=4).state_dict()
    torch.save(state | {"network.7.weight": torch.zeros(512, 99)}, "agent.pth")
    line = refused("explain", "agent.pth", "--game", "breakout")
    assert "(512, 99)" in line
    assert "(512, 3136)" in line


def test_weights_that_are_not_numbers_are_told(refused: Callable[..., str]) -> None:
    state = build("cleanrl_q", actions=4).state_dict()
    state["network.2.bias"][3] = float("nan")
    torch.save(state, "agent.pth")
    assert "'network.2.bias' of agent.pth hold NaN" in refused("explain", "agent.pth", "--game", "breakout")


def test_a_game_that_ale_py_lacks_is_told_with_those_like_it(refused: Callable[..., str], checkpoint: Path) -> None:
    assert "did you mean breakout" in refused("explain", checkpoint, "--game", "brekout")


@pytest.mark.parametrize(
    ("words", "has"),
    [
        (("--stream", "policy"), "this agent has: q, value, advantage"),
        (("--layer", "9"), "this agent has: 1 (body.0), 2 (body.2), 3 (body.4)"),
        (("--layer", "tail"), "this agent has: 1 (body.0), 2 (body.2), 3 (body.4)"),
        (("--lag", "4"), "lags 0 to 3, or sum or mean"),
        (("--lag", "-1"), "lags 0 to 3, or sum or mean"),
        (("--action", "jump"), "this agent has: 0 NOOP, 1 FIRE, 2 RIGHT, 3 LEFT; or taken, greedy, sum, contrast"),
        (("--methods", "grad-cam"), "there are: gradient, guided_backprop, grad_cam,"),
        (("--variant", "full_grad_pp=red"), "it has: default, blog_code, blog_text"),
        (("--variant", "full_grad_pp"), "METHOD=VARIANT, such as full_grad_pp=blog_code"),
        (("--policy", "sample"), "has q, value, advantage; try --policy greedy"),
        (("--policy", "epsilon=2"), "'greedy', 'sample', or 'epsilon=' and a chance from 0 to 1"),
        (("--protocol", "modren"), "did you mean 'modern'"),
        (("--device", "toaster"), "no device toaster"),
        (("--batch", "0"), "at least 1"),
        (("--steps", "0"), "at least 1"),
        (("--seed", "-1"), "at least 0"),
        (("--observations", "no.npz"), "no file no.npz"),
        (("--look.style", "loud"), "there are clear, paper"),
        (("--env", "CartPole-v1"), "one image"),
    ],
)
def test_what_an_agent_lacks_is_told_with_what_it_has_before_a_game_is_played(
    refused: Callable[..., str], checkpoint: Path, words: Sequence[str], has: str
) -> None:
    assert has in refused("explain", checkpoint, "--steps", "3", "--methods", "gradient", "grad_cam", *words)
    assert not Path("runs").exists()


def test_a_folder_that_holds_a_run_is_left_alone(refused: Callable[..., str], checkpoint: Path, run: Path) -> None:
    before = arrays(run)
    for command in ("explain", "play"):
        line = refused(command, checkpoint, "--out", run)
        assert line == f"{run} already holds a run: continue it with --resume, or choose another --out"
    for option, told in (
        ("--seed=5", "another seed: 0, now 5"),
        ("--policy=greedy", "another policy: 'epsilon=0.5', now"),
    ):
        words = ("--policy", "epsilon=0.5", option) if option.startswith("--seed") else (option,)
        assert told in refused("explain", checkpoint, "--out", run, "--resume", *words, *BRIEF)
    words = ("--policy", "epsilon=0.5", "--steps", "70", "--methods", "grad_cam")
    assert "of another agent or request" in refused("explain", checkpoint, "--out", run, "--resume", *words)
    assert arrays(run) == before


def test_an_out_that_can_be_no_folder_is_told(refused: Callable[..., str], checkpoint: Path) -> None:
    Path("file").touch()
    assert "file is a file" in refused("explain", checkpoint, "--out", "file", "--steps", "2")
    assert "Not a directory" in refused("explain", checkpoint, "--out", "file/run", "--steps", "2")
    assert "File name too long" in refused("explain", checkpoint, "--out", "x" * 300, "--steps", "2")
    assert "no folder nothing" in refused("render", "nothing")
    Path("empty").mkdir()
    assert "holds no maps: explain the run first" in refused("render", "empty")


def no_more(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_from_the_beginning_is_told(
    refused: Callable[..., str], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", no_more)
    line = refused("explain", checkpoint, "--steps", "3", "--out", "run", *BRIEF)
    assert "cannot write to run" in line
    assert "No space left on device; free space" in line


def test_a_disk_that_fills_up_leaves_a_run_that_goes_on_when_there_is_space(
    checkpoint: Path, run: Path, tmp_path: Path
) -> None:
    words = ["explain", str(checkpoint), "--steps", "70", "--policy", "epsilon=0.5", "--out", "run", *BRIEF]

    def small() -> None:  # a file may grow to this size, as if the disk ended there
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    ended = subprocess.run(
        [sys.executable, "-m", "policyscope.cli", *words], preexec_fn=small, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert "cannot write to run/maps.zarr: File too large; free space" in one_line(ended.stderr)
    assert len(Episode.open("run")) == 70
    main([*words, "--resume"])
    assert arrays(Path("run")) == arrays(run)


def test_a_disk_that_fills_up_while_pictures_are_drawn_leaves_the_old_ones(
    refused: Callable[..., str], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = ["--look.no-video", "--look.no-gif", "--look.sheet-steps", "1"]
    main(["explain", str(checkpoint), "--steps", "2", "--methods", "gradient", "--out", "run", *looks])
    before = Path("run/sheet.png").read_bytes()
    monkeypatch.setattr(os, "replace", no_more)
    assert "No space left on device" in refused("render", "run", "--look.style", "paper", *looks)
    assert Path("run/sheet.png").read_bytes() == before
    assert not [name for name in os.listdir("run") if name.startswith(".")]


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ("own_of_a_user:closed", "raised ValueError: the licence has run out"),
        ("own_of_a_user:Tired", "raised RuntimeError: the battery is empty"),
        ("own_of_a_user:absent", "has no absent"),
        ("absent_module:make", "No module named 'absent_module'"),
        ("NoSuchThing-v0", "NoSuchThing"),
    ],
)
def test_what_goes_wrong_in_the_users_own_code_is_told_with_its_place(
    refused: Callable[..., str], own: list[str], env: str, line: str
) -> None:
    told = refused("explain", *own, "--env", env, "--steps", "3", *BRIEF)
    assert line in told
    if "raised" in line:
        assert told.startswith("own_of_a_user.py:")


def test_a_mistake_of_our_own_says_so_in_one_line_with_status_1(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from policyscope.episodes import policy

    monkeypatch.setattr(policy, "_parsed", int)
    with pytest.raises(SystemExit) as caught:
        main(["play", str(checkpoint), "--steps", "2"])
    assert caught.value.code == 1
    assert "mistake in policyscope: please report it" in one_line(capsys.readouterr().err)


def test_debug_shows_the_traceback_and_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["explain", "agent.zip", "--debug"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("policyscope: no file agent.zip")


def test_an_option_that_there_is_not_is_told_with_those_like_it(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["explain", str(checkpoint), "--stpes", "3"])
    assert caught.value.code == 2
    assert "--steps" in capsys.readouterr().err


# Runs that survive their process


def started(words: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "policyscope.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(count: Path, steps: int, process: subprocess.Popen[str], patience: float = 60) -> None:
    """Until a run has so many steps."""
    end = time.monotonic() + patience
    while time.monotonic() < end and process.poll() is None:
        if count.exists() and json.loads(count.read_text())["steps"] >= steps:
            return
        time.sleep(0.01)
    raise AssertionError(f"{count} did not come to {steps} steps: {process.communicate()}")


def test_a_run_that_is_asked_to_end_says_how_to_go_on(checkpoint: Path) -> None:
    process = started(["play", str(checkpoint), "--steps", "100000", "--out", "run"])
    wait_for(Path("run/episode.zarr/count.json"), 64, process)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert one_line(said).startswith("stopped; run is a valid run with")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_is_a_valid_shorter_one_and_resumes_to_the_same_as_an_unbroken_one(
    checkpoint: Path, tmp_path: Path, number: signal.Signals
) -> None:
    common = ["explain", str(checkpoint), "--methods", "gradient", "full_grad_pp", "--policy", "epsilon=0.5"]
    words = [*common, "--steps", "2000", "--batch", "32", "--out", "run", "--no-render"]
    process = started(words)
    wait_for(Path("run/episode.zarr/count.json"), 128, process)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    played = len(Episode.open("run"))
    assert 128 <= played < 2000
    assert Episode.open("run").observations[played - 1].shape == (4, 84, 84)
    if number == signal.SIGINT:
        assert process.returncode == 130
        line = f"stopped; run is a valid run with {played} steps played: go on with the same command and --resume"
        assert one_line(said) == line
        assert json.loads(Path("run/run.json").read_text())["state"] == {"played": played}
    steps = str(played + 150)
    words[words.index("2000")] = steps
    process = started([*words, "--resume"])
    wait_for(Path("run/maps.zarr/count.json"), 64, process)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert 64 <= len(Maps("run")) < played + 150
    main([*words, "--resume"])
    words[words.index("run")] = "unbroken"
    main(words)
    assert arrays(Path("run")) == arrays(Path("unbroken"))


def test_ctrl_c_before_anything_is_recorded_says_so(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("policyscope.agents.loading.load_agent", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(["play", str(checkpoint)])
    assert caught.value.code == 130
    assert one_line(capsys.readouterr().err) == "stopped before anything was recorded"
