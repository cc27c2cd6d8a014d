"""Share a history or a workflow: with users, with those who have its link, or with everybody; and make sure that it is so,
and that they can read the history's datasets."""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common import FAILED, SOME_FAILED, USAGE, Galaxy, GalaxyError

LINK, EVERYBODY = "link", "everybody"
# What becomes of private datasets: Galaxy's `share_option`.
SHARE_OPTIONS = {"give": "make_accessible_to_shared", "public": "make_public", "keep": "no_changes"}
CHOICES = ": --datasets=give gives the user access, --datasets=public everybody, --datasets=keep leaves them so"
MAX_NAMED = 3       # datasets in a message


@dataclass
class Audience:
    """With whom something is to be shared, or no longer: users, those with its `link`, `everybody` (it is published)."""

    users: list[str] = field(default_factory=list)      # e-mail addresses, or ids
    link: bool = False
    everybody: bool = False

    @property
    def is_public(self) -> bool:
        return self.link or self.everybody


def parse_audience(words: Iterable[str], option: str = "WITH") -> Audience:
    """The audience that words name: users' e-mail addresses or ids, `link`, `everybody`. Raises `GalaxyError` (USAGE)."""
    audience = Audience()
    for word in (word.strip() for word in words):
        if word in (LINK, EVERYBODY):
            setattr(audience, word, True)
        elif re.fullmatch(r"[^\s@,]+@[^\s@,]+|([0-9a-f]{16})+", word):
            audience.users.append(word)
        else:
            raise GalaxyError(f"{option}: {word!r} is no user's e-mail address or id, nor {LINK} or {EVERYBODY}", USAGE)
    return audience


def check_datasets_option(how: str | None, audience: Audience, option: str = "--datasets") -> None:
    """Raise `GalaxyError` (USAGE) unless `how` says what may become of private datasets for that audience."""
    if how is not None and how not in SHARE_OPTIONS:
        raise GalaxyError(f"{option}={how}: expected {', '.join([*SHARE_OPTIONS][:-1])} or {[*SHARE_OPTIONS][-1]}", USAGE)
    if how in ("give", "keep") and audience.is_public:
        raise GalaxyError(f"{option}={how}: with {LINK} or {EVERYBODY} Galaxy makes all datasets public: {option}=public, "
                          "or name users", USAGE)


class NotShared(GalaxyError):
    """Galaxy has `reasons`, sentences, not to share something with a user."""

    def __init__(self, text: str, reasons: Iterable[str]):
        super().__init__(text)
        self.reasons = sorted(reasons)


