#!/usr/bin/env python3
"""Measure the memory and the time that lanes of gigabytes take on their way up, put together by dataset_upload.py.

Usage:
  lanes.py [options]

Options:
  --parts=N   how many lanes there are  [default: 2]
  --size=MIB  how large each of them is  [default: 2048]
  -h, --help  show this help
  --version   show the version

The server is no Galaxy but a loopback one that hashes what comes and keeps nothing. Needs disk for the lanes. Prints one
row, as Markdown; exits with 1 if other bytes came, or if it took 45 MB of memory or more.
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local import ROOT

from common import DONE, FAILED, arguments, int_option, run

MIB = 2**20
BAR = 45        # MB
HISTORY = {"id": "f2db41e1fa331b3e", "name": "lanes", "user_id": "u1", "deleted": False}


class Sink(BaseHTTPRequestHandler):
    """As much of Galaxy as an upload without --wait needs."""

    protocol_version = "HTTP/1.1"
    digest, size, fetched = hashlib.sha256(), 0, {}

    def answer(self, status, body=None, **headers):
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):       # noqa: N802, as http.server calls it
        path = self.path.partition("?")[0].removeprefix("/api/")
        self.answer(200, {"users/current": {"id": "u1"}, "version": {"version_major": "26.1"},
                          f"histories/{HISTORY['id']}": HISTORY}.get(path, []))

    def do_POST(self):      # noqa: N802
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "resumable_upload" in self.path:
            return self.answer(201, Location=f"{self.path}session", Upload_Offset=0)
        if self.path.endswith("/fetch"):
            Sink.fetched = json.loads(body)
            dataset = {"id": "d1", "hid": 1, "name": "x", "state": "new"}
            return self.answer(200, {"outputs": [dataset], "jobs": [{"id": "j"}]})
        return self.answer(200, HISTORY)

    def do_PATCH(self):     # noqa: N802
        left = int(self.headers["Content-Length"])
        while left:
            block = self.rfile.read(min(left, MIB))
            if not block:
                return
            Sink.digest.update(block)
            Sink.size, left = Sink.size + len(block), left - len(block)
        self.answer(204, Upload_Offset=Sink.size)

    def do_HEAD(self):      # noqa: N802
        self.answer(200, Upload_Offset=Sink.size)

    def log_message(self, *_):
        """Say nothing of each request."""


def main(argv=None):
    args = arguments(__doc__, argv)
    parts, size = int_option(args, "--parts", 2), int_option(args, "--size", 1) * MIB
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"S_S1_L{lane:03}_R1_001.fastq") for lane in range(1, parts + 1)]
        block = os.urandom(MIB // 2).hex().encode()[:-1] + b"\n"
        for path in paths:
            with open(path, "wb") as file:
                for _ in range(size // MIB):
                    file.write(block)
        begun = time.monotonic()
        environment = {**os.environ, "XDG_STATE_HOME": folder}
        script = subprocess.Popen([sys.executable, ROOT / "scripts" / "dataset_upload.py", "-q", "--lanes=together", "key",
                                   f"http://127.0.0.1:{server.server_port}", "new:lanes", *paths], env=environment,
                                  stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(script.pid, 0)
        seconds, memory = time.monotonic() - begun, used.ru_maxrss / 1024
    server.shutdown()
    [element] = Sink.fetched["targets"][0]["elements"] if Sink.fetched else [{}]
    whole = bool(Sink.fetched) and status == 0 and Sink.size == parts * size and element["name"] == "S_S1_R1_001.fastq" and \
        element["hashes"] == [{"hash_function": "SHA-256", "hash_value": Sink.digest.hexdigest()}]
    print(f"| {parts} lanes of {size // MIB} MiB | {seconds:.1f} s | {memory:.0f} MB (bar {BAR} MB) | "
          f"{'one file, its SHA-256 right' if whole else 'NOT WHOLE'} |")
    return DONE if whole and memory < BAR else FAILED


if __name__ == "__main__":
    sys.exit(run(main))
