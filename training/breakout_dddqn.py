"""Trains the paper's DDDQN on an Atari game: replay, n-step returns, double targets, one process, one core.

    OMP_NUM_THREADS=1 taskset -c 0 python training/breakout_dddqn.py --out runs/breakout --minutes 140

Many games are played side by side (ale-py's vector environment), and each sweep over them is followed by one
large batch from replay, so that small matrices do not waste the core. A lost life ends a return, not a game.
The run stops after ``--steps`` or ``--minutes``, writes its weights as it goes and continues with ``--resume``
(the optimiser's state is kept, the replay memory is filled anew).
"""

from __future__ import annotations

import copy
import csv
import os
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from ale_py import AtariVectorEnv
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from policyscope.agents.networks.dqn import DuelingDQN


@dataclass
class Recipe:
    """Every value that shapes a run."""

    out: Path
    game: str = "breakout"
    seed: int = 1
    steps: int = 4_000_000
    """Agent steps, of four frames each, over all games."""
    minutes: float = 140.0
    games: int = 32
    batch: int = 256
    updates: int = 1
    """Gradient steps after each sweep over the games."""
    replay: int = 600_000
    """States kept."""
    learn_after: int = 20_000
    n_step: int = 3
    gamma: float = 0.99
    learning_rate: float = 2.5e-4
    adam_eps: float = 1e-5
    max_grad_norm: float = 10.0
    target_every: int = 250
    """Gradient steps between copies into the target network."""
    epsilon_end: float = 0.01
    epsilon_steps: int = 200_000
    priority: float = 0.5
    """Exponent of prioritised replay (Schaul et al., 2016); 0 samples uniformly."""
    sticky: float = 0.25
    save_every: int = 50_000
    resume: bool = False


class Replay:
    """The last states of each game, newest frame only; stacks and n-step returns are put together when sampled."""

    def __init__(self, capacity: int, games: int, n_step: int, gamma: float, priority: float) -> None:
        self.length, self.games, self.n, self.priority = capacity // games, games, n_step, priority
        self.frames = np.zeros((self.length, games, 84, 84), np.uint8)
        self.actions = np.zeros((self.length, games), np.int64)
        self.rewards = np.zeros((self.length, games), np.float32)
        self.ends = np.zeros((self.length, games), bool)
        self.age = np.zeros((self.length, games), np.int32)  # steps since the game began
        self.priorities = np.zeros((self.length, games), np.float32)
        self.discounts = gamma ** np.arange(n_step, dtype=np.float32)
        self.final_discount = gamma**n_step
        self.highest, self.count = 1.0, 0

    def append(self, frames, age, actions, rewards, ends) -> None:
        row = self.count % self.length
        self.frames[row], self.age[row] = frames, age
        self.actions[row], self.rewards[row], self.ends[row] = actions, rewards, ends
        self.priorities[row] = 0.0  # not to be drawn before its n-step return is known
        if self.count >= self.n:
            self.priorities[(row - self.n) % self.length] = self.highest
        self.priorities[[(row + k) % self.length for k in range(1, 4)]] = 0.0  # their older frames are overwritten
        self.count += 1

    def stacks(self, rows, games) -> Tensor:
        back = np.arange(3, -1, -1)
        frames = self.frames[(rows[:, None] - back) % self.length, games[:, None]]
        frames[back[None] > self.age[rows, games][:, None]] = 0  # before the game began, as the environment has it
        return torch.from_numpy(frames)

    def sample(self, size: int, rng: np.random.Generator):
        cumulative = np.cumsum(self.priorities.ravel(), dtype=np.float64)
        flat = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
        rows, games = np.divmod(np.minimum(flat, cumulative.size - 1), self.games)
        chance = self.priorities[rows, games] / cumulative[-1]
        weights = (chance.min() / np.maximum(chance, 1e-12)) ** 0.5
        ahead = (rows[:, None] + np.arange(self.n)) % self.length
        ends = self.ends[ahead, games[:, None]]
        alive = np.concatenate([np.ones((size, 1), bool), ~np.logical_or.accumulate(ends, axis=1)], axis=1)
        returns = (self.rewards[ahead, games[:, None]] * self.discounts * alive[:, :-1]).sum(axis=1)
        return (
            (rows, games),
            self.stacks(rows, games),
            torch.from_numpy(self.actions[rows, games]),
            torch.from_numpy(returns.astype(np.float32)),
            self.stacks((rows + self.n) % self.length, games),
            torch.from_numpy((self.final_discount * alive[:, -1]).astype(np.float32)),
            torch.from_numpy(weights.astype(np.float32)),
        )

    def update(self, where, errors: np.ndarray) -> None:
        if self.priority:
            rows, games = where
            drawable = self.priorities[rows, games] > 0
            values = np.where(drawable, (np.abs(errors) + 1e-2) ** self.priority, 0.0)
            self.priorities[rows, games] = values
            self.highest = max(0.999 * self.highest, float(values.max()))


def make_network(observation_shape: tuple[int, ...], actions: int) -> DuelingDQN:
    """What ``--network breakout_dddqn:make_network`` builds around a checkpoint of a run."""
    return DuelingDQN(actions, observation_shape[0])


