"""The doctor: plays an agent, or takes an episode that is there, and asks every rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from policyscope.agents.agent import Agent
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.rules import RULES
from policyscope.episodes.episode import Episode
from policyscope.episodes.play import play
from policyscope.errors import PolicyscopeError

STEPS = 500


def diagnose(
    agent: Agent,
    episode: Episode | None = None,
    *,
    rules: str | Iterable[str] | None = None,
    steps: int = STEPS,
    seed: int = 0,
    play_on: bool = True,
    told: Callable[[str], None] | None = None,
) -> list[Finding]:
    """Says what is wrong with an agent, and where.

    Args:
        agent: Who is examined; its weights are only read.
        episode: What it saw and did; by default it plays one.
        rules: Names of the rules to ask; by default all.
        steps: Of the episode that is played.
        seed: Of it, and of what rules draw by chance.
        play_on: Rules may let the agent play further games, which takes longer.
        told: Called with each rule's name before it is asked.

    Returns:
        Findings, the gravest and surest first. A rule that cannot be asked of this agent leaves a note that says why.

    Raises:
        PolicyscopeError: A rule's name is unknown, or the episode does not fit the agent.

    Example:
        >>> for finding in diagnose(load_agent("zoo:breakout-dddqn")):
        ...     print(finding.severity, finding.where, finding.evidence)
    """
    chosen = _checked(rules)
    if episode is None:
        episode = play(agent, steps, seed)
    examination = Examination(agent, episode, following=play_on)
    found: list[Finding] = []
    for name in chosen:
        if told is not None:
            told(name)
        try:
            found += RULES[name](examination)
            if examination.hopeless:
                break
        except PolicyscopeError as error:
            advice = "nothing, unless you expected this rule to apply"
            found.append(Finding(name, "note", Where("network"), f"this rule could not be asked: {error}", advice))
    return sorted(found, key=lambda finding: finding.order)


def _checked(rules: str | Iterable[str] | None) -> list[str]:
    names = list(RULES) if rules is None else [rules] if isinstance(rules, str) else list(rules)
    for name in names:
        if name not in RULES:
            raise PolicyscopeError(f"no rule {name!r}; there are: {', '.join(RULES)}")
    return names
