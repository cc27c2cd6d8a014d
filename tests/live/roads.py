"""The way to Galaxy as links are: slow, and cut at times."""
import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit


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
