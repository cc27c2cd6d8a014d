"""The way to Galaxy as links are: slow, and cut at times."""
import contextlib
import itertools
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import requests


class SlowRoad:
    """A port of this machine from which all bytes go to a server and back, `rate` bytes a second each way."""

    def __init__(self, server, rate):
        self.to, self.rate = (urlsplit(server).hostname, urlsplit(server).port), rate
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}{urlsplit(server).path}"
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):      # closed
            while True:
                client, _ = self.listening.accept()
                try:
                    server = socket.create_connection(self.to)
                except OSError:
                    client.close()
                    continue
                for one, other in ((client, server), (server, client)):
                    self.open.add(one)
                    threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    def _relay(self, one, other):
        with contextlib.suppress(OSError):
            while block := one.recv(65536):
                other.sendall(block)
                time.sleep(len(block) / self.rate)
        for end in (one, other):        # either end that goes takes the other with it
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open.discard(one)
        one.close()

    def cut(self):
        """Cut all that is under way."""
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listening.close()
        self.cut()


class LosingRoad:
    """A port from which requests go to a server; the answers to some POSTs of invocations are lost, once Galaxy has acted:
    the first one's, or those with these `numbers`."""

    def __init__(self, server, numbers=(0,)):
        lost = self.lost = []
        begun = itertools.count()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def hand_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
                try:
                    answer = requests.request(self.command, server + self.path, data=body, headers=headers, timeout=120,
                                              allow_redirects=False)
                except requests.ConnectionError:        # the server is away
                    self.close_connection = True
                    return
                if self.command == "POST" and self.path.endswith("/invocations") and next(begun) in numbers:
                    lost.append(answer.json()["id"])
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response_only(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "content-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer.content)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = hand_on

            def log_message(self, *what):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *who: None        # who asked was killed
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
