"""The token map of a job tree: a value has the same token in every job, attempt and call of the tree.

Values are sealed with AES-256-GCM and looked up by a keyed digest. The map is deleted with the payloads of the tree's
first job, and a value can be erased from all maps of an organization before.
"""

import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from threading import Lock
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.guard import pseudonym_rows
from core.guard.pseudonym_rows import Row, Sealed, Wanted
from core.guard.records import EntityKind
from core.guard.tokens import TOKEN, Token, token_of
from core.kit.db import Executor
from core.kit.errors import CapabilityFailure
from core.kit.ids import ORGANIZATION, encode
from core.kit.sealing import CannotOpen, KeyedDigest, Sealer, SealingKeyMissing, pseudonym_keys
from core.kit.settings import Settings

SEALED_FOR = "pseudonyms"
_DIGEST_CHARACTERS = 12
# With or without blanks, dots and dashes they are the same number.
_NUMBERS = frozenset(
    {EntityKind.PHONE, EntityKind.CARD, EntityKind.IBAN, EntityKind.TAX_ID, EntityKind.NATIONAL_ID, EntityKind.POSTCODE}
)


class PseudonymKeys:
    """Seals values and looks them up, with keys loaded on first use. Thread-safe.

    Operations that need a key raise `core.kit.sealing.SealingKeyMissing` without one.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def sealer(self) -> Sealer:
        """Seals values."""
        return Sealer(pseudonym_keys(self._settings), SEALED_FOR)

    @cached_property
    def digests(self) -> KeyedDigest:
        """Looks up sealed values."""
        return KeyedDigest(pseudonym_keys(self._settings), f"{SEALED_FOR} digest")

    def require(self) -> None:
        """Raise `SealingKeyMissing` without a key."""
        self.sealer, self.digests  # noqa: B018 - made, or refused

    def erase(self, session: Session, organization_id: UUID, value: str, actor: Actor) -> int:
        """Make the tokens of `value` unrestorable in all job trees of the organization; returns how many.

        The audit record holds the number of tokens and trees, and the keyed digest of the value.
        """
        forms = {_normalized(kind, value) for kind in (EntityKind.PERSON, EntityKind.PHONE)}
        digests = [digest for form in sorted(forms) for digest in self.digests.all_of(organization_id, form)]
        roots = pseudonym_rows.erase(session, organization_id, digests)
        record(
            session,
            organization_id,
            None,
            AuditAction.PSEUDONYM_ERASE,
            subject_id=encode(ORGANIZATION, organization_id),
            actor=actor,
            payload_digest=self.digests.of(organization_id, _normalized(EntityKind.PERSON, value)),
            detail={"pseudonyms": len(roots), "job_trees": len(set(roots))},
        )
        return len(roots)

    def reseal(self, session: Session) -> int:
        """Seal every value with the current pseudonym key, and index it under that key; needs `Database.system`.

        Returns how many. A value that no key opens stays unchanged: its token stays in texts.
        """
        count = 0
        for rows in pseudonym_rows.sealed(session):
            again: list[tuple[Sealed, bytes]] = []
            for row in rows:
                with suppress(CannotOpen):
                    value = self.sealer.open(row.root_job_id, row.sealed)
                    digest = self.digests.of(row.organization_id, _normalized(row.kind, value.decode()))
                    again.append((row._replace(sealed=self.sealer.seal(row.root_job_id, value)), digest))
            pseudonym_rows.replace_all(session, [row for row, _ in again], [digest for _, digest in again])
            count += len(again)
        return count


class Pseudonyms:
    """The map of one job tree, for one attempt. Thread-safe; values are cached once read.

    Raises `CapabilityFailure` (``guard_key_missing``) when a value has to be named, found or opened without a key.
    """

    def __init__(self, executor: Executor, keys: PseudonymKeys, organization_id: UUID, root_job_id: UUID) -> None:
        self._executor = executor
        self._given = keys
        self._organization_id = organization_id
        self._root = root_job_id
        self._tokens: dict[tuple[str, str], Token] = {}
        self._values: dict[Token, str] = {}
        self._lock = Lock()

    @property
    def _keys(self) -> PseudonymKeys:
        try:
            self._given.require()
        except SealingKeyMissing as missing:
            raise CapabilityFailure(
                "The policy replaces values by pseudonyms or hashes, and this worker has no key for them:"
                f" {missing.detail}, the same for all workers and the API, and restart them.",
                code="guard_key_missing",
            ) from None
        return self._given

    def name(self, kind: str, value: str) -> str:
        """The token of a value, for example ``<PERSON_1>``. "Anna Schmidt" and "anna  schmidt" are the same person."""
        token = self._tokens.get((kind, value))
        if token is None:
            self.name_all([(kind, value)])
            token = self._tokens[kind, value]
        return str(token)

    def digest(self, kind: str, value: str) -> str:
        """Identifies a value without revealing it: twelve hexadecimal digits, the same in all jobs."""
        return self._keys.digests.of(self._organization_id, _normalized(kind, value)).hex()[:_DIGEST_CHARACTERS]

    def name_all(self, values: Iterable[tuple[str, str]]) -> None:
        """Give a token to every value (kind and text) without one, in one round trip; none when all are known."""
        with self._lock:
            new = {pair: _normalized(*pair) for pair in values if pair not in self._tokens}
            if not new:
                return
            wanted: dict[tuple[str, bytes], Wanted] = {}
            for (kind, value), form in new.items():
                if (kind, form) not in wanted:
                    digests = self._keys.digests.all_of(self._organization_id, form)
                    wanted[kind, form] = Wanted(kind, digests, self._keys.sealer.seal(self._root, value.encode()))
            named = pseudonym_rows.name(self._executor, self._organization_id, self._root, list(wanted.values()))
            tokens = {pair: self._remember(row) for pair, row in zip(wanted, named, strict=True)}
            for (kind, value), form in new.items():
                self._tokens[kind, value] = tokens[kind, form]

    def value(self, token: Token) -> str | None:
        """The first spelling of a token's value; None for a token that the tree lacks, or whose value is lost."""
        self.load([token])
        return self._values.get(token)

    def load(self, tokens: Iterable[Token]) -> None:
        """Read the values of those tokens that are not cached, in one round trip."""
        with self._lock:
            missing = {token for token in tokens if token not in self._values}
            if missing:
                for row in pseudonym_rows.find(self._executor, self._organization_id, self._root, sorted(missing)):
                    self._remember(row)

    def restore(self, text: str) -> str:
        """`text` with the tree's tokens replaced by their values; other tokens stay unchanged."""
        self.load(map(token_of, TOKEN.finditer(text)))
        return TOKEN.sub(lambda found: self._values.get(token_of(found), found[0]), text)

    def _remember(self, row: Row) -> Token:
        token = Token(row.kind, row.number)
        if token not in self._values:
            # Sealed with a lost key: the token stays in the text.
            with suppress(CannotOpen):
                self._values[token] = self._keys.sealer.open(self._root, row.sealed).decode()
        return token


def _normalized(kind: str, value: str) -> bytes:
    """The form common to all spellings of a value, as UTF-8."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    if kind in _NUMBERS:
        return "".join(character for character in folded if character.isalnum() or character == "+").encode()
    return " ".join(folded.split()).encode()
