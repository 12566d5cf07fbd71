"""Erase what the log of API requests may have about a person."""

from __future__ import annotations

from accounts.models import ApiRequest
from accounts.people.persons import Person
from accounts.people.registry import Holder


class RequestLogHolder(Holder):
    """The holder of logged requests. They have no phone numbers by which a person's entries could be found.

    So an erasure deletes all entries of the account. They are kept for a day only.
    """

    name = "request log"

    def finish(self, person: Person) -> dict[str, int]:
        deleted, _ = ApiRequest.objects.filter(account_id__in=person.owner_ids).delete()
        return {"api_requests": deleted}


HOLDER = RequestLogHolder()
EXPIRIES = ()  # `entries.prune` deletes the entries of yesterday
