"""Messages that tell owners which of their histories will be deleted, and when. They are written, not sent."""
from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from common import USAGE, GalaxyError, clean, one_line, read_text, redact
from galaxy_api_scripts.files import prepare_folder, safe_name, write_atomic
from galaxy_api_scripts.sizes import format_size

STDOUT = "-"
TEMPLATE = """\
To: $email
Subject: $count of your histories on $server will be deleted on $date
Message-ID: <$message_id>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Nobody has changed these histories on $server for a long time:

$histories
Together they take $size. They will be deleted on $date or later.

To keep one, change its name or the name of a dataset in it before that day,
or give it the tag $tag. Histories that are shared or published stay.
"""


class Messages:
    """A message for each owner: a file in the folder `to`, or text on standard output for `-`. `template` is a file in place
    of TEMPLATE, in the form of Python's `string.Template`. Raises `GalaxyError` (USAGE) for what can't be used."""

    def __init__(self, to: str, template: str | None, server: str, tag: str, dry_run: bool = False):
        self.server, self.tag = redact(server), tag
        self.template = Template(read_text(template) if template else TEMPLATE)
        self.folder = None if to == STDOUT else Path(to) if dry_run else prepare_folder(to, "--mails")
        try:
            self.compose("a@example.org", [], "2000-01-01", "")
        except (KeyError, ValueError) as error:
            raise GalaxyError(f"--template={template}: {error}: there are $email, $server, $date, $count, $size, "
                              "$histories, $tag and $message_id, and $$ for a dollar", USAGE) from None

    def path(self, ledger: str, number: int, email: str) -> str | None:
        """The file of the message in a ledger's warning of this number; None for standard output."""
        name = safe_name(email, ".eml")
        if name != f"{email}.eml":      # another address may have that name
            name = safe_name(email, f"-{hashlib.sha256(email.encode()).hexdigest()[:8]}.eml")
        return str(self.folder.resolve() / f"{ledger}-{number:04}-{name}") if self.folder else None

    def compose(self, email: str, rows: Iterable[dict[str, Any]], date: str, name: str) -> str:
        """The text of a message; `name` identifies it, so that a mail system can drop a second one of the same."""
        rows = list(rows)
        identity = hashlib.sha256(f"{self.server}\n{name}\n{email}".encode()).hexdigest()[:32]
        lines = "".join(f"  {clean(one_line(str(row['name'] or 'without a name')))}\n"
                        f"    {format_size(row['size'])}, last changed on {str(row['update_time'])[:10]}: "
                        f"{self.server}/histories/view?id={row['id']}\n" for row in rows)
        return self.template.substitute(
            email=one_line(email), server=self.server, date=date, count=len(rows), histories=lines, tag=self.tag,
            size=format_size(sum(row["size"] for row in rows)), message_id=f"{identity}@galaxy-api-scripts")

    def write(self, path: str | None, text: str) -> None:
        """Write a message, complete or not at all. Raises OSError."""
        if path is None:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        else:
            write_atomic(Path(path), text.encode(errors="replace"), overwrite=True)
