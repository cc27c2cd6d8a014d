"""What goes wrong on the way, to be plugged into a fake Galaxy: each is a function of the request's handler.

`galaxy.faults` are applied to the requests that carry bytes (uploads, and `/file`), one each, in their order; the members of
`galaxy.answers` to the requests that they are the answers to.
"""


def cut(after):
    """The connection breaks when `after` bytes of the body have gone over."""
    def fault(handler):
        if handler.path.startswith("/file"):
            return handler.serve_file(upto=after)
        if handler.command == "PATCH":
            handler.session_bytes.extend(handler.read(after))
        handler.cut()
    return fault


def swallow(handler):
    """All bytes are taken, and the answer to them is lost."""
    handler.session_bytes.extend(handler.read())
    handler.cut()


def stall(after):
    """Nothing moves any more after so many bytes."""
    def fault(handler):
        if handler.command == "PATCH":
            handler.session_bytes.extend(handler.read(after))
        handler.galaxy.closing.wait(30)
        handler.replied = True
    return fault


def status(number, **headers):
    """An answer in place of taking the bytes."""
    def fault(handler):
        handler.read()
        handler.refuse(number, {name.replace("_", "-"): value for name, value in headers.items()})
    return fault


def forget(handler):
    """The session has expired."""
    handler.read()
    del handler.galaxy.sessions[handler.ids[0]]
    handler.refuse(404)


def crash(after):
    """Galaxy is killed in the middle: it has stored more than it tells afterwards, and answers nobody for a moment; here it
    does not answer this upload's next requests, however many others are asked meanwhile."""
    def fault(handler):
        galaxy, content = handler.galaxy, handler.session_bytes
        galaxy.offsets[handler.ids[0]] = len(content)
        content.extend(handler.read(after))
        galaxy.away_from[handler.ids[0]] = 2
        handler.cut()
    return fault


def lose_a_process(after):
    """One of Galaxy's processes is killed in the middle of a piece, of which more is stored than the others tell; the proxy
    answers at once."""
    def fault(handler):
        content = handler.session_bytes
        handler.galaxy.offsets[handler.ids[0]] = len(content)
        content.extend(handler.read()[:after])
        handler.refuse(502)
    return fault
