"""The holder of campaigns: lets requests about people export and erase what campaigns store about them."""

from __future__ import annotations

from datetime import datetime

from accounts.people.persons import Person
from accounts.people.registry import ErasedStep, ExportedStep, Holder
from campaigns.people import erasing, exporting, mentions
from campaigns.people.retention import EXPIRIES

__all__ = ["EXPIRIES", "HOLDER"]

_IMPORTING = "A sheet is being imported. Its recipients are read when that is done."
_MENTIONED = (
    "Calls or SMS to others that contain the number are under way. It is erased when they have ended."
)
_FILLING = "A running campaign prepares calls or SMS."


class CampaignsHolder(Holder):
    name = "campaigns"

    def incoming(self, person: Person, *, before: datetime) -> str:
        return _IMPORTING if erasing.importing(person, before=before) else ""

    def erase_next(self, person: Person, *, after: int) -> ErasedStep | None:
        return erasing.erase_next(person, after=after)

    def settle(self, person: Person) -> str:
        return "" if erasing.wait_for_fillers(person) else _FILLING

    def under_way(self, person: Person) -> str:
        return _MENTIONED if mentions.is_under_way(person) else ""

    def finish(self, person: Person) -> dict[str, int]:
        return {
            "mentions": mentions.erase_from_runs(person, mentions.latest_runs(person)),
            "campaign_texts": mentions.count_written(person),
        }

    def export_next(self, person: Person, *, after: int, most: int) -> ExportedStep | None:
        return exporting.export_next(person, after=after, most=most)


HOLDER = CampaignsHolder()
