"""A state dict of the user's own network (``.pt``, ``.pth``, ``.safetensors``), which ``network`` builds."""

from __future__ import annotations

from policyscope.agents.agent import Agent
from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.custom import make_agent
from policyscope.agents.environments import Actions
from policyscope.agents.games import action_names
from policyscope.agents.weights import check_fit, fill, shapes
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """Whenever the user gives a network."""
    return wishes.network is not None


def load(file: Checkpoint, wishes: Wishes) -> Agent:
    """The agent; its streams are those that the network returns, or guessed from their shapes."""
    protocol = wishes.settle("modern", file.hints, file.name)
    if protocol.game is None:
        actions = wishes.environment(protocol.env).actions
    else:
        actions = Actions(action_names(protocol.game, protocol.full_action_space))
    state = file.state
    network = wishes.build(protocol.observation_shape, len(actions.names))
    try:
        check_fit(shapes(state), shapes(network.state_dict()), file.name, type(network).__name__)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; there are {len(actions.names)} actions, and observations of shape "
            f"{tuple(protocol.observation_shape)} (protocol {protocol.name!r}): if the network learned with others, "
            "say so with --protocol, --game or --env"
        ) from error
    return make_agent(
        fill(network, state, file.name),
        protocol,
        actions=actions.names,
        continuous=actions.bounds,
        policy=wishes.policy,
        source=file.name,
        facts={"format": "state dict"},
    )
