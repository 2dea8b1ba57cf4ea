"""Who may talk to the viewer: this machine's browser, which came with a link that works once."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 64
"""Links that wait to be used, and browsers that were let in."""

_REFUSED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>policyscope</title>
<style>body{{font:16px/1.5 system-ui;max-width:36em;margin:15vh auto;padding:0 1em}}</style></head><body>
<h1>{title}</h1><p>{text}</p></body></html>
"""
_USED = (
    "This link was used already, or is not one of this viewer's",
    "Each link works once, so that nobody else can come in by it. Look for the page that it opened, or have that page "
    "make another link. If there is none, stop the viewer (Ctrl-C) and start it again: it prints a new link.",
)
_NO_LINK = (
    "This viewer is opened by its link",
    "policyscope prints it when it starts: http://127.0.0.1:…/?token=… It works once; the page that it opened can make "
    "another.",
)


class Access:
    """Links that work once, and the cookies of those who came by one.

    Attributes:
        port: Where the viewer listens.
        cookie: The name of its cookie: another for each port, since browsers do not tell ports apart.
    """

    def __init__(self, port: int) -> None:
        self.port, self.cookie = port, f"policyscope-{port}"
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._links: OrderedDict[str, None] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def link(self) -> str:
        """An address that lets one browser in."""
        return f"http://127.0.0.1:{self.port}/?token={self._added(self._links)}"

    def knows(self, request: Request) -> bool:
        """Whether a request comes from a browser that was let in."""
        return request.cookies.get(self.cookie, "") in self._known

    def exchange(self, request: Request) -> Response:
        """A link's token for a cookie, and on to the page; or a page that says what to do."""
        if request.headers.get("sec-purpose", "").startswith("prefetch"):
            return Response(status_code=503)  # nobody looks yet, and the link works once
        token = request.query_params.get("token", "")
        with self._lock:
            good = self._links.pop(token, self) is None
        if not good and not self.knows(request):
            return refused(*_USED)
        answer = RedirectResponse("/", status_code=303)
        if good:
            answer.set_cookie(self.cookie, self._added(self._known), httponly=True, samesite="strict", path="/")
        return answer

    def refusal(self, request: Request) -> Response | None:
        """The answer to who has no cookie; None for who has."""
        if self.knows(request):
            return None
        if request.url.path == "/":
            return refused(*_NO_LINK)
        return JSONResponse({"error": "open the viewer by its link first"}, status_code=403)

    def objection(self, scope: Scope) -> Response | None:
        """The answer to a request that did not come for this server, or not from its page; else None."""
        headers = Headers(scope=scope)
        # A name of somebody else's may lead to this machine's address (DNS rebinding).
        if headers.get("host", "").lower() not in self._hosts:
            return PlainTextResponse(f"this viewer is at 127.0.0.1:{self.port}\n", status_code=421)
        if scope["method"] in ("GET", "HEAD"):
            return None
        origin = headers.get("origin", "").lower()
        if origin.removeprefix("http://") not in self._hosts or not origin.startswith("http://"):
            return PlainTextResponse("only the viewer's own page may ask for that\n", status_code=403)
        return None

    def _added(self, kept: OrderedDict[str, None]) -> str:
        made = secrets.token_urlsafe(24)
        with self._lock:
            kept[made] = None
            while len(kept) > MOST:
                kept.popitem(last=False)
        return made


class Guard:
    """Stands before an application: refuses what did not come for it, and adds the headers of every answer."""

    def __init__(self, app: ASGIApp, access: Access, policy: str) -> None:
        self._app, self._access = app, access
        self._headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await (self._access.objection(scope) or self._app)(scope, receive, sent)


def refused(title: str, text: str) -> Response:
    """A page that says why there is nothing to see."""
    return HTMLResponse(_REFUSED.format(title=title, text=text), status_code=403)
