"""The page: its style and script in one piece, with the policy that keeps everything else out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Literal

PARTS = (
    "numbers", "bytes", "sources", "names", "colours", "painter", "store", "state", "card", "panels", "lanes",
    "timeline", "ask", "results", "inspector", "save", "controls", "live", "view", "main",
)  # fmt: skip
"""Of the client, in the order in which they are joined: each may use those before it at once, and all others later."""

_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def script() -> str:
    """The client as one ES module."""
    texts = (files(__package__).joinpath("client", f"{name}.js").read_text(encoding="utf-8") for name in PARTS)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


@cache
def style() -> str:
    """The client's style sheet."""
    return files(__package__).joinpath("client", "page.css").read_text(encoding="utf-8")


def policy(connect: Literal["'none'", "'self'"]) -> str:
    """The content security policy: this very script, and data of one's own.

    Args:
        connect: Where the page may fetch from.
    """
    digest = base64.b64encode(hashlib.sha256(_inlined(script()).encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src blob: data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def page(title: str, source: Literal["file", "http"], blocks: str = "", *, address: bool = True) -> str:
    """The whole page.

    Args:
        title: For the window.
        source: Where the client takes its data from: blocks of this page, or the server that it came from.
        blocks: As :func:`block` makes them.
        address: Whether the page's address tells what is shown; a page inside another has none of its own.
    """
    connect: Literal["'none'", "'self'"] = "'none'" if source == "file" else "'self'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(connect)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>body{{margin:0}}\n{style()}</style></head>\n"
        f'<body><div id="app" data-source="{source}" data-address="{"yes" if address else "no"}"></div>\n{blocks}'
        f'<script type="module">{_inlined(script())}</script></body></html>\n'
    )


def block(key: str, data: bytes | dict[str, Any]) -> str:
    """A piece of data in the page: a bundle as base64, anything else as JSON."""
    kind, text = "application/json", ""
    if isinstance(data, bytes):
        kind, text = "text/plain", base64.b64encode(data).decode("ascii")
    else:
        text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="{kind}" data-key="{escape(key)}">{text}</script>\n'


def _inlined(text: str) -> str:
    return text.replace("</script", "<\\/script")
