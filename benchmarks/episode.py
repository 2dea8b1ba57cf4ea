"""Playing and explaining an episode with nine methods, against the emulator's time plus that of the bare passes.

    python benchmarks/episode.py [--steps 2000]

The reference is what nobody can do without: the emulator stepping through the same actions (four frames a step), one
forward pass a step to act (on one thread, so that a run does not depend on the number of cores), and for the
explanation one forward and two backward passes to the input in batches of 64.
Ours is everything: acting, recording screens, observations, RAM and streams, nine methods and writing their maps.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

import policyscope as ps
from policyscope.agents.networks.dqn import DuelingDQN
from policyscope.episodes.environment import make_environment


@dataclass
class Options:
    agent: str | None = None
    """An agent to play; by default one with random weights."""
    steps: int = 2000
    threads: int = 2
    repeats: int = 3


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    if options.agent:
        agent = ps.load_agent(options.agent)
    else:
        torch.manual_seed(0)
        protocol = ps.Protocol(game="breakout")
        agent = ps.Agent(DuelingDQN(4).eval(), protocol, ("q", "value", "advantage"), ("NOOP", "FIRE", "RIGHT", "LEFT"))
    agent.network.requires_grad_(False)
    ps.explain(agent, ps.play(agent, 8))  # imports and first calls
    ratios = []
    for round_ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            episode = ps.play(agent, options.steps, seed=round_, out=Path(folder))
            played = time.perf_counter()
            ps.explain(agent, episode, out=Path(folder))
            explained = time.perf_counter()
            emulator = time_emulator(agent, episode)
            passes = time_passes(agent, episode)
        ours, least = explained - start, emulator + passes
        ratios.append(ours / least)
        play, explain, emulator, passes = (
            1000 * seconds / options.steps for seconds in (played - start, explained - played, emulator, passes)
        )
        print(
            f"ms a step: play {play:.2f} + explain {explain:.2f}; emulator {emulator:.2f} + bare passes {passes:.2f}; "
            f"ratio {ratios[-1]:.2f}"
        )
    print(f"median ratio {np.median(ratios):.2f}")


def time_emulator(agent: ps.Agent, episode: ps.Episode) -> float:
    """The environment alone, through the recorded actions."""
    start = time.perf_counter()
    environment = make_environment(agent.protocol)
    environment.reset(0)
    for action in episode.actions:
        outcome = environment.step(int(action))
        if outcome.terminated or outcome.truncated:
            environment.reset()
    return time.perf_counter() - start


def time_passes(agent: ps.Agent, episode: ps.Episode) -> float:
    """One forward pass a step to act; one forward and two backward passes in batches to explain."""
    observations = np.asarray(episode.observations)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    with torch.inference_mode():
        for index in range(len(episode)):
            agent(agent.prepare(observations[index : index + 1]))
    torch.set_num_threads(threads)
    for first in range(0, len(episode), 64):
        leaf = agent.prepare(observations[first : first + 64]).requires_grad_()
        target = agent(leaf)[0]["q"].max(dim=1).values.sum()
        torch.autograd.grad(target, leaf, retain_graph=True)
        torch.autograd.grad(target, leaf)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(tyro.cli(Options))
