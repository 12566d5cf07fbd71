"""Removing recordings that nobody needs any more, from the storage and from the database.

Needed is what was asked for within settings.IRIS_KEEP_AUDIO_DAYS, what a call that has not ended plays or one that
ended within those days played, what a campaign or run refers to, and every fragment of all these. What was spoken for
somebody who tried a voice (`trials`) counts as asked for during one day only. Speech that is pruned too early
costs nothing but speaking it again; an upload that a campaign refers to is never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import ManyToOneRel, Q
from django.utils import timezone

from telephony.models import FINAL, Audio, Delivery
from telephony.speech import store

CHUNK = 500
TRIAL_AGE = timedelta(days=1)
UNKNOWN_FILE_AGE = timedelta(days=1)  # a file is written before its row: a young one may just be on its way


@dataclass(slots=True)
class Pruned:
    """What was removed, or would have been."""

    recordings: int = 0
    files: int = 0
    bytes: int = 0


class Cutoffs(NamedTuple):
    """Since when something must have been asked for: recordings, and those for somebody who tried a voice."""

    recordings: datetime
    trials: datetime

    @property
    def unused(self) -> Q:
        """The condition under which nobody has asked for a recording since."""
        return Q(used_at__lte=self.recordings) | Q(is_trial=True, used_at__lte=self.trials)


def prune(*, dry_run: bool = False, days: int | None = None) -> Pruned:
    """Remove what nobody needs. May run at any time, beside everything else, and twice at once."""
    done = Pruned()
    now = timezone.now()
    cutoffs = Cutoffs(
        now - timedelta(days=settings.IRIS_KEEP_AUDIO_DAYS if days is None else days), now - TRIAL_AGE
    )
    files = _files()
    for chunk in _unneeded(cutoffs):
        _remove(chunk, cutoffs, files, done, dry_run=dry_run)
    for path in _strangers(files):
        _remove_file(path, done, dry_run=dry_run)
    return done


def _files() -> dict[str, list[str]]:
    """The paths of all files of recordings, by the recording's name."""
    found: dict[str, list[str]] = {}
    for path, name in store.stored():
        found.setdefault(name, []).append(path)
    return found


def _needed_sql() -> str:
    """The condition under which a row `a` of telephony_audio is needed, with %(cutoff)s and %(trials)s."""
    relations = [
        f'EXISTS (SELECT FROM {field.related_model._meta.db_table} r WHERE r."{field.field.column}" = a.id)'
        for field in Audio._meta.get_fields(include_hidden=True)
        if isinstance(field, ManyToOneRel) and field.related_model is not Delivery
    ]
    played = f"""EXISTS (SELECT FROM telephony_delivery d WHERE d.audio_id = a.id
                            AND (d.status < {int(FINAL)} OR d.ended_at > %(cutoff)s))"""
    asked_for = "a.used_at > CASE WHEN a.is_trial THEN %(trials)s ELSE %(cutoff)s END"
    return " OR ".join([asked_for, *relations, played])


def _unneeded(cutoffs: Cutoffs) -> Iterator[list[int]]:
    """The ids of recordings that nobody needs, in chunks; joined ones before the fragments that are theirs."""
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
    ids: list[int], cutoffs: Cutoffs, files: dict[str, list[str]], done: Pruned, *, dry_run: bool
) -> None:
    """Files and rows of recordings, under a lock on the rows: whoever asks for one meanwhile waits, and then speaks it
    anew. What has been asked for since it was found is left alone.
    """
    with transaction.atomic():
        rows = list(
            Audio.objects.select_for_update(skip_locked=True)
            .filter(cutoffs.unused, pk__in=ids)
            .order_by("pk")
        )
        for row in rows:
            for path in files.pop(row.name, []):
                _remove_file(path, done, dry_run=dry_run)
            done.recordings += row.pruned_at is None
        if dry_run:
            return
        Audio.objects.filter(pk__in=[row.pk for row in rows], pruned_at=None).update(pruned_at=timezone.now())
        with connection.cursor() as cursor:
            # A row stays while a call that has ended long ago refers to it.
            cursor.execute(
                """DELETE FROM telephony_audio a WHERE id = ANY(%s)
                      AND NOT EXISTS (SELECT FROM telephony_delivery d WHERE d.audio_id = a.id)""",
                [[row.pk for row in rows]],
            )


def _strangers(files: dict[str, list[str]]) -> Iterator[str]:
    """The files that belong to no recording, or were left unfinished, and were not written just now."""
    names = list(files)
    young = timezone.now() - UNKNOWN_FILE_AGE
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        known = set(Audio.objects.filter(name__in=chunk).values_list("name", flat=True))
        for name in chunk:
            for path in files[name]:
                strange = name not in known or path.endswith(store.UNFINISHED)
                if strange and default_storage.get_modified_time(path) < young:
                    yield path


def _remove_file(path: str, done: Pruned, *, dry_run: bool) -> None:
    done.files += 1
    done.bytes += default_storage.size(path)
    if not dry_run:
        default_storage.delete(path)
