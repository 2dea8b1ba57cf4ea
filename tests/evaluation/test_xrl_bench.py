"""XRL-Bench's measures against its own loops over states."""

import numpy as np
import torch
from little import SIDE, episode_for, q_agent
from scipy.ndimage import gaussian_filter

from policyscope.evaluation.hiding import ranks
from policyscope.evaluation.method_maps import MethodMaps
from policyscope.evaluation.xrl_bench import leaderboard, xrl_bench

ROWS = np.array([5, 9, 20, 31, 33])


def answers(agent, picture):
    with torch.no_grad():
        return agent(torch.as_tensor(picture, dtype=torch.float32)[None])[0]["q"][0].numpy()


def test_the_measures_are_xrl_benchs():
    agent = q_agent()
    episode = episode_for(agent)
    maps = MethodMaps(agent, episode, ("gradient", "grad_cam"))
    found = xrl_bench(agent, episode, ROWS, maps, ks=(10, 60))
    for name, weights in maps(ROWS).items():
        orders = ranks(weights, seed=0).reshape(len(ROWS), -1)
        for number, row in enumerate(ROWS):
            x = np.asarray(episode.observations[int(row)]).astype(np.float32) / 255
            action = episode.actions[row]
            blurred = np.stack([gaussian_filter(frame, 5.0, truncate=4) for frame in x])
            for place, k in enumerate((10, 60)):
                for aim, pgi, chosen in (
                    ("AIM", "PGI", orders[number] < k),
                    ("AUM", "PGU", orders[number] >= SIDE * SIDE - k),
                ):
                    mask = chosen.reshape(SIDE, SIDE)
                    kept = answers(agent, np.where(mask, 0, x)).argmax() == action
                    assert found.values[name][aim][number, place] == kept
                    lit = mask & (x != 0).any(axis=0)
                    gap = abs(answers(agent, x)[action] - answers(agent, np.where(lit, blurred, x))[action])
                    assert np.isclose(found.values[name][pgi][number, place], gap, atol=1e-5)
            own = maps(ROWS[[number]])[name][0]
            other = maps(ROWS[[number]], torch.as_tensor(blurred)[None])[name][0]
            above = np.linalg.norm((own - other) / np.clip(own, 0.001, None))
            below = np.linalg.norm((x - blurred) / np.clip(x, 0.001, None))
            assert np.isclose(found.values[name]["RIS"][number], above / below, rtol=1e-3)
    board = leaderboard(found, 60)["gradient"]
    assert np.isclose(board["AIM"], found.at("gradient", "AIM", 60).mean())
    assert np.isclose(board["RIS"], found.values["gradient"]["RIS"].max())
    assert np.allclose(found.area("gradient", "PGI"), found.values["gradient"]["PGI"].mean(axis=1))
