"""What every answer of the live page keeps to: who may ask, by which name, and what a browser may do."""

import base64
import secrets
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts, styles and data come from this server alone, and nothing is evaluated.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """Refuses a foreign Host, other methods than GET and HEAD, and, with `basic_auth`, whoever is not let in.

    A page elsewhere whose name was made to mean this machine (DNS rebinding) asks with its own name as Host.
    With `basic_auth`, `user:password`, any name is taken: a browser sends no password to another name.
    """

    def __init__(self, app: ASGIApp, basic_auth: str | None = None, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._token = base64.b64encode(basic_auth.encode()).decode() if basic_auth else None
        self._hosts = {*_LOOPBACK_NAMES, *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As every ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if self._token is None and _name_of(headers.get("host", "")) not in self._hosts:
            return PlainTextResponse("This page is served under the names of this machine alone.\n", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("This page can only be read.\n", 405, {"Allow": "GET, HEAD"})
        # The health check of a container has no password, and tells nothing.
        if self._token is None or scope["path"] == "/healthz":
            return None
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic" and secrets.compare_digest(token.encode(), self._token.encode()):
            return None
        challenge = {"WWW-Authenticate": 'Basic realm="recsweep", charset="UTF-8"'}
        return PlainTextResponse("A user and a password are needed.\n", 401, challenge)


def _name_of(host: str) -> str:
    """Without the port: `[::1]:8000` is `[::1]`."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()
