"""A page of HTML as a browser reads it, and text that must not change what it is."""
from html.parser import HTMLParser

NASTY = "<script>alert('1')</script> & \"q\" \u202e\x1b[31m\ud800"


class Page(HTMLParser):
    """A page as a browser reads it."""

    VOID = {"meta", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.links, self.parts, self.styles = [], [], [], [], ""
        self.feed(text)
        assert self.open == [], "tags that are not closed"
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src", "action", "srcset", "data")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["style"]:
            self.styles += data
        else:
            self.parts.append(data)
