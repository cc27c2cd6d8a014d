"""A server on a port of this machine that records what it is asked, and that answers as a test tells it to."""
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOST = object()     # in place of an answer: it is lost on the way


class Asked:
    """One request that the server got. `kind` is its route, such as `POST histories`, where it has one."""

    def __init__(self, method, path, headers, kind):
        self.method, self.path, self.headers, self.kind, self.body = method, path, headers, kind, b""

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def line(self):
        return f"{self.method} {self.path}"


class LoopbackServer:
    """A server that answers as `Handler` does, from its making until `close()`.

    Answers are scripted with `will(...)`: they are given in their order, the last one for ever. An answer is
    `(status, body)` or `(status, body, headers)`, the body JSON unless it is bytes; or a fault: a function of the
    request's handler.
    """

    def __init__(self):
        self.asked, self.script = [], []
        self.lock = threading.RLock()
        self.in_flight = self.most_in_flight = 0        # requests that were not answered yet
        self.closing = threading.Event()        # set when the test ends, so that nobody stalls for ever
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (self.Handler,), {"owner": self}))
        self.http.daemon_threads = True
        self.http.handle_error = lambda request, client: None       # a client that hangs up is no news
        self.host = f"127.0.0.1:{self.http.server_port}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def will(self, *answers):
        self.script = list(answers)

    def kind(self, method, path):
        """The name of a route, and what its path has in the place of ids."""
        return f"{method} {path}", ()

    @property
    def lines(self):
        return [one.line for one in self.asked]

    @property
    def kinds(self):
        return [one.kind for one in self.asked]

    def sent(self, *kinds):
        """The requests of these kinds, all where none is named."""
        return [one for one in self.asked if not kinds or one.kind in kinds]

    def count(self, *kinds):
        return len(self.sent(*kinds))

    def writes(self):
        """The kinds of the requests that may have changed something."""
        return [kind for kind in self.kinds if not kind.startswith(("GET", "HEAD"))]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    class Handler(BaseHTTPRequestHandler):
        """One request, answered by the script; by `serve()` where there is none."""
        protocol_version, disable_nagle_algorithm, owner = "HTTP/1.1", True, None

        def answer(self):
            server, self.replied, self.unread = self.owner, False, int(self.headers.get("Content-Length") or 0)
            kind, self.ids = server.kind(self.command, self.path.partition("?")[0])
            self.asked = Asked(self.command, self.path, dict(self.headers.items()), kind)
            with server.lock:
                server.asked.append(self.asked)
                self.is_in_flight = True
                server.in_flight += 1
                server.most_in_flight = max(server.most_in_flight, server.in_flight)
                answer = server.script[0] if server.script else None
                if len(server.script) > 1:
                    server.script.pop(0)
            try:
                if answer is None:
                    return self.serve()
                self.read()
                self.give(answer)
            finally:
                self.leave()

        def leave(self):
            """Count this request as answered: before the client can know it, and send another."""
            with self.owner.lock:
                self.owner.in_flight -= self.is_in_flight
                self.is_in_flight = False

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

        def serve(self):
            self.read()
            self.reply(404, {"err_msg": f"nothing is served: {self.asked.line}"})

        def read(self, size=None):
            """The next `size` bytes of the body, all that are left where none is given; they are recorded."""
            content = self.rfile.read(self.unread if size is None else min(size, self.unread))
            self.unread -= len(content)
            self.asked.body += content
            return content

        @property
        def json(self):
            """What the request's body says."""
            self.read()
            return json.loads(self.asked.body or b"null")

        def give(self, answer):
            """Answer as a test wants it; a fault may leave that to others."""
            if callable(answer):
                return answer(self)
            self.read()
            status, body, *headers = answer
            body = body(self) if callable(body) else body
            self.cut() if body is LOST else self.reply(status, body, *headers)

        def reply(self, status, body=b"", headers=(), upto=None):
            """Answer; with `upto` only so many bytes of the body go out before the connection breaks."""
            self.replied = True
            if not self.close_connection:       # or the rest of the body would be taken for the next request
                self.read()
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response_only(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)),
                                **({"Connection": "close"} if self.close_connection else {}), **dict(headers)}.items():
                self.send_header(name, value)
            self.leave()
            self._headers_buffer.append(b"\r\n" + (content[:upto] if self.command != "HEAD" else b""))     # one packet
            self.flush_headers()
            if upto is not None:
                self.cut()

        def cut(self):
            """Hang up in the middle of everything."""
            self.replied = self.close_connection = True
            self.leave()
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *words):
            pass
