"""Say why a run has left out a recipient, or why it waits: a stable code, and a sentence for people."""

from __future__ import annotations

from typing import NamedTuple

from campaigns.models import LeftOut, Recipient, Run
from campaigns.runs import waves
from campaigns.runs.rules import rules_of
from telephony.models import DeliveryStatus


class Reason(NamedTuple):
    """`code` never changes."""

    code: str
    message: str


_SENTENCES = {
    LeftOut.DUPLICATE: "The same number comes earlier in this campaign, and each number is contacted once.",
    LeftOut.FREQUENCY_CAP: "This number has had as many contacts lately as the frequency cap of the campaign allows.",
}


def reason_of_recipient(recipient: Recipient) -> Reason | None:
    """Return why the latest run did not contact this recipient; None if no rule of reaching people is the reason."""
    if recipient.status != DeliveryStatus.TERMINATED or not recipient.left_out:
        return None
    left_out = LeftOut(recipient.left_out)
    return Reason(left_out.value, _SENTENCES[left_out])


def reason_of_run(run: Run) -> Reason | None:
    """Return why a run contacts no further recipients at the moment; None if its waves are not the reason.

    `campaigns.models.WAITS` is the same condition for a query.
    """
    rule = rules_of(run).waves
    if rule is None or not waves.is_waiting(run):
        return None
    if rule.success_percent is not None and run.waits_since is None:
        return Reason(
            "wave",
            f"The next wave begins when {rule.success_percent} % of wave {run.wave} were reached, or when somebody lets it"
            " begin.",
        )
    return Reason("wave", f"Wave {run.wave} is complete. The next one begins when somebody lets it begin.")
