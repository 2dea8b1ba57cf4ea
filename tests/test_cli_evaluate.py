"""``policyscope evaluate`` as a user meets it."""

import json

import pytest

from policyscope.cli import main


@pytest.fixture
def agent(shelf):
    shelf.add("little")
    return "zoo:little"


def test_an_agent_is_evaluated_into_a_run_and_once_more_at_no_cost(agent, tmp_path, capsys):
    words = ["evaluate", agent, "--steps", "30", "--sampled", "4", "--parts", "frames", "smaller-claims"]
    words += ["--methods", "guided_backprop,grad_cam,edges", "--out", str(tmp_path / "run")]
    main(words)
    first = capsys.readouterr().out
    assert "guided_backprop" in first
    assert "finds" in first
    table = json.loads((tmp_path / "run" / "tables" / "recognition-gain.json").read_text())
    assert table["columns"][:4] == ["method", "ball", "paddle", "bricks"]
    main(words)
    assert capsys.readouterr().out == first
    main(["report", str(tmp_path / "run")])
    assert "recognition gain" in (tmp_path / "run" / "report.html").read_text()


def test_several_seeds_and_agents_are_strata_of_common_tables(agent, tmp_path, capsys):
    words = ["--seeds", "0", "1", "--steps", "20", "--parts", "frames", "--methods", "grad_cam", "edges"]
    main(["evaluate", agent, *words, "--out", str(tmp_path / "all")])
    assert (tmp_path / "all" / "little" / "seed-1" / "scores.zarr").is_dir()
    rows = (tmp_path / "all" / "tables" / "evaluation.csv").read_text().splitlines()
    assert rows[0] == "agent,measure,method,kind,mean,low,high,frames,best"
    assert any(row.startswith("zoo:little,entropy,edges,,") and row.split(",")[7] == "40" for row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name an agent"),
        (["--parts", "faith"], "no part 'faith'"),
        (["--methods", "gradcam"], "no method 'gradcam'"),
        (["--seeds", "0", "1", "--episode", "run"], "--episode is one agent's"),
    ],
)
def test_mistakes_are_one_line_with_status_2(agent, words, said, tmp_path, capsys):
    named = [] if not words else [agent]
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *named, "--steps", "5", "--out", str(tmp_path / "x"), *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