class Sharing:
    """The sharing of one thing in Galaxy, at `path` (`workflows/ID`). Its methods raise `GalaxyError` with Galaxy's reason
    where it is not shared as asked. `noun` is its kind; `page`, followed by its id, the page of one that has no link yet."""

    noun = page = ""

    def __init__(self, galaxy: Galaxy, path: str):
        self.galaxy, self.path = galaxy, path
        self.load()

    def load(self) -> None:
        """Ask Galaxy how it is."""
        self.status: dict[str, Any] = self.galaxy.get(f"{self.path}/sharing")

    @property
    def users(self) -> dict[str, str]:
        """`{id: e-mail address}` of the users with whom it is shared."""
        return {user["id"]: user["email"] for user in self.status["users_shared_with"]}

    @property
    def address(self) -> str:
        """The page that those with whom it is shared open."""
        slug = self.status.get("username_and_slug")
        return f"{self.galaxy.base}/{slug}" if slug else f"{self.galaxy.base}{self.page}{self.status['id']}"

    @property
    def row(self) -> dict[str, Any]:
        """How it is shared, to be shown."""
        return {"id": self.status["id"], "name": self.status["title"], "users": list(self.users.values()),
                "link": self.status["importable"], "published": self.status["published"], "address": self.address}

    def preview(self, audience: Audience, stop: bool) -> dict[str, Any]:
        """How it will be shared once it is shared with these too, or with these no longer. Raises `GalaxyError` as
        `check_stop` does."""
        row = self.row
        if stop:
            self.check_stop(audience)
            gone = {self.id_of(user) for user in audience.users}
            return {**row, "users": [email for one, email in self.users.items() if one not in gone],
                    "link": row["link"] and not audience.link, "published": row["published"] and not audience.is_public}
        return {**row, "users": row["users"] + self.missing_users(audience), "link": row["link"] or audience.is_public,
                "published": row["published"] or audience.everybody}

    def id_of(self, user: str) -> str | None:
        """The id of a user with whom it is shared; None if it is not shared with that one."""
        return next((one for one, email in self.users.items() if user.lower() in (one, email.lower())), None)

    def missing_users(self, audience: Audience) -> list[str]:
        """The users of an audience with whom it is not shared."""
        return [user for user in audience.users if not self.id_of(user)]

    def _split(self, audience: Audience) -> tuple[list[str], list[str]]:
        """The users, LINK and EVERYBODY of an audience with whom it is shared, and those with whom it is not."""
        is_shared = {user: bool(self.id_of(user)) for user in audience.users}
        if audience.everybody:
            is_shared[EVERYBODY] = self.status["published"]
        if audience.link:
            is_shared[LINK] = self.status["importable"]
        return [one for one in is_shared if is_shared[one]], [one for one in is_shared if not is_shared[one]]

    def _put_users(self, users: list[str], how: str | None = None) -> None:
        """Let these users, by their e-mail addresses, and no others be those with whom it is shared."""
        self._ask_to_share(users, how)
        self.load()

    def _ask_to_share(self, users: list[str], how: str | None) -> dict[str, Any]:
        """Return Galaxy's answer; raise `GalaxyError` for the errors in it. An account that was deleted since, with which
        nobody could share a history any more (26.1), is left out."""
        for _ in range(2):
            answer: dict[str, Any] = self.galaxy.put(f"{self.path}/share_with_users", {
                "user_ids": users, **({"share_option": SHARE_OPTIONS[how]} if how else {})}) or {}
            errors = set(answer.get("errors") or [])
            deleted = {email for email in self.users.values() if f"{email} is not a valid Galaxy user." in errors}
            if not errors or not deleted or len(errors) > len(deleted):
                break
            users = [user for user in users if user not in deleted]
        if errors:
            raise NotShared(f"{self._name} is not shared: {' '.join(sorted(errors))}", errors)
        return answer

    def _make_importable(self, audience: Audience) -> None:
        if audience.everybody and not self.status["published"]:
            self.galaxy.put(f"{self.path}/publish")
        elif audience.is_public and not self.status["importable"]:
            self.galaxy.put(f"{self.path}/enable_link_access")

    def check_stop(self, audience: Audience) -> None:
        """Raise an error if it is not shared with a user of these: a mistyped address would leave the right one shared."""
        unknown = self.missing_users(audience)
        if unknown:
            raise GalaxyError(f"{self._name} is not shared with {', '.join(unknown)}, so nothing was changed: it is shared "
                              f"with {', '.join(self.users.values()) or 'no user'}")

    def stop(self, audience: Audience) -> None:
        """Share it with these no longer. Without its link it is not published either. Its datasets stay as they are."""
        self.check_stop(audience)
        gone = {self.id_of(user) for user in audience.users} - {None}
        if gone:
            self._put_users([email for one, email in self.users.items() if one not in gone], None)
        if audience.everybody and self.status["published"]:
            self.galaxy.put(f"{self.path}/unpublish")
        if audience.link and self.status["importable"]:
            self.galaxy.put(f"{self.path}/disable_link_access")
        self.load()
        left = self._split(audience)[0]
        if left:
            raise GalaxyError(f"{self._name} is still shared with {', '.join(left)}, although Galaxy refused nothing")

    @property
    def _name(self) -> str:
        return f"{self.noun} {self.status['id']} ({self.status.get('title')})"


