"""``policyscope diagnose`` as people meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.networks import build
from policyscope.cli import main
from policyscope.viewer.extras import extras_of

BRIEF = ("--steps", "60", "--no-play-on")


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dueling network with random weights, and one whose first layer is dead."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("agents")
    network = build("dueling_dqn", actions=4)
    whole = save_agent(make_agent(network, game="breakout"), folder / "whole.safetensors")
    with torch.no_grad():
        for parameter in list(network.parameters())[:2]:
            parameter.zero_()
    return whole, save_agent(make_agent(network, game="breakout"), folder / "broken.safetensors")


def test_findings_are_kept_with_their_episode_and_pictures(
    agents: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    main(["diagnose", str(agents[0]), *BRIEF, "--rules", "by_heart,blind_region", "--out", str(out)])
    said = capsys.readouterr().out
    extras = extras_of(out)
    assert {finding["rule"] for finding in extras.findings} <= {"by_heart", "blind_region"}
    assert all((out / finding["picture"]).exists() for finding in extras.findings if finding["picture"])
    assert (out / "episode.zarr" / "meta.json").exists()
    assert "diagnose" in json.loads((out / "run.json").read_text())["command"]
    assert "nothing grave found" in said
    assert "2 rules asked of" in said
    assert max(len(line) for line in said.splitlines() if not line.startswith("kept in")) <= 80


def test_json_on_stdout_stands_alone_and_something_grave_ends_with_status_one(
    agents: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", str(agents[1]), *BRIEF, "--rules", "reach", "--json", "-"])
    assert ended.value.code == 1
    values = json.loads(capsys.readouterr().out)
    assert (values["gravest"], values["steps"], values["rules"]) == ("grave", 60, ["reach"])
    assert values["findings"][0]["severity"] == "grave"


def test_json_in_a_file_goes_along_with_words(
    agents: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "diagnosis.json"
    with pytest.raises(SystemExit):
        main(["diagnose", str(agents[1]), *BRIEF, "--rules", "reach", "--json", str(file)])
    assert json.loads(file.read_text())["gravest"] == "grave"
    assert "grave" in capsys.readouterr().out


def test_a_run_s_episode_can_be_diagnosed_and_takes_the_findings(
    agents: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    main(["play", str(agents[0]), "--steps", "50", "--out", out])
    capsys.readouterr()
    main(["diagnose", str(agents[0]), "--no-play-on", "--rules", "zero_products", "--episode", out, "--out", out])
    said = capsys.readouterr().out
    assert "over 50 states" in " ".join(said.split())
    assert (tmp_path / "run" / "findings.json").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--rules", "nope"), "no rule 'nope'; there are: finite"),
        (("--episode", "nowhere"), "no folder nowhere"),
        (("--steps", "0"), "steps must be at least 1"),
    ],
)
def test_mistakes_of_the_user_are_one_line(
    agents: tuple[Path, Path],
    words: tuple[str, ...],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", str(agents[0]), *words])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"policyscope: {line}")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_run_is_not_written_over(
    agents: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    main(["play", str(agents[0]), "--steps", "5", "--out", out])
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", str(agents[0]), "--out", out])
    assert ended.value.code == 2
    assert "already holds a run" in capsys.readouterr().err


@pytest.mark.parametrize("form", [["--json", "-"], []])
@pytest.mark.parametrize(("broken", "rule", "status"), [(False, "zero_products", 0), (True, "reach", 1)])
def test_a_reader_that_goes_away_is_no_mistake_and_does_not_hide_what_is_grave(
    agents: tuple[Path, Path], broken: bool, rule: str, status: int, form: list[str]
) -> None:
    script = "import sys; from policyscope.cli import main; main(sys.argv[1:])"
    words = ["diagnose", str(agents[broken]), *BRIEF, "--rules", rule, *form]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(120) == status
    assert said == ""
