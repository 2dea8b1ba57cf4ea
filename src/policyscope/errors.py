"""What can go wrong by a user's hand, each told in one line: what is wrong, where, and what would be right."""


class PolicyscopeError(Exception):
    """Base of all errors that a user can cause; the command line prints its text alone and exits with status 2."""


class CheckpointError(PolicyscopeError):
    """A file that is missing, truncated, foreign, unsafe to read, or whose weights do not fit."""


class ProtocolError(PolicyscopeError):
    """A game or an observation that does not exist or does not fit the network."""


class TargetError(PolicyscopeError):
    """A stream, layer, lag, action or method that the agent lacks, or a target that no gradient reaches."""


class RunError(PolicyscopeError):
    """A run folder that cannot be written, continued or read."""


class RecipeError(PolicyscopeError):
    """A value of a training recipe that is out of range, or does not fit the others."""


class TrainingError(PolicyscopeError):
    """A training run that cannot go on: a loss that is not a number, a worker that died."""


class MissingExtraError(PolicyscopeError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'policyscope[{extra}]'")
