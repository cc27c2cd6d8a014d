"""A loopback server of bytes that misbehaves on purpose: it takes resumable uploads (TUS 1.0.0), serves a file by ranges.

What goes wrong is told beforehand: `faults` are applied to the requests that carry bytes, one each, in their order; then all
is well. Each is a function of the request's handler, as those that this module makes.
"""
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOST = object()     # in place of an answer: it is lost on the way


class BadWire:
    def __init__(self):
        self.faults, self.lines = [], []
        self.sessions = {}          # id: [length, bytearray]
        self.told = {}              # {id: offset} where it is not what is held
        self.away = 0               # so many requests get a 502
        self.made = 0
        self.content, self.etag = b"", '"one"'
        self.location = "http://elsewhere.example.org:1/api/upload/resumable_upload/{}"
        self.limit = None           # bytes that a proxy takes in a body
        self.silent = False         # no Upload-Offset in answers to bytes
        self.answers = {}           # {"GET /api/path": (status, JSON or a function of the handler)} for all other requests
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wire = outer

            def handle_one(self):
                outer.lines.append(f"{self.command} {self.path}")
                if outer.away:
                    outer.away -= 1
                    self.read()
                    return self.status(502)
                if not self.path.startswith("/api/upload/resumable_upload/") and not self.path.startswith("/file"):
                    return self.plain()
                carries = self.length or self.path.startswith("/file")
                if carries and outer.limit and self.length > outer.limit:
                    return self.status(413)
                if carries and outer.faults:
                    return outer.faults.pop(0)(self)
                return self.well()

            def plain(self):
                self.body = json.loads(self.read() or b"null")
                status, answer = outer.answers.get(f"{self.command} {self.path.partition('?')[0]}", (404, {"err_msg": "no"}))
                answer = answer(self) if callable(answer) else answer
                if answer is LOST:
                    return self.hang_up()
                self.reply(status, {"Content-Type": "application/json"}, json.dumps(answer).encode())

            @property
            def length(self):
                return int(self.headers.get("Content-Length") or 0)

            @property
            def session(self):
                return self.path.rsplit("/", 1)[1]

            def well(self):
                if self.path.startswith("/file"):
                    return self.serve(outer.content)
                if self.command == "POST":
                    outer.made += 1
                    name = f"s{outer.made}"
                    outer.sessions[name] = [int(self.headers["Upload-Length"]), bytearray(self.read())]
                    offset = {} if outer.silent or not self.length else {"Upload-Offset": str(self.length)}
                    return self.reply(201, {"Location": outer.location.format(name), **offset})
                if self.session not in outer.sessions:
                    self.read()
                    return self.status(404)
                length, held = outer.sessions[self.session]
                if self.command == "DELETE":
                    del outer.sessions[self.session]
                    return self.reply(204, {})
                if self.command == "HEAD":
                    offset = outer.told.get(self.session, len(held))
                    return self.reply(200, {"Upload-Offset": str(offset), "Upload-Length": str(length)})
                if int(self.headers["Upload-Offset"]) != outer.told.pop(self.session, len(held)):
                    self.read()
                    return self.status(409)
                held += self.read()
                return self.reply(204, {} if outer.silent else {"Upload-Offset": str(len(held))})

            def serve(self, content, upto=None):
                start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1]
                if int(start) >= len(content) and int(start):
                    return self.reply(416, {"Content-Range": f"bytes */{len(content)}"})
                headers = {"Accept-Ranges": "bytes", "Last-Modified": "Tue, 24 Nov 2026 10:00:00 GMT"}
                if outer.etag:
                    headers["ETag"] = outer.etag
                if "Range" in self.headers:
                    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                rest = content[int(start):]
                self.reply(206 if "Range" in self.headers else 200, headers, rest, upto)

            def read(self, size=None):
                return self.rfile.read(self.length if size is None else min(size, self.length))

            def status(self, number, headers=()):
                self.close_connection = number == 413       # as nginx does
                self.reply(number, dict(headers))

            def reply(self, status, headers, body=b"", upto=None):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body if upto is None else body[:upto])
                if upto is not None:
                    self.hang_up()

            def hang_up(self):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *what):
                pass

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_one

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda request, client: None
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.gone = threading.Event()       # set when the test ends, so that nobody stalls for ever
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def count(self, method):
        return sum(line.startswith(f"{method} /api/upload") for line in self.lines)

    def held(self, session):
        return bytes(self.sessions[session][1])

    def close(self):
        self.gone.set()
        self.http.shutdown()
        self.http.server_close()


def cut(after):
    """The connection breaks when `after` bytes of the body have gone over."""
    def fault(handler):
        if handler.path.startswith("/file"):
            return handler.serve(handler.wire.content, upto=after)
        if handler.command == "PATCH":
            handler.wire.sessions[handler.session][1].extend(handler.read(after))
        handler.hang_up()
    return fault


def swallow(handler):
    """All bytes are taken, and the answer to them is lost."""
    handler.wire.sessions[handler.session][1].extend(handler.read())
    handler.hang_up()


def stall(after):
    """Nothing moves any more after so many bytes."""
    def fault(handler):
        if handler.command == "PATCH":
            handler.wire.sessions[handler.session][1].extend(handler.read(after))
        handler.wire.gone.wait(30)
    return fault


def status(number, **headers):
    """An answer in place of taking the bytes."""
    def fault(handler):
        handler.read()
        handler.status(number, {name.replace("_", "-"): value for name, value in headers.items()})
    return fault


def forget(handler):
    """The session has expired."""
    handler.read()
    del handler.wire.sessions[handler.session]
    handler.status(404)


def crash(after):
    """Galaxy is killed in the middle: it has stored more than it tells afterwards, and answers nobody for a moment."""
    def fault(handler):
        wire, held = handler.wire, handler.wire.sessions[handler.session][1]
        wire.told[handler.session] = len(held)
        held.extend(handler.read(after))
        wire.away = 2
        handler.hang_up()
    return fault
