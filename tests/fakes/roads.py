"""The way to Galaxy as links are: slow, and cut at times."""
import contextlib
import itertools
import queue
import random
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

import requests

from fakes.server import LoopbackServer


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
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)       # what comes goes on at once
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


class FarRoad(SlowRoad):
    """A slow road on which a round trip takes `delay` seconds, and opening a connection one round trip; `rate` is each
    connection's. A connection is cut after as many bytes as chance will have it, `life` on average each way; 0: never."""

    def __init__(self, server, delay, rate=float("inf"), life=0):
        self.delay, self.life = delay, life
        super().__init__(server, rate)

    def _relay(self, one, other):
        blocks = queue.Queue(64)        # those that are under way
        threading.Thread(target=self._deliver, args=(blocks, one, other), daemon=True).start()
        is_new = one.getsockname() == self.listening.getsockname()      # and not the end at the server
        left = int(random.expovariate(1 / self.life)) if self.life else sys.maxsize
        with contextlib.suppress(OSError):
            while block := one.recv(65536):
                blocks.put((time.monotonic() + self.delay * (1.5 if is_new else 0.5), block[:left]))
                is_new, left = False, left - len(block)
                if left < 0:
                    break
                time.sleep(len(block) / self.rate)
        blocks.put((time.monotonic() + self.delay / 2, b""))

    def _deliver(self, blocks, one, other):
        arrival, block = blocks.get()
        while block:
            time.sleep(max(0, arrival - time.monotonic()))
            with contextlib.suppress(OSError):
                other.sendall(block)
            arrival, block = blocks.get()
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open.discard(one)
        one.close()


class Road(LoopbackServer):
    """A port from which requests go to a server; each of `asked` has when it began and ended, in seconds of
    time.monotonic, and the bytes of its answer, which come uncompressed."""

    def __init__(self, server):
        self.target = server
        super().__init__()

    def lose(self, asked, answer):
        """Whether the answer to a request is lost, once the server has acted."""
        return False

    class Handler(LoopbackServer.Handler):
        def serve(self):
            road, asked, asked_at, body = self.owner, self.asked, time.monotonic(), self.read()
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            try:
                answer = requests.request(self.command, road.target + self.path, data=body, timeout=900,
                                          headers={**headers, "Accept-Encoding": None}, allow_redirects=False)
            except requests.ConnectionError:        # the server is away
                return self.cut()
            asked.began, asked.ended, asked.content = asked_at, time.monotonic(), answer.content
            if road.lose(asked, answer):
                return self.cut()
            dropped = ["transfer-encoding", "connection", *(["content-length"] if self.command != "HEAD" else [])]
            with contextlib.suppress(OSError):      # who asked was killed
                self.reply(answer.status_code, answer.content, {
                    name: value for name, value in answer.headers.items() if name.lower() not in dropped})


class LosingRoad(Road):
    """A road on which the answers to some POSTs of invocations are lost, once Galaxy has acted: the first one's, or those
    with these `numbers`. `lost` are the ids of these invocations."""

    def __init__(self, server, numbers=(0,)):
        self.numbers, self.lost, self.posted = numbers, [], itertools.count()
        super().__init__(server)

    def lose(self, asked, answer):
        if asked.method != "POST" or not asked.path.endswith("/invocations") or next(self.posted) not in self.numbers:
            return False
        self.lost.append(answer.json()["id"])
        return True
