"""The fake as Galaxys of earlier releases answer, measured on 24.1.4, 24.2.4, 25.0.4 and 25.1.3."""
import hashlib

from fakes.galaxy import FakeGalaxy, Refusal
from galaxy_api_scripts.datasets.sources import DATATYPES


class OldGalaxy(FakeGalaxy):
    """A Galaxy of a `release`; what it `says` of itself may be another thing, or nothing (None)."""

    def __init__(self, release="24.1", **more):
        self.release = tuple(map(int, release.split(".")))
        self.says = {"version_major": release, "version_minor": "4"}
        self.lacking = ["gtf.gz", "fastqq"]         # datatypes
        super().__init__(**more)

    def get_version(self, ask, body):
        if self.says is None:
            raise Refusal(403, {"err_msg": "Not for everybody.", "err_code": 403002})
        return self.says

    def post_upload(self, ask, body):
        return super().post_upload(ask, body if self.release >= (25, 1) else b"")       # it drops them

    def get_datatypes(self, ask, body):
        return [name for name in DATATYPES.values() if name not in self.lacking]

    def get_storage(self, ask, body, which):
        content = self.file(which)["content"]
        return {"hashes": [{"hash_function": "MD5", "hash_value": hashlib.md5(content).hexdigest(),
                            "extra_files_path": None}]} if self.release < (24, 2) else super().get_storage(ask, body, which)

    def post_fetch(self, ask, body, late=0.0):
        elements = [one for target in body["targets"] for one in target["elements"]]
        unknown = [one["ext"] for one in elements if one.get("ext") in self.lacking]
        if unknown:
            raise Refusal(400, {"err_code": 400008, "err_msg": (
                f"Requested extension '{unknown[0]}' unknown, cannot upload dataset.")})
        if self.release >= (24, 2):
            return super().post_fetch(ask, body, late)
        if any("hashes" in one for one in elements):
            raise Refusal(400, {"err_code": 400008, "err_msg": (
                "Extra inputs are not permitted in ('body', 'targets', 0, 'DataElementsTarget', 'elements', 0, 'tagged-union"
                "[FileDataElement,UrlDataElement]', 'files', 'hashes')")})
        sessions = [value["session_id"] for name, value in sorted(body.items()) if name.startswith("files_")]
        wrong = [one["name"] for one, session in zip(elements, sessions) if body.get("validate_hashes") and
                 one.get("MD5") not in (None, hashlib.md5(self.sessions[session][1]).hexdigest())]
        answer = super().post_fetch(ask, body, late)
        for one, made in zip(elements, answer.get("outputs", [])):
            self.datasets[made["id"]]["hashes"] = [{"hash_function": "MD5", "hash_value": one["MD5"]}] * ("MD5" in one)
            if one["name"] in wrong:
                self.datasets[made["id"]].update(state="error", misc_info="Failed to validate upload with [MD5]")
        return answer

    class Handler(FakeGalaxy.Handler):
        def serve_usual(self):
            """After a piece the connection is gone, though the answer does not say so."""
            super().serve_usual()
            self.close_connection |= self.asked.kind == "PATCH upload" and self.galaxy.release <= (25, 1)
