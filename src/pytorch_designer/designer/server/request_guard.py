"""Guard of the server: every request is checked here before any route sees it.

Running a pipeline is running code, so that whoever passes may do what the user may. A request passes if

* it names this server as its `Host`, so that no other name in a browser leads here (DNS rebinding);
* its `Origin`, if it has one, is this server, and the browser does not say that another site has made it;
* it has the cookie with the token, or is the first request, which brings the token in the address;
* it writes with the content type `application/json`, which no form of another page can send;
* its body is not longer than `MAX_BODY_BYTES`.

All answers forbid scripts, frames and content of other places.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 4 << 20
_READS = frozenset({"GET", "HEAD"})
_WRITES = frozenset({"POST", "PUT"})
_OWN_SITES = frozenset({"same-origin", "none"})  # what Sec-Fetch-Site says of our page, and of an address typed in
_MAX_QUERY_FIELDS = 100
PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_FORWARD = '<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>Designer</title>'
_TOO_LARGE = "The body of the request is too large."
_ADVICE = (
    "This page needs the address, with its token, that `pytorch-designer designer` has printed.\n"
    "If the server was started again, its token is a new one: open the address that it has printed last.\n"
)


class RequestGuard:
    """ASGI middleware that refuses whatever does not come from our own page in the user's browser.

    Args:
        app: What requests get to that pass.
        port: The port of the server, on the loopback interface.
        token: The secret of this server.
    """

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app = app
        self._token = token
        self._one_time_tokens: set[str] = set()
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        # Cookies do not tell ports apart: without the port in the name, two servers would overwrite each other's.
        self.cookie_name = f"pytorch_designer_{port}"

    def one_time_token(self) -> str:
        """A token for one entry: other users can see the address that a browser is started with."""
        token = secrets.token_urlsafe(32)
        self._one_time_tokens.add(token)
        return token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":  # no web sockets, and no life span
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, _with_security_headers(send))
            return
        await self._app(scope, _BoundedBody(receive).receive, _with_security_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that does not pass, or the one that sets the cookie."""
        headers = Headers(scope=scope)
        method = scope["method"]
        is_entry = method == "GET" and scope["path"] == "/" and bool(scope["query_string"])
        stranger = self._stranger(headers, method, is_entry=is_entry)
        if stranger is not None:
            return stranger
        if is_entry:
            return self._entry(scope)
        if not self._has_cookie(headers):
            return _text(403, _ADVICE)
        return _refused_body(headers) if method in _WRITES else None

    def _stranger(self, headers: Headers, method: str, *, is_entry: bool) -> Response | None:
        """The answer to a request that is not for this server, or not from its page."""
        if [host.lower() for host in headers.getlist("host")] not in [[host] for host in self._hosts]:
            return _text(421, "This server is not the one that the request names.\n")
        if method not in _READS | _WRITES:
            return _text(405, "There is no such method here.\n")
        return None if is_entry or self._is_own_page(headers) else _text(403, "The request comes from another page.\n")

    def _is_own_page(self, headers: Headers) -> bool:
        own = {f"http://{host}" for host in self._hosts}
        origins = headers.getlist("origin")
        sites = headers.getlist("sec-fetch-site")
        return all(origin in own for origin in origins) and len(origins) <= 1 and all(s in _OWN_SITES for s in sites)

    def _entry(self, scope: Scope) -> Response:
        try:
            query = parse_qs(scope["query_string"].decode("ascii"), max_num_fields=_MAX_QUERY_FIELDS)
        except ValueError:
            query = {}
        token = "".join(query.get("token", []))
        if query.keys() != {"token"} or not (self._is_token(token) or token in self._one_time_tokens):
            return _text(403, _ADVICE)
        self._one_time_tokens.discard(token)
        # A link on another page leads here, too. The browser would not send the cookie after a redirect of that.
        is_direct = Headers(scope=scope).get("sec-fetch-site", "none") in _OWN_SITES
        answer = RedirectResponse("/", status_code=303) if is_direct else HTMLResponse(_FORWARD)
        answer.set_cookie(self.cookie_name, self._token, path="/", httponly=True, samesite="strict")
        return answer

    def _has_cookie(self, headers: Headers) -> bool:
        for header in headers.getlist("cookie"):
            try:
                morsel = SimpleCookie(header).get(self.cookie_name)
            except CookieError:
                continue
            if morsel is not None and self._is_token(morsel.value):
                return True
        return False

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token.encode())


def _refused_body(headers: Headers) -> Response | None:
    content_types = headers.getlist("content-type")
    kind = content_types[0].split(";")[0].strip().lower() if len(content_types) == 1 else ""
    if kind != "application/json":
        return _text(415, "Requests that write have the content type application/json.\n")
    length = headers.get("content-length")
    if length is not None and (not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES):
        return _text(413, f"{_TOO_LARGE}\n")
    return None


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text, status_code=status)


def _with_security_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)  # a report in a frame has stricter ones of its own
        await send(message)

    return sending


class _BoundedBody:
    """A body of which no more is read than is allowed, whatever its header says."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._num_bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._num_bytes += len(message.get("body", b""))
        if self._num_bytes > MAX_BODY_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        return message
