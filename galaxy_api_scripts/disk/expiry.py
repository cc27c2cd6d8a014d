"""The way of histories that were warned of: deleted after a grace period, purged after a second one; or spared.

What is done is noted before and after, so that a run that was killed is continued by the next one: nothing is deleted that
was not warned of, nothing is done twice. Whether a history may go is asked again immediately before each deletion and purge.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from common import USAGE, Galaxy, GalaxyError, did_you_mean
from galaxy_api_scripts.ages import parse_utc
from galaxy_api_scripts.disk import clock
from galaxy_api_scripts.disk.expiry_ledger import (
    DELETED,
    DELETING,
    KEPT,
    PURGED,
    PURGING,
    RESTORED,
    RESTORING,
    TOUCHED,
    UNSETTLED,
    WARNED,
    ExpiryLedger,
    Row,
    describe,
    is_touched,
)
from galaxy_api_scripts.disk.expiry_rules import KeepRules, Owners
from galaxy_api_scripts.disk.facts import HistoryFacts, fetch_facts, public_reason, sharing_reason
from galaxy_api_scripts.together import do_each

GONE = (400, 404)           # statuses by which Galaxy says that there is no such history
# Between the server's clock before a deletion is sent and Galaxy's time of it: requests are sent again for ten minutes.
EARLIEST, LATEST = timedelta(minutes=-1), timedelta(minutes=20)
ELSEWHERE = "deleted by somebody else"
# Its owner may have brought it back and deleted it: then it is not this script's to bring back.
AGAIN = "touched since it was deleted here; Galaxy's own page brings it back"
NOT_DELETED = "not deleted"


class Expiry:
    """The histories of a ledger, and the rules by which some stay. Each stage yields a row for each history that it changed,
    or that stays although it was warned of. `on_error(history, error)` is told of what could not be done to one; it stays
    as it is, and the next run tries again."""

    def __init__(self, galaxy: Galaxy, ledger: ExpiryLedger, rules: KeepRules, owners: Owners,
                 on_error: Callable[[str, GalaxyError], object]):
        self.galaxy, self.ledger, self.rules, self.owners, self.on_error = galaxy, ledger, rules, owners, on_error

    def _each(self, work: Callable[[str], Row | None], ids: Iterable[str]) -> Iterator[Row]:
        for history, outcome in do_each(work, ids):
            if isinstance(outcome, GalaxyError):
                self.on_error(history, outcome)
            elif outcome:
                yield outcome

    # ----------------------------------------------------------------------------------------------------------- deletion

    def delete(self, grace: int) -> Iterator[Row]:
        """Delete what was warned of at least `grace` seconds ago, and whose day has come."""
        ids = self.ledger.ids(WARNED, condition="delete_on <= ? AND warned <= ?",
                              values=(self.ledger.now(), self.ledger.later(-grace)))
        yield from self._each(self._delete_one, ids)

    def _delete_one(self, history: str) -> Row | None:
        noted = self._noted(history)
        facts, asked = self._look(history)
        reason = "Galaxy has it no longer" if not facts else ELSEWHERE if facts.deleted else self._reason_to_spare(
            noted, facts) or sharing_reason(self.galaxy, history)
        if not facts or reason:
            return self._keep(noted, reason)
        if not self.ledger.dry_run:
            self.ledger.note([history], DELETING, state=DELETING, asked=asked, slug=facts.slug)
            self.galaxy.delete(f"histories/{history}")
            after, _ = self._look(history)
            if not after or not after.deleted:
                raise GalaxyError(f"history {history}: Galaxy refused nothing, but it is not deleted")
            since = public_reason(after) or ("shared" if after.slug != facts.slug else "")
            if since:       # within the last moment
                self.galaxy.call("POST", f"histories/deleted/{history}/undelete")
                return self._keep(noted, since)
            self._note_deleted(history, after)
        return describe(noted, DELETED, facts)

    def _note_deleted(self, history: str, facts: HistoryFacts) -> None:
        self.ledger.note([history], DELETED, state=DELETED, deleted=self.ledger.now(), update_time=facts.update_time,
                         marks=facts.marks, size=facts.size)     # the slug stays that of before

    def _reason_to_spare(self, noted: Row, facts: HistoryFacts) -> str:
        if facts.owner_id != noted["owner_id"]:
            return "it has another owner"
        reason = self.rules.reason(facts, self.owners.emails.get(facts.owner_id or ""))
        return reason or (TOUCHED if is_touched(noted, facts) else "")

    # -------------------------------------------------------------------------------------------------------------- purge

    def purge(self, after: int) -> Iterator[Row]:
        """Purge what was deleted here at least `after` seconds ago, and was not touched since. With whom it is shared Galaxy
        does not tell of a deleted history (26.1), nor lets anybody share one: that it was not when it was deleted holds."""
        yield from self._each(self._purge_one, self.ledger.ids(DELETED, condition="deleted <= ?",
                                                               values=(self.ledger.later(-after),)))

    def _purge_one(self, history: str) -> Row | None:
        noted = self._noted(history)
        facts, asked = self._look(history)
        if not facts or facts.purged or not facts.deleted:
            return self._keep(noted, "Galaxy has it no longer" if not facts else "purged by somebody else" if facts.purged
                              else "brought back by somebody else", ended=self.ledger.now())
        reason = self._reason_to_spare(noted, facts) or ("shared" if facts.slug != noted["slug"] else "")
        if reason:
            return self._keep(noted, f"{reason}; it stays deleted")
        if not self.ledger.dry_run:
            self.ledger.note([history], PURGING, state=PURGING, asked=asked)
            self.galaxy.delete(f"histories/{history}", {"purge": True})
            now, _ = self._look(history)
            if not now or not now.purged:
                raise GalaxyError(f"history {history}: Galaxy refused nothing, but it is not purged")
            self._note_purged(history)
        return describe(noted, PURGED, facts)

    def _note_purged(self, history: str) -> None:
        self.ledger.note([history], PURGED, state=PURGED, ended=self.ledger.now())

    # --------------------------------------------------------------------------------------------------------------- undo

    def undo(self, texts: list[str]) -> Iterator[Row]:
        """Bring back what was deleted here and not purged: these histories (ids, or names as they are noted), or all."""
        ids = self.ledger.ids(DELETED, KEPT, condition="deleted IS NOT NULL AND ended IS NULL")
        chosen = list(dict.fromkeys(self._resolve(one, ids) for one in texts)) if texts else ids
        for row in self._each(self._undo_one, chosen):
            if row["action"] == KEPT and row["reason"] != NOT_DELETED:
                self.on_error(row["id"], GalaxyError(f"it was not brought back: {row['reason']}"))
            yield row

    def _resolve(self, text: str, ids: list[str]) -> str:
        named = [row["id"] for row in map(self._noted, ids) if text in (row["id"], row["name"])]
        if len(named) == 1:
            return str(named[0])
        if named:
            raise GalaxyError(f"HISTORY: {len(named)} that were deleted are named {text!r}: {', '.join(named)}", USAGE)
        raise GalaxyError(f"HISTORY: by {self.ledger.path} none was deleted, and not purged, that is {text!r}"
                          f"{did_you_mean(text, [str(row['name']) for row in map(self._noted, ids)])}", USAGE)

    def _undo_one(self, history: str) -> Row | None:
        noted = self._noted(history)
        facts, asked = self._look(history)
        if not facts or facts.purged or not facts.deleted or facts.update_time != noted["update_time"]:
            return self._keep(noted, "Galaxy has it no longer" if not facts else "purged already" if facts.purged
                              else AGAIN if facts.deleted else NOT_DELETED, ended=self.ledger.now())
        if not self.ledger.dry_run:
            self.ledger.note([history], RESTORING, state=RESTORING, asked=asked)
            self.galaxy.call("POST", f"histories/deleted/{history}/undelete")
            now, _ = self._look(history)
            if not now or now.deleted:
                raise GalaxyError(f"history {history}: Galaxy refused nothing, but it is still deleted")
            self._note_restored(history)
        return describe(noted, RESTORED, facts)

    def _note_restored(self, history: str) -> None:
        self.ledger.note([history], RESTORED, state=RESTORED, ended=self.ledger.now())

    # ------------------------------------------------------------------------------------- what all of them have in common

    def settle(self) -> Iterator[Row]:
        """Look how far a run came that was killed in the middle of a request, or whose answer was lost, and note it."""
        yield from self._each(self._settle_one, self.ledger.ids(*UNSETTLED))

    def _settle_one(self, history: str) -> Row | None:
        noted = self._noted(history)
        facts, _ = self._look(history)
        state = noted["state"]
        if not facts:
            return self._keep(noted, "Galaxy has it no longer", ended=self.ledger.now())
        if facts.purged and state == PURGING:
            self._note_purged(history)
            return describe(noted, PURGED, facts)
        if facts.deleted and not facts.purged and state == DELETING and self._is_ours(noted, facts):
            self._note_deleted(history, facts)
            return describe(noted, DELETED, facts)
        if not facts.deleted and state == RESTORING:
            self._note_restored(history)
            return describe(noted, RESTORED, facts)
        if facts.update_time == noted["update_time"] and facts.deleted == (state != DELETING) and not facts.purged:
            back = WARNED if state == DELETING else DELETED     # nothing was done
            self.ledger.note([history], back, "the request was not done", state=back)
            return None
        return self._keep(noted, ELSEWHERE if facts.deleted else TOUCHED, ended=self.ledger.now())

    @staticmethod
    def _is_ours(noted: Row, facts: HistoryFacts) -> bool:
        """Whether a history was deleted when it was asked for: by the server's clock, so whatever this machine's says."""
        passed = parse_utc(facts.update_time) - parse_utc(noted["asked"])
        return EARLIEST <= passed <= LATEST

    def _noted(self, history: str) -> Row:
        noted = self.ledger.find(history)
        assert noted
        return noted

    def _look(self, history: str) -> tuple[HistoryFacts | None, str]:
        """The facts on a history, None where Galaxy has none, and the server's time."""
        try:
            facts, now = fetch_facts(self.galaxy, history)
        except GalaxyError as error:
            if error.status not in GONE or "err_code" not in (error.body or ""):     # a proxy's own page says nothing
                raise
            return None, ""
        return facts, clock.format_time(now or clock.now())

    def _keep(self, noted: Row, reason: str, ended: str | None = None) -> Row:
        self.ledger.note([noted["id"]], KEPT, reason, state=KEPT, reason=reason, **({"ended": ended} if ended else {}))
        return describe(noted, KEPT, reason=reason)
