"""The viewer's server: a session's data over HTTP, to this machine alone."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from policyscope.errors import PolicyscopeError, RunError
from policyscope.viewer.access import Access, Guard
from policyscope.viewer.livesession import LiveSession
from policyscope.viewer.page import page, policy
from policyscope.viewer.session import Session

LARGEST_BODY = 64 << 10
PATIENCE = 15.0
"""Seconds after which a page that waits for news gets what there is."""


def application(session: Session, access: Access) -> Starlette:
    """The viewer of a session.

    Args:
        session: What is shown.
        access: Who may look.
    """
    routes = Routes(session, access)
    table: dict[tuple[str, str], Callable[[Request], Any]] = {
        ("/", "GET"): routes.page,
        ("/data/{key:path}", "GET"): routes.data,
        ("/ask", "POST"): routes.ask,
        ("/notes", "POST"): routes.notes,
        ("/link", "POST"): routes.link,
    }
    if isinstance(session, LiveSession):
        live = LiveRoutes(session)
        table |= {
            ("/live", "GET"): live.status,
            ("/live/frames", "GET"): live.frames,
            ("/live", "POST"): live.command,
        }
    return Starlette(
        routes=[Route(path, _guarded(call, access), methods=[method]) for (path, method), call in table.items()],
        middleware=[Middleware(Guard, access, policy("'self'") + "; frame-ancestors 'none'")],
    )


class Routes:
    """What any session answers."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session, self._access = session, access

    async def page(self, request: Request) -> Response:
        """The page itself."""
        return HTMLResponse(page(self._session.title, "http"))

    async def data(self, request: Request) -> Response:
        """A part of the session by its key: never a path."""
        session, key = self._session, str(request.path_params["key"])
        if key == "manifest":
            return _json(await run_in_threadpool(session.manifest) | {"tag": session.tag})
        headers = _cached(session.tag, request)
        if headers.get("etag") and headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        track = _number(request, "track", None)
        kind, _, rest = key.partition("/")
        if kind == "stats":
            return _json(await run_in_threadpool(session.statistics, rest, track), headers)
        data = await run_in_threadpool(session.bundle, key, track)
        return Response(data, media_type="application/octet-stream", headers=headers)

    async def ask(self, request: Request) -> Response:
        """The answer to a question."""
        return _json(await run_in_threadpool(self._session.ask, await _body(request)))

    async def notes(self, request: Request) -> Response:
        """Keeps notes."""
        body = await _body(request)
        kept = await run_in_threadpool(self._session.keep, body.get("notes"), body.get("before"))
        return _json({"notes": kept})

    async def link(self, request: Request) -> Response:
        """A link for another browser."""
        return _json({"url": self._access.link()})


class LiveRoutes:
    """What a game that is being played answers besides."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session

    async def status(self, request: Request) -> Response:
        """Where the game is, as soon as that is something else than was seen."""
        watchers, seen = self._session.live.watchers, _number(request, "seen", -1)
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def changed() -> None:
            with suppress(RuntimeError):  # the server has stopped meanwhile
                loop.call_soon_threadsafe(news.set)

        with watchers.watching(changed):
            if watchers.version == seen:
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), PATIENCE)
        return _json(self._session.status())

    async def frames(self, request: Request) -> Response:
        """The newest rows."""
        since, track = _number(request, "from", 0), _number(request, "track", None)
        data = await run_in_threadpool(self._session.frames, since or 0, track)
        return Response(data, media_type="application/octet-stream")

    async def command(self, request: Request) -> Response:
        """Has a command carried out."""
        await run_in_threadpool(self._session.live.obey, await _body(request))
        return _json(self._session.status())


def _guarded(call: Callable[[Request], Any], access: Access) -> Callable[[Request], Any]:
    """An endpoint for those who were let in; what goes wrong in it is one line."""

    async def answer(request: Request) -> Response:
        if request.url.path == "/" and "token" in request.query_params:
            return access.exchange(request)
        refusal = access.refusal(request)
        if refusal is not None:
            return refusal
        try:
            found: Response = await call(request)
            return found
        except _TooLargeError:
            return _json({"error": f"at most {LARGEST_BODY >> 10} kB can be sent"}, status=413)
        except RunError as error:
            return _json({"error": _line(error)}, status=404 if request.method == "GET" else 400)
        except PolicyscopeError as error:
            return _json({"error": _line(error)}, status=400)
        except Exception as error:
            logging.getLogger("policyscope.viewer").exception("a mistake in policyscope: please report it")
            return _json({"error": f"{type(error).__name__}: {_line(error)}; a mistake in policyscope"}, status=500)

    return answer


class _TooLargeError(Exception):
    """More was sent than anything needs."""


async def _body(request: Request) -> dict[str, Any]:
    """What was sent, as JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise PolicyscopeError("JSON is wanted: content-type: application/json")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_BODY:
            raise _TooLargeError
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PolicyscopeError(f"what was sent is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise PolicyscopeError("what was sent is no JSON object")
    return value


def _number(request: Request, name: str, default: int | None) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.removeprefix("-").isdecimal() or len(text) > 15:
        raise PolicyscopeError(f"{name} is a number, not {text!r}")
    return int(text)


def _cached(tag: str | None, request: Request) -> dict[str, str]:
    """Rows of a finished run are asked for once; under another run's name they are others at the same address."""
    if tag is None:
        return {}
    named = request.query_params.get("v") == tag
    return {"etag": f'"{tag}"', "cache-control": "private, max-age=86400, immutable" if named else "private, no-cache"}


def _json(value: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False, default=str)
    return Response(text, status, {"content-type": "application/json", **(headers or {})})


def _finite(value: Any) -> Any:
    """Numbers that JSON has no words for are unknown to the page."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
