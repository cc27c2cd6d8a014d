"""The ways in which a server can be wrong: faults for `FakeGalaxy.will(...)`, by name, the kind of fault first.

`json`: an answer in place of Galaxy's, which does nothing; `mutated`: Galaxy's own, one value changed; all others are
answers that nothing can be learnt from. Where Galaxy's own answer is cut or garbled, Galaxy has acted.
"""
import contextlib
import gzip
import itertools
import json
import os
import random
import socket
import struct
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in</body></html>"
ELSEWHERE = "../../../evil"
VALUES = [None, "", 0, -1, 7.5, True, False, [], {}, [None], {"id": None}, "text", "x" * 5000,
          "\x1b]0;evil\x07\nforged\trow", "\u202etxt", "\ud800",
          ELSEWHERE, f"x/{ELSEWHERE}", "/tmp/galaxy-sweep-evil", "NaN", 10**400, float("nan")]
DROPPED = object()      # in place of a value: its key is not there


# ------------------------------------------------------------------------------------------------------- what is sent

def send(handler, *parts, then="cut"):
    """Send bytes as they are, and hang up: `cut`; `reset`, with an RST; `stall`: never."""
    handler.read()
    handler.replied = handler.close_connection = True
    with contextlib.suppress(OSError):
        for part in parts:
            handler.wfile.write(part)
        if then == "stall":
            handler.galaxy.closing.wait(60)
        elif then == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with open(os.devnull) as nothing:
                os.dup2(nothing.fileno(), handler.connection.fileno())      # closes it, whoever else holds it
        else:
            handler.cut()


def head(status=200, **headers):
    lines = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode() + b"".join(
        f"{name}: {value}\r\n".encode() for name, value in lines.items()) + b"\r\n"


def instead(body, status=200, **headers):
    """An answer in place of Galaxy's."""
    def fault(handler):
        content = body(handler) if callable(body) else body
        handler.reply(status, content, {name.replace("_", "-"): value for name, value in headers.items()})
    return fault


def usual(change):
    """Galaxy's own answer, handed to `change(handler, status, content, headers)`, which sends what it makes of it."""
    def fault(handler):
        def reply(status, body=b"", headers=(), upto=None):
            del handler.reply
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            change(handler, status, content, dict(headers))
        handler.reply = reply
        try:
            handler.serve()
        finally:
            handler.__dict__.pop("reply", None)
    return fault


def changed(change):
    """Galaxy's own answer with another body."""
    return usual(lambda handler, status, content, headers: handler.reply(status, change(content), headers))


def raw(*parts, then="cut"):
    """These bytes in place of Galaxy's answer, once it has acted; a function is called with the content."""
    def change(handler, status, content, headers):
        content = content or b"{}"
        known = {name.replace("-", "_"): value for name, value in headers.items()}
        send(handler, *(part(status, content, known) if callable(part) else part for part in parts), then=then)
    return usual(change)


def with_length(status, content, headers):
    return head(status, Content_Length=len(content), **headers)


def chunked(status, content, headers):
    return head(status, Transfer_Encoding="chunked", **headers)


def a_chunk(status, content, headers):
    return b"%x\r\n%b\r\n" % (len(content), content)


