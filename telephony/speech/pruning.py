"""Remove unneeded recordings from the storage and the database.

A recording is needed if

* someone asked for it within settings.IRIS_KEEP_AUDIO_DAYS (within a day for voice trials, see `trials`),
* an unfinished call plays it, or a call that ended within those days played it,
* a campaign or run refers to it, or
* it is a fragment of a needed recording.

If speech is pruned too early, it is spoken again on demand. An upload that a campaign refers to is never removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import ManyToOneRel, Model, Q
from django.utils import timezone

from iris.progress import Advance, unseen
from telephony.models import FINAL, Audio, Delivery
from telephony.speech import store

CHUNK = 500
EXTENSIONS: tuple[store.Extension, ...] = ("wav", "mp3")
TRIAL_RETENTION = timedelta(days=1)
# A file is written before its row, so a recent file without a row may be about to get one.
MIN_ORPHAN_AGE = timedelta(days=1)


@dataclass(slots=True)
class PruneResult:
    """The number of recordings, files and bytes that were removed, or that a dry run would remove."""

    recordings: int = 0
    files: int = 0
    bytes: int = 0


class Cutoffs(NamedTuple):
    """A recording last used before its cutoff is unused. Voice trials expire earlier, so they have their own cutoff."""

    recordings: datetime
    trials: datetime

    @property
    def unused(self) -> Q:
        """Return the condition for recordings that nobody has used since the cutoff."""
        return Q(used_at__lte=self.recordings) | Q(is_trial=True, used_at__lte=self.trials)


def prune(
    *,
    dry_run: bool = False,
    days: int | None = None,
    shown: Callable[[int], AbstractContextManager[Advance]] = unseen,
) -> PruneResult:
    """Remove all unneeded recordings. Safe to run at any time and in several processes at once.

    `shown` gets the number of recordings with files, and returns a context in which the progress is shown.
    """
    result = PruneResult()
    now = timezone.now()
    cutoffs = Cutoffs(
        now - timedelta(days=settings.IRIS_KEEP_AUDIO_DAYS if days is None else days), now - TRIAL_RETENTION
    )
    files = _files_by_name()
    with shown(len(files)) as advance:
        for chunk in _unneeded_ids(cutoffs):
            _remove(chunk, cutoffs, files, result, dry_run=dry_run)
            advance(len(chunk))
        for path in _orphan_files(files):
            _remove_file(path, result, dry_run=dry_run)
            advance(1)
    return result


@transaction.atomic
def erase_unused(ids: Iterable[int]) -> int:
    """Remove the recordings among these that nothing refers to any more, without waiting for `prune`; return how many.

    The fragments of a joined recording are left to `prune`, because other recordings may contain them. A file is removed
    before its row: if the process dies in between, the next call finds the row and continues.
    """
    relations = " OR ".join(_relations(except_for=()))
    with connection.cursor() as cursor:
        # Locked, so that nothing begins to refer to them.
        cursor.execute(
            "SELECT id, name FROM telephony_audio WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
            [sorted(set(ids))],
        )
        locked = dict(cursor.fetchall())
        cursor.execute(
            f"""SELECT a.id, a.name, a.parts FROM telephony_audio a WHERE a.id = ANY(%(ids)s) AND NOT ({relations})
                   AND a.name NOT IN (SELECT unnest(b.parts) FROM telephony_audio b
                                       WHERE b.parts && %(names)s::varchar[])""",
            {"ids": list(locked), "names": list(locked.values())},
        )
        unused = cursor.fetchall()
        for _, name, _ in unused:
            for extension in EXTENSIONS:
                store.delete(name, extension)
        cursor.execute("DELETE FROM telephony_audio WHERE id = ANY(%s)", [[pk for pk, _, _ in unused]])
        # `prune` removes those that no needed recording contains.
        cursor.execute(
            "UPDATE telephony_audio SET used_at = 'epoch' WHERE name = ANY(%s)",
            [sorted({part for _, _, parts in unused for part in parts})],
        )
    return len(unused)


def _files_by_name() -> dict[str, list[str]]:
    """Return the paths of all recording files, by the name of the recording."""
    found: dict[str, list[str]] = {}
    for path, name in store.list_files():
        found.setdefault(name, []).append(path)
    return found


def _needed_sql() -> str:
    """Return the SQL condition under which row `a` of telephony_audio is needed. Parameters: cutoff and trials."""
    relations = _relations(except_for=(Delivery,))
    played = f"""EXISTS (SELECT FROM telephony_delivery d WHERE d.audio_id = a.id
                            AND (d.status < {int(FINAL)} OR d.ended_at > %(cutoff)s))"""
    asked_for = "a.used_at > CASE WHEN a.is_trial THEN %(trials)s ELSE %(cutoff)s END"
    return " OR ".join([asked_for, *relations, played])


def _relations(*, except_for: Sequence[type[Model]]) -> list[str]:
    """Return SQL conditions, each of which says that rows of another table refer to row `a` of telephony_audio."""
    return [
        f'EXISTS (SELECT FROM {field.related_model._meta.db_table} r WHERE r."{field.field.column}" = a.id)'
        for field in Audio._meta.get_fields(include_hidden=True)
        if isinstance(field, ManyToOneRel) and field.related_model not in except_for
    ]


def _unneeded_ids(cutoffs: Cutoffs) -> Iterator[list[int]]:
    """Yield the ids of unneeded recordings in chunks, joined recordings before their fragments."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH needed AS MATERIALIZED (SELECT a.name, a.parts FROM telephony_audio a WHERE {_needed_sql()}),
                     kept AS MATERIALIZED (SELECT name FROM needed UNION SELECT unnest(parts) FROM needed)
                SELECT a.id FROM telephony_audio a
                 WHERE NOT EXISTS (SELECT FROM kept WHERE kept.name = a.name)
                   AND (a.pruned_at IS NULL OR NOT EXISTS (SELECT FROM telephony_delivery d WHERE d.audio_id = a.id))
                 ORDER BY a.parts = '{{}}', a.id""",
            {"cutoff": cutoffs.recordings, "trials": cutoffs.trials},
        )
        ids = [row[0] for row in cursor.fetchall()]
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def _remove(
    ids: list[int], cutoffs: Cutoffs, files: dict[str, list[str]], result: PruneResult, *, dry_run: bool
) -> None:
    """Remove the files and rows of recordings, holding a lock on the rows.

    A concurrent request for one of them waits for the lock and then speaks the text again. A recording that was used
    after the query is kept.
    """
    with transaction.atomic():
        rows = list(
            Audio.objects.select_for_update(skip_locked=True)
            .filter(cutoffs.unused, pk__in=ids)
            .order_by("pk")
        )
        for row in rows:
            for path in files.pop(row.name, []):
                _remove_file(path, result, dry_run=dry_run)
            result.recordings += row.pruned_at is None
        if dry_run:
            return
        Audio.objects.filter(pk__in=[row.pk for row in rows], pruned_at=None).update(pruned_at=timezone.now())
        with connection.cursor() as cursor:
            # A row is kept as long as any call refers to it, even one that ended long ago.
            cursor.execute(
                """DELETE FROM telephony_audio a WHERE id = ANY(%s)
                      AND NOT EXISTS (SELECT FROM telephony_delivery d WHERE d.audio_id = a.id)""",
                [[row.pk for row in rows]],
            )


def _orphan_files(files: dict[str, list[str]]) -> Iterator[str]:
    """Yield the files that belong to no recording or were never finished, unless they are recent."""
    names = list(files)
    cutoff = timezone.now() - MIN_ORPHAN_AGE
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        known = set(Audio.objects.filter(name__in=chunk).values_list("name", flat=True))
        for name in chunk:
            for path in files[name]:
                is_orphan = name not in known or path.endswith(store.TEMPORARY_SUFFIX)
                if is_orphan and default_storage.get_modified_time(path) < cutoff:
                    yield path


def _remove_file(path: str, result: PruneResult, *, dry_run: bool) -> None:
    result.files += 1
    result.bytes += default_storage.size(path)
    if not dry_run:
        default_storage.delete(path)
