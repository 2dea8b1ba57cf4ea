"""Puts what a script found into its page of the docs."""

from __future__ import annotations

from pathlib import Path

END = "<!-- end -->"


def write_between(page: Path, script: str, text: str) -> bool:
    """Replaces what stands between a script's mark and the next end mark, blank lines around it.

    Args:
        page: Markdown, which may be missing.
        script: Whose mark it is, as in ``<!-- benchmarks/objects.py -->``.
        text: What is to stand there.

    Returns:
        Whether the page has the mark.
    """
    begin = f"<!-- {script} -->"
    if not page.exists() or begin not in page.read_text():
        return False
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    return True
