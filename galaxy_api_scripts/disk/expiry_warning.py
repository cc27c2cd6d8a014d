"""Warn the owners of histories that nobody touches: choose these, write the messages, note who was told what."""
from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

from common import Galaxy, GalaxyError
from galaxy_api_scripts.disk.expiry_ledger import (
    CHOSEN,
    DELETED,
    KEPT,
    RESTORED,
    TOUCHED,
    WARNED,
    ExpiryLedger,
    Row,
    describe,
    is_touched,
)
from galaxy_api_scripts.disk.expiry_rules import Choice, KeepRules, Owners
from galaxy_api_scripts.disk.facts import HistoryFacts, iter_histories, parse_facts, sharing_reason
from galaxy_api_scripts.disk.mails import Messages
from galaxy_api_scripts.together import do_each

CHUNK = 200     # histories at once in memory
OWNERS = 50     # whose messages are written between two changes of the ledger, which take the disk's time


class Warnings:
    """Warnings of one server's histories, `everybody`'s or the key's own, and the rules by which some stay.
    `on_error(history, error)` is told of each of which Galaxy does not tell enough; it is not warned of."""

    def __init__(self, galaxy: Galaxy, ledger: ExpiryLedger, rules: KeepRules, owners: Owners, everybody: bool,
                 on_error: Callable[[str, GalaxyError], object]):
        self.galaxy, self.ledger, self.rules, self.owners = galaxy, ledger, rules, owners
        self.everybody, self.on_error = everybody, on_error

    def warn(self, choice: Choice, grace: int, messages: Messages) -> Iterator[Row]:
        """Choose histories, write to their owners, and note that they were warned. The `grace` (seconds) begins then; none
        is deleted before the day that the message tells."""
        yield from self._finish_warning(grace)
        number, delete_on = self.ledger.next_warning(), self.ledger.later(grace)
        for facts in self._choose(choice):
            self.ledger.note_chosen([{
                "id": one.id, "name": one.name, "owner_id": one.owner_id, "owner": self.owners.emails[str(one.owner_id)],
                "size": one.size, "update_time": one.update_time, "marks": one.marks, "slug": one.slug, "warning": number,
                "delete_on": delete_on} for one in facts])
        groups = ((owner, list(group)) for owner, group in itertools.groupby(
            self.ledger.rows(CHOSEN), lambda row: str(row["owner"])))
        at_once = OWNERS if messages.folder else 1
        while batch := list(itertools.islice(groups, at_once)):
            paths = {owner: messages.path(self.ledger.name, number, owner) for owner, _ in batch}
            self.ledger.note_mails(paths)
            texts = [(paths[owner], messages.compose(owner, rows, delete_on[:10], f"{self.ledger.name} {number}"))
                     for owner, rows in batch]
            for _ in do_each(lambda each: messages.write(*each), texts if not self.ledger.dry_run else []):
                pass        # several at once, since each waits for the disk
            ids = [row["id"] for _, rows in batch for row in rows]
            self.ledger.note(ids, WARNED, state=WARNED, warned=self.ledger.now())
            yield from (describe(row, WARNED, date=delete_on) for _, rows in batch for row in rows)

    def _finish_warning(self, grace: int) -> Iterator[Row]:
        """Go on where a run was killed: who has a message is warned, with the full grace from now on; others are not."""
        for row in list(self.ledger.rows(CHOSEN)):
            if row["mail"] and os.path.exists(row["mail"]):
                delete_on = max(row["delete_on"], self.ledger.later(grace))
                self.ledger.note([row["id"]], WARNED, state=WARNED, warned=self.ledger.now(), delete_on=delete_on)
                yield describe(row, WARNED, date=delete_on)
            else:
                self.ledger.drop_chosen([row["id"]])

    def _choose(self, choice: Choice) -> Iterator[list[HistoryFacts]]:
        """The histories to be warned of, in lists. Galaxy compares the time of a history's own last change, which is never
        after that of its datasets (26.1): what it lists is more than what fits."""
        before = choice.before.strftime("%Y-%m-%dT%H:%M:%S")
        answers = iter_histories(self.galaxy, self.everybody, {"q": "update_time-lt", "qv": before})
        while chunk := list(itertools.islice(answers, CHUNK)):
            fitting = []
            for answer in chunk:
                try:
                    facts = parse_facts(answer)
                    if self._is_candidate(facts, choice):
                        fitting.append(facts)
                except GalaxyError as error:
                    self.on_error(str(answer.get("id") if isinstance(answer, dict) else "?"), error)
            doubtful = list(filter(self._may_be_shared, fitting))
            chosen = [facts for facts in fitting if facts not in doubtful]
            for facts, outcome in do_each(lambda one: sharing_reason(self.galaxy, one.id), doubtful):
                if isinstance(outcome, GalaxyError):
                    self.on_error(facts.id, outcome)
                elif not outcome:
                    chosen.append(facts)
            yield chosen

    def _is_candidate(self, facts: HistoryFacts, choice: Choice) -> bool:
        email = self.owners.emails.get(facts.owner_id or "")
        if facts.deleted or facts.purged or not choice.fits(facts) or self.rules.reason(facts, email):
            return False
        noted = self.ledger.find(facts.id)
        if noted and noted["state"] == WARNED and is_touched(noted, facts):
            self.ledger.note([facts.id], KEPT, TOUCHED, state=KEPT, reason=TOUCHED)
            return True
        return not noted or noted["state"] in (KEPT, RESTORED, DELETED)      # DELETED: somebody brought it back

    def _may_be_shared(self, facts: HistoryFacts) -> bool:
        """Whether to ask with whom a history is shared. That which never had an address was shared with nobody; before a
        deletion it is asked for all, and here for one that was found shared then."""
        noted = self.ledger.find(facts.id)
        return facts.slug is not None or bool(noted and str(noted["reason"] or "").startswith("shared"))
