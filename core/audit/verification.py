"""Verifying a trail: every record against its leaf, every batch against its root, every seal against the one before.

Reads the rows and trusts none of them. Damage that only outside storage reveals (a cut-off end, a chain rewritten with
a stolen key) is found by comparison with the anchors, if they are given.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit import merkle, repository
from core.audit.anchors import anchored_organizations, read_anchors
from core.audit.documents import GENESIS, Record, Seal, is_signed, retirement_message, seal_hash
from core.audit.findings import Finding, Kind, Report
from core.kit.blob import BlobStore
from core.kit.db import Database
from core.kit.signing import Keyring

Anchors = Sequence[tuple[str, dict[str, Any] | None]]

_SEALS_PAGE = 500
# A damaged table may be damaged everywhere; a report names the first positions.
FINDINGS_MAX = 100
# Swaps are found by trying positions: quadratic in the number of a batch's records that do not match.
_SWAPS_MAX = 200


def verify(
    session: Session,
    organization_id: UUID,
    keyring: Keyring,
    *,
    anchors: Anchors = (),
    after_seal: int = 0,
    max_records: int | None = None,
) -> Report:
    """Verify the organization's trail from the seal after `after_seal` on.

    Stops at a seal's end once `max_records` were read; `next_after_seal` then names where to continue. The seal
    `after_seal` itself is trusted; without `after_seal`, nothing is.
    """
    return _Verification(session, organization_id, keyring, after_seal).run(anchors, max_records)


def verify_all(
    database: Database, blobs: BlobStore, keyring: Keyring, organization_id: UUID | None = None
) -> Iterator[Report]:
    """Verify the trail of every organization that the database or an anchor knows, or of one, against the anchors."""
    organizations = [organization_id] if organization_id is not None else _organizations(database, blobs)
    for each in organizations:
        with database.system() as session:
            yield verify(session, each, keyring, anchors=read_anchors(blobs, each))


def _organizations(database: Database, blobs: BlobStore) -> list[UUID]:
    with database.system() as session:
        known = repository.organizations(session)
    return sorted({*known, *anchored_organizations(blobs)})


class _Verification:
    def __init__(self, session: Session, organization_id: UUID, keyring: Keyring, after_seal: int) -> None:
        self._session = session
        self._organization_id = organization_id
        self._keyring = keyring
        self._after = after_seal
        self._report = Report(organization_id, repository.now(session))
        self._retired_through = 0
        self._checked: dict[int, bytes] = {}

    def run(self, anchors: Anchors, max_records: int | None) -> Report:
        report = self._report
        head = repository.head(self._session, self._organization_id)
        report.waiting = repository.count_waiting(self._session, self._organization_id)
        if head is not None:
            self._retired_through = self._retirements()
            self._walk(head, max_records)
        if report.next_after_seal is None:
            self._loose(head)
        self._compare(anchors, head)
        return report

    def _find(
        self, kind: Kind, message: str, seal: int | None = None, first: int | None = None, last: int | None = None
    ) -> None:
        if len(self._report.findings) < FINDINGS_MAX:
            self._report.findings.append(Finding(kind, message, seal, first, last if last is not None else first))

    def _walk(self, head: Seal, max_records: int | None) -> None:
        previous = self._starting_point()
        sequence = previous.last_sequence if previous else 0
        rows = _Peekable(
            repository.records(self._session, self._organization_id, after=sequence, through=head.last_sequence)
        )
        for seal in self._seals(head):
            self._check_seal(seal, previous)
            self._check_records(seal, rows.through(seal.last_sequence))
            self._checked[seal.number] = seal.hash
            report = self._report
            report.seals += 1
            report.first_seal = report.first_seal if report.first_seal is not None else seal.number
            report.last_seal, report.last_sequence, report.head_hash = seal.number, seal.last_sequence, seal.hash
            previous = seal
            if max_records is not None and report.records >= max_records and seal.number < head.number:
                report.next_after_seal = seal.number
                return

    def _starting_point(self) -> Seal | None:
        if not self._after:
            return None
        found = repository.seals(
            self._session, self._organization_id, after=self._after - 1, through=self._after, most=1
        )
        if not found:
            self._find(Kind.SEAL_MISSING, f"seal {self._after}, from which to go on, does not exist", self._after)
        return found[0] if found else None

    def _seals(self, head: Seal) -> Iterator[Seal]:
        after = self._after
        while True:
            page = repository.seals(
                self._session, self._organization_id, after=after, through=head.number, most=_SEALS_PAGE
            )
            yield from page
            if len(page) < _SEALS_PAGE:
                return
            after = page[-1].number

    def _check_seal(self, seal: Seal, previous: Seal | None) -> None:
        number, document = seal.number, seal.document()
        expected = previous.number + 1 if previous else self._after + 1
        if number != expected:
            gone = f"seal {expected} is" if number == expected + 1 else f"seals {expected} to {number - 1} are"
            first = previous.last_sequence + 1 if previous else 1
            self._find(Kind.SEAL_MISSING, f"{gone} missing", expected, first, seal.first_sequence - 1)
        if seal_hash(document) != seal.hash:
            self._find(Kind.SEAL_ALTERED, f"seal {number} was altered: its content does not give its hash", number)
        elif seal.key_id not in self._keyring:
            self._find(Kind.KEY_UNKNOWN, f"seal {number} is signed with {seal.key_id}, which is no key of ours", number)
        elif not is_signed(self._keyring, document):
            self._find(Kind.SEAL_FORGED, f"the signature of seal {number} is not ours", number)
        if number != expected:
            return
        before = previous.hash if previous else GENESIS
        first = previous.last_sequence + 1 if previous else 1
        if seal.previous_hash != before:
            self._find(Kind.CHAIN_BROKEN, f"seal {number} does not continue the seal before it", number)
        if seal.first_sequence != first:
            self._find(Kind.CHAIN_BROKEN, f"seal {number} begins at record {seal.first_sequence}, not {first}", number)

    def _check_records(self, seal: Seal, rows: list[Record]) -> None:
        if not rows and seal.number <= self._retired_through:
            self._report.retired_seals += 1
            return
        placed = self._place(seal, rows)
        self._report.records += len(placed)
        computed = {sequence: record.leaf_at(sequence) for sequence, record in placed.items()}
        differing = [sequence for sequence in placed if computed[sequence] != placed[sequence].leaf]
        is_whole = len(placed) == seal.last_sequence - seal.first_sequence + 1
        if is_whole and merkle.root([computed[at] for at in sorted(computed)]) == seal.root:
            for sequence in differing:
                message = f"the leaf stored with record {sequence} was altered; the record itself was not"
                self._find(Kind.LEAF_ALTERED, message, seal.number, sequence)
            return
        for sequence in self._explain_swaps(seal, placed, differing):
            message = f"record {sequence} was altered: its content does not give the leaf that was sealed"
            self._find(Kind.RECORD_ALTERED, message, seal.number, sequence)
        if is_whole and not self._leaves_are_sealed(seal, placed, differing):
            message = (
                f"in seal {seal.number}, records {seal.first_sequence} to {seal.last_sequence}, leaves were rewritten"
                " together with what they stand for, or the root was"
            )
            self._find(Kind.BATCH_REWRITTEN, message, seal.number, seal.first_sequence, seal.last_sequence)

    def _place(self, seal: Seal, rows: list[Record]) -> dict[int, Record]:
        """The rows by sequence; finds gaps, duplicates and foreign records."""
        placed: dict[int, Record] = {}
        for row in rows:
            sequence = row.sequence or 0
            if sequence < seal.first_sequence:
                self._find(Kind.RECORD_FORGED, f"record {sequence} is covered by no seal", None, sequence)
            elif sequence in placed:
                self._find(Kind.RECORD_DUPLICATED, f"there are two records {sequence}", seal.number, sequence)
                if row.seal_id == seal.id:
                    placed[sequence] = row
            else:
                placed[sequence] = row
                if row.seal_id != seal.id:
                    message = f"record {sequence} is filed under another seal than {seal.number}"
                    self._find(Kind.RECORD_MISPLACED, message, seal.number, sequence)
        start = seal.first_sequence
        for sequence in [*sorted(placed), seal.last_sequence + 1]:
            if sequence > start:
                gone = f"record {start} is" if sequence == start + 1 else f"records {start} to {sequence - 1} are"
                self._find(Kind.RECORD_MISSING, f"{gone} missing", seal.number, start, sequence - 1)
            start = sequence + 1
        return placed

    def _explain_swaps(self, seal: Seal, placed: dict[int, Record], differing: list[int]) -> list[int]:
        """Find records that were swapped; returns the differing ones that swaps do not explain."""
        if len(differing) > _SWAPS_MAX:
            return differing
        leaves = {placed[sequence].leaf for sequence in differing}
        came_from = {
            sequence: origin
            for sequence in differing
            for origin in differing
            if origin != sequence and placed[sequence].leaf_at(origin) in leaves
        }
        for sequence, origin in came_from.items():
            if came_from.get(origin) == sequence:
                if sequence < origin:
                    message = f"records {sequence} and {origin} were swapped"
                    self._find(Kind.RECORDS_SWAPPED, message, seal.number, sequence, origin)
            else:
                message = f"record {origin} was moved to {sequence}"
                self._find(Kind.RECORDS_SWAPPED, message, seal.number, sequence, origin)
        return [sequence for sequence in differing if sequence not in came_from]

    @staticmethod
    def _leaves_are_sealed(seal: Seal, placed: dict[int, Record], differing: list[int]) -> bool:
        """Whether the stored leaves, in their order or with swaps undone, are the sealed ones."""
        stored = [placed[sequence].leaf or b"" for sequence in sorted(placed)]
        if merkle.root(stored) == seal.root:
            return True
        if not differing or len(differing) > _SWAPS_MAX:
            return False
        by_leaf = {placed[sequence].leaf: sequence for sequence in differing}
        restored = dict(zip(sorted(placed), stored, strict=True))
        for sequence in differing:
            for origin in differing:
                leaf = placed[sequence].leaf_at(origin)
                if leaf in by_leaf:
                    restored[origin] = leaf
        return merkle.root([restored[sequence] for sequence in sorted(restored)]) == seal.root

    def _loose(self, head: Seal | None) -> None:
        """Finds records beyond the newest seal, which the sealer cannot have written."""
        after = head.last_sequence if head else 0
        found = repository.loose_records(self._session, self._organization_id, after, FINDINGS_MAX)
        for sequence in found:
            message = f"record {sequence} stands after the last seal, covered by none: it was not written by the sealer"
            self._find(Kind.RECORD_FORGED, message, None, sequence)

    def _retirements(self) -> int:
        """The number of the last seal whose records may be deleted, by a statement that we signed."""
        for retirement in repository.retirements(self._session, self._organization_id):
            message = retirement_message(
                self._organization_id, retirement.through_number, retirement.seal_hash, retirement.retired_at
            )
            if self._keyring.verifies(retirement.key_id, message, retirement.signature):
                return retirement.through_number
            text = f"the statement that records up to seal {retirement.through_number} were retired is not signed by us"
            self._find(Kind.SEAL_FORGED, text, retirement.through_number)
        return 0

    def _compare(self, anchors: Anchors, head: Seal | None) -> None:
        report = self._report
        length = head.number if head else 0
        for key, anchor in anchors:
            number = anchor.get("number") if anchor else None
            if anchor is None or not isinstance(number, int) or not _is_ours(self._keyring, anchor):
                self._find(Kind.ANCHOR_UNREADABLE, f"{key} is not a seal that we signed")
                continue
            report.anchors += 1
            report.anchored_through = max(number, report.anchored_through or 0)
            here = self._checked.get(number) or self._hash_of(number)
            if number > length:
                message = f"the trail ends at seal {length}, but {key} shows that there was a seal {number}"
                self._find(
                    Kind.CHAIN_CUT,
                    message,
                    length + 1,
                    (head.last_sequence if head else 0) + 1,
                    anchor["last_sequence"],
                )
            elif here is not None and here.hex() != anchor["hash"]:
                self._find(Kind.CHAIN_REPLACED, f"seal {number} is not the one that {key} shows", number)

    def _hash_of(self, number: int) -> bytes | None:
        found = repository.seals(self._session, self._organization_id, after=number - 1, through=number, most=1)
        return found[0].hash if found else None


class _Peekable:
    """Rows in the order of their sequence, returned up to a bound."""

    def __init__(self, rows: Iterator[Record]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def through(self, sequence: int) -> list[Record]:
        found = []
        while self._next is not None and (self._next.sequence or 0) <= sequence:
            found.append(self._next)
            self._next = next(self._rows, None)
        return found


def _is_ours(keyring: Keyring, document: dict[str, Any]) -> bool:
    try:
        return document["hash"] == seal_hash(document).hex() and is_signed(keyring, document)
    except (KeyError, ValueError, TypeError):
        return False