class WorkflowSharing(Sharing):
    """The sharing of one workflow."""

    noun, page = "workflow", "/published/workflow?id="

    def __init__(self, galaxy: Galaxy, workflow_id: str):
        super().__init__(galaxy, f"workflows/{workflow_id}")

    def share(self, audience: Audience) -> None:
        """Share it with these, and leave those with whom it is shared; then read back whether it is so."""
        missing, reason = self.missing_users(audience), "although Galaxy refused nothing"
        if missing:
            try:
                self._put_users([*self.users.values(), *missing])
            except NotShared as error:
                reason = " ".join(error.reasons)    # the others are added all the same
        self._make_importable(audience)
        self.load()
        is_so, left = self._split(audience)
        if left:
            raise GalaxyError(f"{self._name} is not shared with {', '.join(left)}: {reason}",
                              SOME_FAILED if is_so else FAILED)


class HistorySharing(Sharing):
    """The sharing of one history."""

    noun, page = "history", "/histories/view?id="

    def __init__(self, galaxy: Galaxy, history_id: str):
        super().__init__(galaxy, f"histories/{history_id}")
        self._unchanged: list[str] = []     # private datasets that Galaxy left so, because the owner may not change them

    def private_datasets(self) -> list[dict[str, Any]]:
        """Its datasets that not everybody may read, without those whose permissions Galaxy does not tell this user."""
        return [one for one in self._datasets() if (one.get("permissions") or {}).get("access")]

    def _datasets(self) -> Iterator[dict[str, Any]]:
        for one in self.galaxy.pages(f"{self.path}/contents", {"v": "dev", "keys": "id,name,permissions,purged"}):
            if one.get("history_content_type", "dataset") == "dataset" and not one.get("purged"):
                yield one

    def unreadable_by(self, emails: Iterable[str]) -> dict[str, list[str]]:
        """`{e-mail address: names of the datasets that this user can't read}`, as far as their roles tell: those of an owner
        alone, and those that Galaxy makes for two users. Who has another role, Galaxy checks when it shares."""
        private, emails = self.private_datasets(), list(emails)
        roles = {role["id"]: role for role in self.galaxy.get("roles")} if private else {}
        blocked: dict[str, list[str]] = {}
        for dataset in private:
            names = [roles[role]["name"].lower() for role in dataset["permissions"]["access"]
                     if role in roles and roles[role]["type"] in ("private", "sharing")]
            for email in emails:
                if any(email.lower() not in re.split(r"[\s,]+", name) for name in names):
                    blocked.setdefault(email, []).append(str(dataset["name"]))
        return blocked

    def check(self, audience: Audience, how: str | None) -> None:
        """Raise an error if it is clear before that it can't be shared with these."""
        if audience.is_public and how != "public":
            private = [str(dataset["name"]) for dataset in self.private_datasets()]
            if private:
                raise GalaxyError(f"{self._name}: {_named(private)}, and with {LINK} or {EVERYBODY} Galaxy would make them "
                                  "public: --datasets=public if they may be")
        missing = self.missing_users(audience)
        if missing and not self.galaxy.get(f"{self.path}/contents", {"v": "dev", "keys": "id", "limit": 1}):
            raise GalaxyError(f"{self._name} is empty, and Galaxy does not share an empty history with users")
        if how is None:
            for names in self.unreadable_by(user for user in missing if "@" in user).values():
                raise GalaxyError(f"{self._name}: {_named(names)}{CHOICES}")
        everyone = {*self.users.values(), *missing}
        if how == "give" and len(everyone) > 1:
            blocked = self.unreadable_by(user for user in everyone if "@" in user)
            if blocked:
                raise GalaxyError(f"{self._name}: {_named(next(iter(blocked.values())))}, which Galaxy gives to one user at "
                                  f"a time, and takes from the others, and here are {len(everyone)}: --datasets=public or "
                                  "--datasets=keep")

    def share(self, audience: Audience, how: str | None = None) -> None:
        """Share it with these, and leave those with whom it is shared; then read back whether it is so, and whether they can
        read its datasets, unless these are to be kept as they are. `how`: a key of SHARE_OPTIONS, or None to refuse where
        datasets are private."""
        self.check(audience, how)
        if audience.users:
            self._share_with_users(audience, how)
        self._make_importable(audience)
        if audience.is_public and how == "public":
            self._make_public()
        self.load()
        self._require_shared(audience, how)

    def _share_with_users(self, audience: Audience, how: str | None) -> None:
        known = self.users
        missing = self.missing_users(audience)
        if missing:
            self._put_users([*known.values(), *missing], how)
        known_emails = [known[one] for one in map(self.id_of, audience.users) if one in known]
        if how == "public":
            self._make_public()
        if how in ("give", "public") and known_emails and (
                self.unreadable_by(known_emails) or any("permissions" not in one for one in self._datasets())):
            self._grant_to_known(known_emails, how)

    def _grant_to_known(self, emails: list[str], how: str) -> None:
        """Grant access to users with whom it is shared already. Galaxy looks at new users only (26.1), so they are taken off
        for a moment; whatever goes wrong, they are put back."""
        others = [email for email in self.users.values() if email not in emails]
        try:
            self._put_users(others, None)
            self._put_users([*others, *emails], how)
        except BaseException:
            try:
                self._put_users([*others, *emails], "keep")
            except GalaxyError as error:
                raise GalaxyError(f"{self._name} may no longer be shared with {', '.join(emails)}: share it with "
                                  f"--datasets=keep again. {error}", error.exit_code, status=error.status) from error
            raise

    def _put_users(self, users: list[str], how: str | None = None) -> None:
        answer = self._ask_to_share(users, how if how == "keep" else None)
        extra = answer.get("extra") or {}
        if how in ("give", "public") and not extra.get("can_share", True):
            # Only now: Galaxy changes datasets first, and then refuses because of a user that is not there (26.1).
            extra = self._ask_to_share(users, how).get("extra") or {}
        names = {word: [str(one["name"]) for one in extra.get(word) or []] for word in ("can_change", "cannot_change")}
        if extra and not extra.get("can_share", True):
            reasons = [_named(names["can_change"]) + CHOICES] * bool(names["can_change"])
            reasons += [f"{_named(names['cannot_change'])}, and you can't change that"] * bool(names["cannot_change"])
            raise GalaxyError(f"{self._name} is not shared: {'; '.join(reasons) or 'Galaxy does not say why'}")
        if how != "keep":
            self._unchanged += names["cannot_change"]
        self.load()

    def _make_public(self) -> None:
        for dataset in self.private_datasets():
            try:
                self.galaxy.put(f"datasets/{dataset['id']}/permissions", {"action": "remove_restrictions"})
            except GalaxyError as error:
                if error.status not in (400, 403):      # a refusal is told by `_require_shared`
                    raise

    def _require_shared(self, audience: Audience, how: str | None) -> None:
        missing = self._split(audience)[1]
        if missing:
            raise GalaxyError(f"{self._name} is not shared with {', '.join(missing)}, although Galaxy refused nothing")
        is_for_all = audience.is_public or how == "public"
        private = [str(dataset["name"]) for dataset in self.private_datasets()] if is_for_all else []
        private += [name for name in dict.fromkeys(self._unchanged) if name not in private]
        if private:
            raise GalaxyError(f"{self._name} is shared, but {_named(private)} still: you can't change that")
        if not is_for_all and how != "keep":
            for email, names in self.unreadable_by(filter(None, (self.users.get(self.id_of(user) or "")
                                                                 for user in audience.users))).items():
                raise GalaxyError(f"{self._name} is shared with {email}, who can't read all of it: {_named(names)}: "
                                  "--datasets=give or --datasets=public lets them, --datasets=keep leaves it so")


def _named(names: list[str]) -> str:
    """Private datasets in words."""
    count = f"{len(names)} datasets are" if len(names) > 1 else "1 dataset is"
    return f"{count} private ({', '.join(names[:MAX_NAMED])}{', ...' if len(names) > MAX_NAMED else ''})"
