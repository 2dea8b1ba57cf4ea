"""The rules, one file each. A rule looks at an examination and says what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding

Rule = Callable[[Examination], Iterable[Finding]]

RULES: dict[str, Rule] = {}
"""Name -> rule, in the order in which they are asked."""
