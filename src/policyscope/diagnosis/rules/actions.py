"""Actions that are not what the network's outputs say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.episodes.policy import Policy, policy_of
from policyscope.storage import Array

FEWEST = 30
SIGMAS = 6.0
"""Beyond this many standard errors chance is out of the question, however many agents are looked at."""
RULED = 0.9
"""Share of the steps in which the action follows from the best one by one and the same rule."""


def actions(examination: Examination) -> Iterator[Finding]:
    """Whether the recorded actions are those that the policy draws from the outputs.

    Of a greedy policy, all are the best one (of an epsilon-greedy one, 1 - epsilon + epsilon / n of them); of a sampled
    one, their mean log-probability is minus the mean entropy, within its standard error. Grave beyond six standard
    errors where the actions follow another rule (another index, the worst action); a warning where they follow none:
    they may have been recorded while somebody explored.
    """
    agent, taken = examination.agent, examination.episode.actions
    outputs = examination.streams.get(examination.acting)
    if agent.continuous is not None or taken is None or taken.ndim != 1 or outputs is None:
        return
    if len(taken) < FEWEST or not np.isfinite(outputs).all() or int(taken.max()) >= outputs.shape[1]:
        return
    policy = policy_of(str(examination.episode.meta.get("policy") or agent.policy), agent)
    off, evidence = _departure(policy, outputs.astype(np.float64), taken)
    if off < SIGMAS:
        return
    ruled, words = _rule(outputs, taken)
    where = Where("actions", stream=examination.acting)
    advice = (
        "look at how the loop reads the network's output, at argmax's axis, and at the environment's set of actions"
    )
    if ruled >= RULED:
        evidence = f"{evidence}; {words} in {ruled:.0%} of the steps"
        yield Finding("actions", "grave", where, evidence, advice, "certain", {"sigmas": off, "ruled": ruled})
    else:
        # A sampled policy is known to be one; a greedy one may have been recorded while somebody explored.
        sure = policy.kind == "sample" and off > 5 * SIGMAS
        advice = f"{advice}; or say by which policy they were taken"
        yield Finding("actions", "grave" if sure else "warning", where, evidence, advice, "likely", {"sigmas": off})


def _agreement(outputs: Array, taken: Array) -> float:
    return float((outputs[np.arange(len(taken)), taken] >= outputs.max(axis=1)).mean())


def _departure(policy: Policy, outputs: Array, taken: Array) -> tuple[float, str]:
    """By how many standard errors the actions depart from a policy, and what says so."""
    count = len(taken)
    if policy.kind == "sample":
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        p = np.exp(logs)
        mean = (p * logs).sum(axis=1)
        variance = (p * logs**2).sum(axis=1) - mean**2
        surprise = logs[np.arange(count), taken] - mean
        # Where a policy is all but certain the variance is all but zero, and a single rare draw looks impossible.
        error = float(np.sqrt(variance.sum() + 1))
        # Actions that are likelier than drawn ones are a greedy agent's, which is nothing wrong.
        off = -float(surprise.sum()) / error
        found, wanted = float(logs[np.arange(count), taken].mean()), float(mean.mean())
        return (
            off,
            f"actions have a mean log-probability of {found:.2f}, drawn from the policy it would be {wanted:.2f}",
        )
    agreed = _agreement(outputs, taken)
    expected = 1.0 if policy.kind == "greedy" else 1 - policy.epsilon + policy.epsilon / outputs.shape[1]
    # Rounding lets near-equal values change places: one step in a hundred is given away.
    error = float(np.sqrt(max(expected * (1 - expected), 0.01) / count))
    off = (expected - agreed) / error
    return off, f"the action taken is the best one in {agreed:.0%} of {count} steps, {policy} would be {expected:.0%}"


def _rule(outputs: Array, taken: Array) -> tuple[float, str]:
    """The rule by which actions follow from the outputs most often, other than the best one, and its share."""
    ranks = (outputs > outputs[np.arange(len(taken)), taken][:, None]).sum(axis=1)
    rank = int(np.bincount(ranks).argmax())
    by_rank = float((ranks == rank).mean()) if rank else 0.0
    best, count = outputs.argmax(axis=1), outputs.shape[1]
    table = np.zeros((count, count))
    np.add.at(table, (best, taken), 1)
    mapped = {a: int(table[a].argmax()) for a in range(count) if table[a].sum()}
    # An agent that takes one action whatever is best has no rule of this kind.
    one_to_one = len(set(mapped.values())) == len(mapped) and len(mapped) > 1
    by_index = float(table.max(axis=1).sum() / len(taken)) if one_to_one else 0.0
    if by_rank >= by_index:
        last = rank == count - 1
        return by_rank, "it is the worst one" if last else f"it is number {rank + 1} of {count} by value"
    return by_index, "each best action has another one taken in its place"
