"""A small Hugging-Face-like hub on the loopback interface, with real files behind it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """``repositories``: org/name -> file name -> bytes. Other paths serve ``plain``."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    plain: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failing: bool = False
    address: str = ""

    def gets(self, suffix: str) -> int:
        return sum(line.startswith("GET") and line.endswith(suffix) for line in self.requests)

    def revision(self, repository: str) -> str:
        content = sorted(self.repositories[repository].items())
        return hashlib.sha1(repr(content).encode()).hexdigest()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if self.failing:
            return 503, {}, b"down for repairs"
        path = path.partition("?")[0]
        if path in self.plain:
            return 200, {}, self.plain[path]
        if path.startswith("/api/models/"):
            repository = "/".join(path.split("/")[3:5])
            if repository not in self.repositories:
                return 404, {"X-Error-Code": "RepoNotFound"}, b""
            licence = self.licences.get(repository)
            facts = {
                "id": repository,
                "sha": self.revision(repository),
                "cardData": {"license": licence} if licence else {},
                "siblings": [{"rfilename": name} for name in self.repositories[repository]],
                "tags": [],
            }
            return 200, {"Content-Type": "application/json"}, json.dumps(facts).encode()
        parts = path.strip("/").split("/")
        if len(parts) == 5 and parts[2] == "resolve":
            repository, revision, name = "/".join(parts[:2]), parts[3], parts[4]
            if repository not in self.repositories:
                return 404, {"X-Error-Code": "RepoNotFound"}, b""
            now = self.revision(repository)
            if revision not in ("main", now):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b""
            files = self.repositories[repository]
            if name not in files:
                return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": now}, b""
            body = files[name]
            # As the real one: large files (here: no JSON) go by sha256, small ones by git's sha1.
            large = hashlib.sha256(body).hexdigest()
            small = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
            etag = small if name.endswith(".json") else large
            return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": now}, body
        return 404, {}, b""


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.respond(with_body=False)

        def do_GET(self) -> None:
            self.respond(with_body=True)

        def respond(self, *, with_body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