def half(status, content, headers):
    return content[:len(content) // 2]


def drip(*parts):
    """A byte at a time, each long before a read would time out."""
    def change(handler, status, content, headers):
        whole = b"".join(part(status, content or b"{}", headers) if callable(part) else part for part in parts)
        handler.read()
        handler.replied = handler.close_connection = True
        with contextlib.suppress(OSError):
            for number in itertools.count():
                handler.wfile.write(whole[number:number + 1] or b" ")
                if handler.galaxy.closing.wait(0.2):
                    return
    return usual(change)


def endless(before, block):
    def fault(handler):
        handler.read()
        handler.replied = handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.wfile.write(before)
            while not handler.galaxy.closing.is_set():
                handler.wfile.write(block)
    return fault


def pages_without_end(fresh):
    """Each page of a list that has members is full: of new ones, or always of the same."""
    def change(handler, status, content, headers):
        place, asked = urlsplit(handler.path).path, parse_qs(urlsplit(handler.path).query)
        known = handler.galaxy.first_pages
        answer = json.loads(content) if content[:1] in b"[{" and handler.command == "GET" and status == 200 else None
        members = answer["folder_contents"] if isinstance(answer, dict) and "folder_contents" in answer else answer
        if isinstance(members, list) and "limit" in asked and known.setdefault(place, list(members)):
            size, offset = int(asked["limit"][0]), int(asked.get("offset", ["0"])[0])
            of = known[place]
            members[:] = [{**of[number % len(of)], **({"id": f"{offset + number + 2**40:016x}"} if fresh else {})}
                          for number in range(size)]
        if isinstance(answer, dict) and "metadata" in answer:
            answer["metadata"]["total_rows"] = 10**9
        handler.reply(status, content if answer is None else answer, headers)
    return usual(change)


def bomb():
    block = gzip.compress(b" " * 2**20, 9)
    return gzip.compress(b"[") + block * 400


def redirect(where, status=302):
    def fault(handler):
        place = where(handler) if callable(where) else where
        handler.reply(status, b"", {} if place is None else {"Location": place})
    return fault


def error(status, message=None, **headers):
    """Galaxy's own form of an error; it repeats the key, as some messages do."""
    def body(handler):
        told = f"{HTTPStatus(status).phrase}: key {handler.headers.get('x-api-key')}"
        return {"err_msg": message or told, "err_code": status * 1000}
    return instead(body, status, **headers)


def proxy_page(status, title, **headers):
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1><hr>nginx</body>\r\n</html>\r\n"
    return instead(page.encode(), status, Content_Type="text/html", **headers)


def echo(handler):
    """A page that repeats the request's headers, as a debugging server does."""
    return f"<html><title>Error {handler.headers.get('x-api-key')}</title><pre>{handler.headers}</pre></html>".encode()


# ---------------------------------------------------------------------------------------------------------- mutations

def places(value, path=()):
    """Yield the path of each value in JSON."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*path, name))


def mutate(answer, dice):
    """An answer with one value replaced by an odd one, or gone."""
    path = dice.choice(list(places(answer)))
    value = dice.choice([*VALUES, DROPPED])
    if not path:
        return None if value is DROPPED else value
    above = answer
    for name in path[:-1]:
        above = above[name]
    if value is DROPPED:
        del above[path[-1]]
    else:
        above[path[-1]] = value
    return answer


def mutated(seed):
    def change(handler, status, content, headers):
        answer = None
        with contextlib.suppress(ValueError):
            answer = json.loads(content)
        if isinstance(answer, (dict, list)) and answer:
            content = json.dumps(mutate(answer, random.Random(f"{seed} {handler.asked.kind}"))).encode()
        handler.reply(status, content, headers)
    return usual(change)


# -------------------------------------------------------------------------------------------------------------- modes

ODD = {"{}": {}, "null": b"null", "[]": [], "text": b'"text"', '""': b'""', "0": b"0", "true": b"true", "[{}]": [{}],
       "[null]": [None], "[[]]": [[]],
       "wrong types": {"id": 5, "name": [], "state": {}, "outputs": "x", "jobs": 0, "hid": "x"},
       "nulls": dict.fromkeys(("id", "name", "state", "outputs", "jobs", "steps", "inputs", "hid", "elements", "contents")),
       "list of wrong types": [{"id": 5, "name": [], "state": {}, "type": 1, "history_content_type": None}],
       "paths": {"id": f"x/{ELSEWHERE}", "name": ELSEWHERE, "state": "ok", "extension": f"x/{ELSEWHERE}", "deleted": False},
       "NaN": b"NaN", "Infinity": b'{"id": Infinity, "name": -Infinity}', "deep": b"[" * 100000 + b"]" * 100000,
       "error with 200": {"err_msg": "Something failed", "err_code": 500001}}
MODES = {
    **{f"json {name}": instead(body) for name, body in ODD.items()},

    "garbage empty": instead(b""),
    "garbage blanks": instead(b"  \r\n "),
    "garbage 204": instead(b"", 204),
    "garbage page": instead(PAGE, Content_Type="text/html"),
    "garbage page as JSON": instead(PAGE),
    "garbage UTF-16": changed(lambda content: content.decode("utf-8", "replace").encode("utf-16")[:-1]),
    "garbage no UTF-8": instead(b'{"id": "\xff\xfe\xe9", "name": "\xe9"}'),
    "garbage bytes": instead(bytes(range(256)), Content_Type="application/octet-stream"),
    "garbage not gzip": instead(b'{"id": "x"}', Content_Encoding="gzip"),
    "garbage cut JSON": changed(lambda content: content[:-1 - len(content) // 3]),
    "garbage twice": changed(lambda content: content + content),
    "garbage status line": raw(b"no HTTP at all\r\n\r\n"),
    "garbage headers": raw(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: x\r\n\r\n{}"),

    "cut before the status line": raw(),
    "cut within the status line": raw(b"HTTP/1.1 2"),
    "cut after the status line": raw(b"HTTP/1.1 200 OK\r\n"),
    "cut within the headers": raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Le"),
    "cut after the headers": raw(with_length),
    "cut after headers without a length": raw(lambda status, content, headers: head(status, **headers)),
    "cut within the body": raw(with_length, half),
    "cut within a body without a length": raw(lambda status, content, headers: head(status, **headers), half),
    "cut before the first chunk": raw(chunked),
    "cut within a chunk": raw(chunked, lambda *answer: a_chunk(*answer)[:-4]),
    "cut after a chunk": raw(chunked, a_chunk),
    "cut within the next chunk's size": raw(chunked, a_chunk, b"1"),
    "cut reset": raw(then="reset"),
    "cut reset within the body": raw(with_length, half, then="reset"),
    "cut within gzip": raw(lambda status, content, headers: head(status, Content_Encoding="gzip", **headers),
                           lambda status, content, headers: gzip.compress(content)[:-9]),

    "slow nothing": raw(then="stall"),
    "slow stall within the headers": raw(b"HTTP/1.1 200 OK\r\nContent-", then="stall"),
    "slow stall within the body": raw(with_length, half, then="stall"),
    "slow drip of the headers": drip(with_length, b"x"),
    "slow drip of the body": drip(lambda status, content, headers: head(status, Content_Length=10**6)),

    "endless body": endless(head(), b" " * 2**16),
    "endless chunks": endless(head(Transfer_Encoding="chunked"), b"10000\r\n" + b" " * 2**16 + b"\r\n"),
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X-More: yes\r\n" * 1000),
    "endless 100s": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "endless pages": pages_without_end(fresh=True),
    "endless same page": pages_without_end(fresh=False),
    "endless bomb": instead(lambda handler: bomb(), Content_Encoding="gzip"),
    "endless length": raw(lambda status, content, headers: head(status, Content_Length=10**15), then="stall"),

    "redirect loop": redirect(lambda handler: handler.path),
    "redirect 307 loop": redirect(lambda handler: handler.path, 307),
    "redirect elsewhere": redirect(lambda handler: handler.galaxy.elsewhere.url + handler.path),
    "redirect 308 elsewhere": redirect(lambda handler: handler.galaxy.elsewhere.url + handler.path, 308),
    "redirect to a file": redirect("file:///etc/passwd"),
    "redirect nowhere": redirect(None),
    "redirect to no address": redirect("http://[::1"),

    **{f"status {number}": error(number) for number in (400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 429, 500, 501, 502,
                                                        503, 504)},
    "status 429 in 0 s": error(429, Retry_After="0"),
    "status 429 in an hour": error(429, Retry_After="3600"),
    "status 503 in 1 s": error(503, Retry_After="1"),
    "status 503 some day": error(503, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
    "status 429 at an odd time": error(429, Retry_After="soon"),
    "status 500 of a number": instead(b"5", 500),
    "status 404 of nulls": instead({"err_msg": None, "err_code": None, "validation_errors": None}, 404),
    "status 400 of odd details": instead({"detail": [{"loc": None, "msg": {}}], "err_msg": ["x"],
                                           "validation_errors": 5}, 400),

    "proxy 502": proxy_page(502, "502 Bad Gateway"),
    "proxy 503": proxy_page(503, "Maintenance", Retry_After="60"),
    "proxy 413": proxy_page(413, "413 Request Entity Too Large"),
    "proxy 407": proxy_page(407, "Proxy Authentication Required"),
    "proxy 511": proxy_page(511, "Network Authentication Required"),
    "proxy that repeats the key": instead(echo, 500, Content_Type="text/html"),
    "proxy that repeats the key with 200": instead(echo, Content_Type="text/html"),
}
