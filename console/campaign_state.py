"""What the page of a campaign says about its present state, and which buttons work."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q

from accounts.permissions import Permission
from campaigns.models import LIVE, PENDING, Campaign, Run, RunStatus, SheetImport
from campaigns.reports.figures import Figures, Pace, figures_of, pace_of
from campaigns.reports.hearing import Hearing, latest_hearing
from campaigns.reports.last_import import last_import_of
from campaigns.reports.totals import credits_of
from campaigns.reports.why import Hold, Reason, Situation, reasons
from campaigns.runs import waves
from console import vocabulary
from console.visits import Visit
from console.vocabulary import Word
from iris.errors import NotFound

MAX_RUNS = 20
ENDED = (RunStatus.COMPLETED, RunStatus.TERMINATED)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One line of the figures: a word, how many recipients it is about, and their share in per cent of all."""

    key: str
    word: Word
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class State:
    campaign: Campaign
    run: Run | None  # the latest one, without trials and withdrawn ones
    word: Word
    figures: Figures
    outcomes: list[Outcome]
    pace: Pace | None
    reasons: list[Reason]  # why nothing moves
    failed_import: SheetImport | None  # the last sheet, if it could not be imported
    next_wave: int | None  # how many people the next wave has, if somebody can send it
    hearing: Hearing | None  # who has heard the last alert, if there was one
    spent: Decimal
    may: dict[str, bool]

    @property
    def polls(self) -> bool:
        """Whether the page keeps itself up to date: until nothing moves any more."""
        is_importing = any(one.code == Hold.IMPORT for one in self.reasons)
        return is_importing or (self.run is not None and self.run.status in LIVE)

    @property
    def heard(self) -> list[tuple[str, Word, int]]:
        """Who has heard the last alert, as `heard_counts` returns it."""
        return [] if self.hearing is None else heard_counts(self.hearing)

    @property
    def percent(self) -> int:
        """The share of the recipients whose attempts have ended, rounded down so that 100 means all."""
        return int(100 * self.figures.ended / self.figures.total) if self.figures.total else 0


def campaign_of(visit: Visit, campaign_id: int) -> Campaign:
    """Return a campaign of the account, with the status of its latest run. Raises NotFound."""
    if campaign_id >= 2**63:
        raise NotFound("This campaign does not exist, or belongs to another account.")
    found = (
        Campaign.objects.owned_by(visit.account)
        .with_status()
        .select_related("owner", "audio", "text_version__template")
    )
    campaign = found.filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound("This campaign does not exist, or belongs to another account.")
    return campaign


def state_of(visit: Visit, campaign: Campaign) -> State:
    """Return the state of a campaign. Its number of queries does not depend on the campaign's size."""
    run = latest_run(campaign)
    live = run if run is not None and run.status in LIVE else None
    figures = figures_of(campaign, live)
    next_wave = None if live is None else waves.next_size(live)
    can_send_wave = next_wave is not None and visit.may(Permission.SEND)
    return State(
        campaign=campaign,
        run=run,
        word=vocabulary.campaign_word(campaign, None if run is None else run.status),
        figures=figures,
        outcomes=outcomes_of(figures),
        pace=pace_of(live, figures) if live is not None and live.status == RunStatus.RUNNING else None,
        reasons=reasons(Situation(campaign, live=live)),
        failed_import=last_import_of(campaign).failed,
        next_wave=next_wave,
        hearing=latest_hearing(campaign),
        spent=credits_of(campaign),
        may=_possible(visit, campaign, run, figures) | {"next_wave": can_send_wave},
    )


def latest_run(campaign: Campaign) -> Run | None:
    """Return the latest run that is no trial and was not withdrawn."""
    runs = Run.objects.filter(campaign=campaign, trial=False).exclude(status=RunStatus.WITHDRAWN)
    return runs.select_related("hold").order_by("-pk").first()


def runs_of(campaign: Campaign) -> list[Run]:
    """Return the latest runs of a campaign for its history, with those that were rejected or not approved in time."""
    shown = Run.objects.filter(campaign=campaign, trial=False).exclude(
        Q(status=RunStatus.WITHDRAWN) & Q(not_started__in=("", "replaced"))
    )
    return list(shown.select_related("hold", "audio").order_by("-pk")[:MAX_RUNS])


def finished_runs(campaign: Campaign) -> list[Run]:
    """Return the latest runs of a campaign that contacted people, newest first."""
    contacted = Run.objects.filter(campaign=campaign, trial=False).exclude(
        status__in=[RunStatus.WITHDRAWN, *PENDING]
    )
    return list(contacted.order_by("-pk")[:MAX_RUNS])


def outcomes_of(figures: Figures) -> list[Outcome]:
    """Return the lines of the figures: those that have ended by outcome, those under way, and those that are left."""
    total = figures.total
    lines = [
        (status.name.lower(), vocabulary.RECIPIENT[status], figures.of(status))
        for status in vocabulary.OUTCOMES
    ]
    lines.append(("under_way", vocabulary.UNDER_WAY_WORD, figures.under_way))
    lines.append(("left", vocabulary.RECIPIENT[None], figures.left))
    return [
        Outcome(key=key, word=word, count=count, share=round(100 * count / total, 2))
        for key, word, count in lines
        if count
    ]


def heard_counts(hearing: Hearing) -> list[tuple[str, Word, int]]:
    """Return how many people of an alert are in each state: its key, its word, and the count."""
    return [
        (key, word, sum(hearing.counts[state] for state in states))
        for key, (states, word) in vocabulary.HEARING.items()
    ]


def _possible(visit: Visit, campaign: Campaign, run: Run | None, figures: Figures) -> dict[str, bool]:
    """Return which buttons would work for this person now."""
    status = None if run is None else run.status
    is_live = status in LIVE
    prepare, send = visit.may(Permission.PREPARE), visit.may(Permission.SEND)
    is_author = run is not None and visit.user.pk in run.authors
    return {
        "continue": prepare and run is None,
        "edit": prepare and not is_live,
        "begin": send and run is None and campaign.number_count > 0,
        "pause": prepare and status == RunStatus.RUNNING,
        "resume": send and status == RunStatus.PAUSED,
        "stop": prepare and is_live and status != RunStatus.STOPPING,
        "again": send and status in ENDED and figures.not_reached > 0,
        "approve": send and status == RunStatus.AWAITING and not is_author,
        "reject": send and status == RunStatus.AWAITING,
        "delete": prepare and not is_live,
    }
