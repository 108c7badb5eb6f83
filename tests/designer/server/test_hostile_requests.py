"""Requests that no page of ours sends: each is refused, tells nothing, and the server goes on.

One table of requests to the whole server: another host, another page, no cookie, paths that lead out, bodies that are
too large or too deep, links, methods, and texts that would be markup.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from tests.designer.server.conftest import HOSTILE_LOG, HOSTILE_TEXT, SECRET
from tests.designer.server.local_designer import JSON, LocalDesigner

MEBIBYTE = 1 << 20
LOG = "/api/runs/first/logs/make"
FILES = "/api/runs/first/files/make/out"
CREATE = "/api/documents"


@dataclass(frozen=True)
class Hostile:
    """A request, and the statuses that refuse it."""

    target: str = "/api/project"
    statuses: tuple[int, ...] = (403,)
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | str | None = None
    has_cookie: bool = True


def writing(content: object, target: str = CREATE, *statuses: int, method: str = "POST") -> Hostile:
    body = content if isinstance(content, (str, bytes)) else json.dumps(content)
    return Hostile(target, statuses or (400,), method, {"Content-Type": JSON}, body)


REQUESTS = {
    # Who asks
    "another host": Hostile(headers={"Host": "evil.example"}, statuses=(421,)),
    "another host with our port": Hostile(headers={"Host": "evil.example:PORT"}, statuses=(421,)),
    "our address without the port": Hostile(headers={"Host": "127.0.0.1"}, statuses=(421,)),
    "a host that begins like ours": Hostile(headers={"Host": "127.0.0.1:PORT.evil.example"}, statuses=(421,)),
    "a host with a user": Hostile(headers={"Host": "a@127.0.0.1:PORT"}, statuses=(421,)),
    "any address": Hostile(headers={"Host": "0.0.0.0:PORT"}, statuses=(421,)),
    "a forwarded host does not count": Hostile(
        headers={"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1:PORT"}, statuses=(421,)
    ),
    "the origin of another site": Hostile(headers={"Origin": "http://evil.example"}),
    "the origin of another port": Hostile(headers={"Origin": "http://127.0.0.1:1"}),
    "our origin with another scheme": Hostile(headers={"Origin": "https://127.0.0.1:PORT"}),
    "no origin, as in a sandboxed frame": Hostile(headers={"Origin": "null"}),
    "a request of another site": Hostile(headers={"Sec-Fetch-Site": "cross-site"}),
    "a request of another port": Hostile(headers={"Sec-Fetch-Site": "same-site"}),
    "no cookie": Hostile(has_cookie=False),
    "the page without a cookie": Hostile("/", has_cookie=False),
    "a file of the page without a cookie": Hostile("/assets/index.js", has_cookie=False),
    "events without a cookie": Hostile("/api/events", has_cookie=False),
    "a wrong cookie": Hostile(headers={"Cookie": "pytorch_designer_PORT=" + "A" * 43}, has_cookie=False),
    "an empty cookie": Hostile(headers={"Cookie": "pytorch_designer_PORT="}, has_cookie=False),
    "a cookie that is none": Hostile(headers={"Cookie": "\"'=;;;=\\"}, has_cookie=False),
    "the cookie of another port": Hostile(headers={"Cookie": "pytorch_designer_1=TOKEN"}, has_cookie=False),
    "the token in the address of data": Hostile("/api/project?token=TOKEN", has_cookie=False),
    "a wrong token": Hostile("/?token=AAAA", has_cookie=False),
    "two tokens": Hostile("/?token=TOKEN&token=x", has_cookie=False),
    "a token and more": Hostile("/?token=TOKEN&next=http://evil.example", has_cookie=False),
    "a token that is no text": Hostile("/?token=%ff%00", has_cookie=False),
    "a token in the authorization": Hostile(headers={"Authorization": "Bearer TOKEN"}, has_cookie=False),
    # How it is asked
    "a form": Hostile(
        CREATE, (415,), "POST", {"Content-Type": "application/x-www-form-urlencoded"}, "path=a.yaml&template=empty"
    ),
    "a text": Hostile(CREATE, (415,), "POST", {"Content-Type": "text/plain"}, '{"path": "a.yaml"}'),
    "a form with files": Hostile(CREATE, (415,), "POST", {"Content-Type": "multipart/form-data; boundary=a"}, "--a--"),
    "no content type": Hostile(CREATE, (415,), "POST", {}, "{}"),
    "two content types": Hostile(CREATE, (415,), "POST", {"Content-Type": f"{JSON}, text/plain"}, "{}"),
    "removing": Hostile("/api/documents/pipeline.yaml", (405,), "DELETE"),
    "asking what is allowed": Hostile("/api/runs", (405,), "OPTIONS", {"Origin": "http://evil.example"}),
    "tracing": Hostile("/api/project", (405,), "TRACE"),
    "a tunnel": Hostile("evil.example:443", (405,), "CONNECT", {"Host": "127.0.0.1:PORT"}),
    "a method of nobody": Hostile("/api/project", (405,), "BREW"),
    "writing what is read": writing({}, "/api/project", 405),
    "a web socket": Hostile(
        "/api/events",
        (403,),
        headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        has_cookie=False,
    ),
    "a large body": writing("{" + " " * (5 * MEBIBYTE) + "}", CREATE, 413),
    "a body that is said to be large": Hostile(
        CREATE, (413,), "POST", {"Content-Type": JSON, "Content-Length": "99999999999999999999"}, "{}"
    ),
    "a body in parts that is large": Hostile(
        CREATE,
        (413,),
        "POST",
        {"Content-Type": JSON, "Transfer-Encoding": "chunked"},
        b"100000\r\n" + b" " * MEBIBYTE + (b"\r\n100000\r\n" + b" " * MEBIBYTE) * 4 + b"\r\n0\r\n\r\n",
    ),
    "a body in lists without end": writing("[" * 200_000),
    "a body in objects without end": writing('{"a":' * 100_000),
    "a body that is no JSON": writing("{'path': 1}"),
    "a body that is not UTF-8": writing(b'{"path": "\xff.yaml"}'),
    "a body that is a list": writing([1, 2]),
    "a number for a text": writing({"path": 1, "template": "empty"}),
    "an object for a text": writing({"path": {"$ne": ""}}),
    "half a character": writing('{"path": "\\ud800.yaml"}'),
    "edits that are no list": writing({"version": "x", "edits": "all"}, "/api/documents/pipeline.yaml/edits"),
    "a number that is too large": Hostile(f"{LOG}/std_log.txt?offset={'9' * 400}", (400,)),
    "an offset that is a word": Hostile(f"{LOG}/std_log.txt?offset=first", (400,)),
    # Where it leads
    "a document above": Hostile("/api/documents/../secret.yaml", (403, 404)),
    "a document above, encoded": Hostile("/api/documents/%2e%2e%2fsecret.yaml", (403, 404)),
    "a document above, encoded twice": Hostile("/api/documents/%252e%252e%252fsecret.yaml", (403, 404)),
    "a document above, as Windows writes it": Hostile("/api/documents/..%5csecret.yaml", (403, 404)),
    "a document above, its text": Hostile("/api/documents/%2e%2e/secret.yaml/text", (403, 404)),
    "a document by a link": Hostile("/api/documents/linked/secret.yaml", (403, 404)),
    "a document with an absolute path": Hostile("/api/documents//etc/hostname.yaml", (403, 404)),
    "a document with a NUL": Hostile("/api/documents/pipeline.yaml%00.yaml", (403, 404)),
    "what is no document": Hostile("/api/documents/bad.png/text", (404,)),
    "a new document above": writing({"path": "../new.yaml", "template": "empty"}, CREATE, 403),
    "a new document with an absolute path": writing({"path": "/etc/new.yaml", "template": "empty"}, CREATE, 403),
    "a new document by a link": writing({"path": "linked/new.yaml", "template": "empty"}, CREATE, 403),
    "a clone above": writing({"path": "../clone.yaml"}, "/api/runs/first/clone", 403),
    "a run above": Hostile("/api/runs/%2e%2e", (404,)),
    "a run that is this folder": Hostile("/api/runs/.", (404,)),
    "a run with an absolute path": Hostile("/api/runs/%2Fetc", (404,)),
    "a run with a NUL": Hostile("/api/runs/first%00", (404,)),
    "a run to compare above": Hostile("/api/runs/compare?a=../runs/first&b=first", (404,)),
    "a node above": Hostile("/api/runs/first/logs/%2e%2e", (404,)),
    "a log above": Hostile(f"{LOG}/..%2f..%2frun.json", (404,)),
    "a log above, as Windows writes it": Hostile(f"{LOG}/..%5crun.json", (404,)),
    "a log with a NUL": Hostile(f"{LOG}/std_log.txt%00", (404,)),
    "an output above": Hostile("/api/runs/first/outputs/make/..", (404,)),
    "a file above": Hostile(f"{FILES}/../../run.json", (403, 404)),
    "a file above, encoded": Hostile(f"{FILES}/%2e%2e%2f%2e%2e%2frun.json", (403, 404)),
    "a file with an absolute path": Hostile(f"{FILES}//etc/passwd", (403, 404)),
    "a file by a link": Hostile(f"{FILES}/link.txt", (403,)),
    "a file with a NUL": Hostile(f"{FILES}/a.txt%00.html", (403, 404)),
    "data above": Hostile("/api/preview?path=../secret.txt"),
    "data above, in the middle": Hostile("/api/preview?path=pictures/../../secret.txt"),
    "data with an absolute path": Hostile("/api/preview?path=/etc/passwd"),
    "data by a link": Hostile("/api/preview?path=link.txt"),
    "data in a folder by a link": Hostile("/api/preview?path=linked"),
    "data with a NUL": Hostile("/api/preview?path=pictures%00"),
    "data of the web": Hostile("/api/preview?path=http://127.0.0.1:1/"),
    "data of another machine": Hostile("/api/preview?path=//evil.example/share"),
    "no path of data": Hostile("/api/preview"),
    "data of a document above": Hostile("/api/preview?path=pictures&document=../secret.yaml", (403, 404)),
    "a file of data above": Hostile("/api/files?path=pictures&file=../../secret.txt"),
    "a file of data by a link": Hostile("/api/files?path=pictures&file=cat/out.png"),
    "a picture above": Hostile("/api/thumbnails?path=pictures&file=../../secret.txt"),
    "a picture by a link": Hostile("/api/thumbnails?path=pictures&file=cat/out.png"),
    "a file of the server": Hostile("/../server/api.py", (404,)),
    "a file of the server, encoded": Hostile("/%2e%2e/server/api.py", (404,)),
    "a file of the page with a NUL": Hostile("/assets/%00", (404,)),
    "a file of the page above, as Windows writes it": Hostile("/..%5cserver%5capi.py", (404,)),
    "another server through this one": Hostile("http://evil.example/", (421,)),
    # Texts that would be markup, or headers
    "markup in a name": Hostile("/api/documents/%3Cimg%20src=x%20onerror=alert(1)%3E.yaml", (404,)),
    "markup in a run": Hostile("/api/runs/%3Cscript%3Ealert(1)%3C%2Fscript%3E", (404,)),
    "line ends in a name": Hostile("/api/documents/a%0d%0aSet-Cookie:%20x=1.yaml", (404,)),
    "line ends in a file's name": Hostile(f"{FILES}/a%0d%0aSet-Cookie:%20x=1", (404, 403)),
    "line ends in a run": Hostile("/api/runs/a%0d%0aX:%20y", (404,)),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_it_is_refused_and_nothing_is_told(designer: LocalDesigner, name: str) -> None:
    hostile = REQUESTS[name]
    filled = {"PORT": str(designer.place.port), "TOKEN": designer.place.token}

    def fill(text: str) -> str:
        for word, value in filled.items():
            text = text.replace(word, value)
        return text

    answer = designer.ask(
        hostile.method,
        fill(hostile.target),
        headers={header: fill(value) for header, value in hostile.headers.items()},
        body=hostile.body,
        has_cookie=hostile.has_cookie,
    )

    assert answer.status in hostile.statuses, answer.body
    assert SECRET.encode() not in answer.body
    assert designer.place.token.encode() not in answer.body
    assert "set-cookie" not in answer.headers
    assert "x" not in answer.headers
    assert answer.headers["content-type"].split(";")[0] in {JSON, "text/plain"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers
    assert not (designer.project.parent / "new.yaml").exists()
    assert designer.get("/api/project").status == 200, "the server goes on"


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b"GET /api/project HTTP/1.1\r\n\r\n",
        b"GET /api/project HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\nCookie: COOKIE\r\n\r\n",
        b"GET /api/project HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nOrigin: http://evil.example\r\n"
        b"Cookie: COOKIE\r\n\r\n",
        b"GET /api/project HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"POST /api/documents HTTP/1.1\r\nHost: HOST\r\nCookie: COOKIE\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{}",
        b"GET /api/project HTTP/0.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\x00 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    ],
    ids=["no host", "two hosts", "two origins", "a large header", "two lengths", "an old version", "TLS", "a NUL"],
)
def test_bytes_that_are_no_proper_request_are_refused(designer: LocalDesigner, data: bytes) -> None:
    cookie = designer.own_headers["Cookie"].encode()
    host = f"127.0.0.1:{designer.place.port}".encode()
    answer = designer.raw(data.replace(b"HOST", host).replace(b"COOKIE", cookie))
    assert not answer or answer.split(b" ")[1] in {b"400", b"403", b"421", b"431"}, answer[:200]
    assert b'"folder"' not in answer
    assert designer.get("/api/project").status == 200


@pytest.mark.parametrize("path", ["pipeline.yaml", "bad.png", "drawing.svg"])
def test_in_place_of_what_is_no_picture_comes_a_drawing_of_our_own(designer: LocalDesigner, path: str) -> None:
    answer = designer.get(f"/api/thumbnails?path={path}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert b"script" not in answer.body
    assert answer.body == designer.get("/api/thumbnails?path=bad.png").body
    assert "default-src" in answer.headers["content-security-policy"]


def test_what_others_have_written_is_sent_as_data_and_never_as_a_page(designer: LocalDesigner) -> None:
    run = designer.get("/api/runs/first")
    assert run.json["name"] == HOSTILE_TEXT
    assert run.headers["content-type"] == JSON
    log = designer.get(f"{LOG}/std_log.txt")
    assert log.json["text"] == f"{HOSTILE_LOG}\n"
    assert log.headers["content-type"] == JSON
    text = designer.get("/api/runs/first/document")
    assert HOSTILE_TEXT in text.text
    assert text.headers["content-type"].startswith("text/plain")


def test_a_report_has_no_scripts_no_origin_and_is_framed_by_our_page_alone(designer: LocalDesigner) -> None:
    report = designer.get(f"{FILES}/index.html")
    policy = report.headers["content-security-policy"]
    assert report.status == 200
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert "frame-ancestors 'self'" in policy
    assert report.headers["x-frame-options"] == "SAMEORIGIN"


def test_files_of_unknown_kinds_are_downloaded(designer: LocalDesigner) -> None:
    answer = designer.get("/api/files?path=drawing.svg")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(designer: LocalDesigner) -> None:
    answer = designer.ask("GET", f"/?token={designer.place.token}", has_cookie=False)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie
    linked = designer.ask(
        "GET", f"/?token={designer.place.token}", headers={"Sec-Fetch-Site": "cross-site"}, has_cookie=False
    )
    assert linked.status == 200
    assert "refresh" in linked.text, "a redirect from another page would lose the cookie"


def test_the_token_has_256_bits_and_differs_each_time(designer: LocalDesigner) -> None:
    assert len(designer.place.token) == 43