def q_values(model: nn.Module, observations: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return model(observations.to(torch.bfloat16) / 255)["q"].float()


def save(path: Path, model: nn.Module, recipe: Recipe, step: int) -> None:
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    part = path.with_suffix(".part")
    save_file(weights, part, metadata={"step": str(step), "recipe": repr(asdict(recipe))})
    os.replace(part, path)


def train(recipe: Recipe) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    recipe.out.mkdir(parents=True, exist_ok=True)

    env = AtariVectorEnv(
        recipe.game,
        num_envs=recipe.games,
        num_threads=1,
        repeat_action_probability=recipe.sticky,
        use_fire_reset=False,
        life_loss_info=True,
        autoreset_mode="SameStep",
    )
    actions = int(env.single_action_space.n)
    network = DuelingDQN(actions)
    optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate, eps=recipe.adam_eps, fused=True)
    step = 0
    if recipe.resume and (recipe.out / "weights.safetensors").exists():
        network.load_state_dict(load_file(recipe.out / "weights.safetensors"))
        state = torch.load(recipe.out / "optimiser.pt", weights_only=True)
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    target = copy.deepcopy(network).requires_grad_(False)
    replay = Replay(recipe.replay, recipe.games, recipe.n_step, recipe.gamma, recipe.priority)

    curve_path = recipe.out / "curve.csv"
    curve_new = not (step and curve_path.exists())
    curve = curve_path.open("w" if curve_new else "a", newline="")
    writer = csv.writer(curve)
    if curve_new:
        writer.writerow(["step", "seconds", "games", "return", "epsilon", "loss", "q"])

    observations, info = env.reset(seed=recipe.seed + step)
    age = np.zeros(recipe.games, np.int32)
    returns, finished = np.zeros(recipe.games), deque(maxlen=100)
    losses, q_mean = deque(maxlen=200), 0.0
    began, first_step, updates, frame_number = time.time(), step, 0, info["episode_frame_number"]
    games_done, next_report, next_save = 0, step, step + recipe.save_every

    while step < recipe.steps and time.time() - began < 60 * recipe.minutes:
        epsilon = max(recipe.epsilon_end, 1.0 - (1.0 - recipe.epsilon_end) * step / recipe.epsilon_steps)
        with torch.no_grad():
            q = q_values(network, torch.from_numpy(observations))
        explore = rng.random(recipe.games) < epsilon
        chosen = np.where(explore, rng.integers(0, actions, recipe.games), q.argmax(dim=1).numpy())
        frames, frames_age = observations[:, -1].copy(), age.copy()
        observations, rewards, ends, truncated, info = env.step(chosen)
        replay.append(frames, frames_age, chosen, rewards, ends | truncated)
        step += recipe.games

        # The vector environment reports a lost life as an end; a game has ended where its frame number fell back.
        returns += rewards
        age += 1
        over = info["episode_frame_number"] < frame_number
        frame_number = info["episode_frame_number"]
        finished.extend(returns[over])
        games_done += int(over.sum())
        returns[over], age[over] = 0.0, 0

        if step - first_step >= recipe.learn_after:
            for _ in range(recipe.updates):
                where, now, taken, gain, later, discount, weight = replay.sample(recipe.batch, rng)
                with torch.no_grad():
                    best = q_values(network, later).argmax(dim=1, keepdim=True)
                    goal = gain + discount * q_values(target, later).gather(1, best).squeeze(1)
                guess = q_values(network, now).gather(1, taken[:, None]).squeeze(1)
                loss = (weight * nn.functional.smooth_l1_loss(guess, goal, reduction="none")).mean()
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.max_grad_norm)
                optimiser.step()
                replay.update(where, (guess - goal).detach().numpy())
                losses.append(float(loss.detach()))
                q_mean = float(guess.detach().mean())
                updates += 1
                if updates % recipe.target_every == 0:
                    target.load_state_dict(network.state_dict())

        if step >= next_report:
            next_report = step + 10_000
            mean = float(np.mean(finished)) if finished else 0.0
            seconds = time.time() - began
            row = [step, round(seconds, 1), games_done, round(mean, 3), round(epsilon, 4)]
            writer.writerow([*row, round(float(np.mean(losses or [0])), 5), round(q_mean, 3)])
            curve.flush()
            pace = (step - first_step) / seconds
            print(
                f"{step:>9,} steps  {pace:5.0f}/s  return {mean:7.2f}  epsilon {epsilon:.3f}  q {q_mean:.2f}",
                flush=True,
            )
        if step >= next_save:
            next_save = step + recipe.save_every
            save(recipe.out / "weights.safetensors", network, recipe, step)
            save(recipe.out / f"weights-{step // 1000:05d}k.safetensors", network, recipe, step)
            torch.save({"optimiser": optimiser.state_dict(), "step": step}, recipe.out / "optimiser.part")
            os.replace(recipe.out / "optimiser.part", recipe.out / "optimiser.pt")

    save(recipe.out / "weights.safetensors", network, recipe, step)
    curve.close()


if __name__ == "__main__":
    train(tyro.cli(Recipe))
