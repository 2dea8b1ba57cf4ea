"""``policyscope zoo check``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import comb
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from policyscope.cli.options import Flag, shown
from policyscope.cli.terminal import bar
from policyscope.cli.zoo.list import rounded
from policyscope.errors import PolicyscopeError

if TYPE_CHECKING:
    from policyscope.agents.zoo import Card

SURE = 0.001
"""An agent fails if games as far from its card's would be dealt by chance less often than this."""

FAILED = 1


@dataclass
class Check:
    """Check that agents are what their cards say: the file, and how it plays."""

    names: Annotated[tyro.conf.Positional[tuple[str, ...]], shown("[NAME …]", "all")] = ()
    """Of the agents, as the list has them."""
    games: Annotated[int, shown("N")] = 30
    """To be played, side by side; none (0) checks the file alone."""
    protocol: Literal["own", "paper", "modern"] = "own"
    """The one it was trained under, or its picture on the console of a preset."""
    seed: Annotated[int, shown("N")] = 0
    """Of the first game. With the card's own seed the card's own games are played again."""
    debug: Flag = False
    """Show the traceback of an error."""


def check_command(options: Check) -> None:
    """Prints a verdict a line; exit status 1 if one is bad."""
    from policyscope.agents import zoo

    cards = [zoo.card(name.removeprefix("zoo:")) for name in options.names or zoo.names()]
    for card in cards:  # before the first of them plays for minutes
        _check_games(card, options)
    good = 0
    for card in cards:
        try:
            passed, text = _verdict(card, options)
        except PolicyscopeError as error:
            passed, text = False, str(error)
        good += passed
        print(f"{'ok    ' if passed else 'FAILED'}  zoo:{card.name}: {text}", flush=True)
    if good < len(cards):
        raise SystemExit(FAILED)


def _check_games(card: Card, options: Check) -> None:
    """Refuses so few games that no outcome of theirs could fail an agent."""
    if options.games < 0:
        raise PolicyscopeError(f"--games is {options.games}; it must be 0, to check the file alone, or more")
    held = len(card.returns[options.protocol].returns) if options.protocol in card.returns else 0
    if options.games and held and 2 / comb(options.games + held, held) > SURE:
        fewest = next(games for games in count(1) if 2 / comb(games + held, held) <= SURE)
        raise PolicyscopeError(
            f"--games {options.games} decides nothing against the {held} of {card.name}'s card: give {fewest} or more, "
            "or 0 to check the file alone"
        )


def _verdict(card: Card, options: Check) -> tuple[bool, str]:
    """Whether an agent is what its card says, and why."""
    from policyscope.agents import zoo
    from policyscope.agents.loading import load_agent
    from policyscope.agents.zoo.consoles import under
    from policyscope.episodes.returns import play_returns
    from policyscope.episodes.statistics import mean_interval, same_mean

    file = zoo.path(card.name)
    agent = load_agent(f"zoo:{card.name}")
    recipe: dict[str, Any] = vars(agent.network)["recipe"]
    for what, found, said in (
        ("game", agent.protocol.game, card.game),
        ("network", recipe["architecture"], card.architecture),
        ("network's options", recipe["options"], card.options),
    ):
        if found != said:
            return False, f"the {what} in {file} is {found}, its card says {said}"
    if not options.games:
        return True, f"{file} has the card's checksum and loads"
    measured = card.returns.get(options.protocol)
    if measured is None:
        return False, f"its card has no returns under {options.protocol}"
    with bar(f"playing {card.name}", options.games) as advance:
        returns = play_returns(
            agent,
            options.games,
            options.seed,
            protocol=under(agent.protocol, options.protocol),
            policy=measured.policy,
            limit=measured.limit,
            watch=lambda done, games: advance(done, games, f"playing {card.name}"),
        )
    chance, (low, high) = same_mean(returns, measured.returns), mean_interval(returns)
    return chance >= SURE, (
        f"mean return {rounded(returns.mean())} [{rounded(low)}, {rounded(high)}] over {options.games} games under "
        f"{options.protocol}, its card says {rounded(measured.mean)} over {len(measured.returns)} (p = {chance:.2g})"
    )
