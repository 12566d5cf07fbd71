"""What is held for a call covers what it costs, whatever the values of its tags, and not much more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from accounts.ledger import check_ledger
from campaigns import runs, services
from campaigns.models import Campaign, Run, Service
from campaigns.surveys import steps
from telephony.models import Delivery, DeliveryStatus
from telephony.pricing import call_credits
from tests.campaigns.surveys.surveying import asks
from tests.engine import run_to_the_end
from tests.factories import make_sheet, make_user

pytestmark = pytest.mark.django_db

LATIN_DIGITS = str.maketrans("०१२३४५६७८९", "0123456789")


@pytest.fixture(autouse=True)
def _media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IRIS_SANDBOX_SPEED = 10_000


def make(values: Mapping[str, Sequence[object]], *, service: Service = Service.CALL) -> Campaign:
    """Create a campaign with a recipient for each row of values."""
    rows = [(9_841_000_010 + 10 * n, *row) for n, row in enumerate(zip(*values.values(), strict=True))]
    campaign, errors, _ = services.create_campaign(
        owner=make_user(credits=100_000),
        name="Balances",
        service=service,
        sheet=make_sheet(("number", *values), *rows),
    )
    assert not errors
    return campaign


def finish(run: Run) -> list[Delivery]:
    """Run to the end; return the deliveries. Each was heard completely and paid at the documented price."""
    run_to_the_end()
    made = list(Delivery.objects.filter(batch=run.pk).select_related("audio").order_by("item"))
    for delivery in made:
        assert delivery.status == DeliveryStatus.COMPLETED
        assert delivery.audio is not None
        assert delivery.credits == call_credits(delivery.audio.seconds) <= run.call_limit
    assert check_ledger().differences == ()
    return made


# Each was held and paid for one pulse, but lasts longer.
BALANCE = (
    "नमस्कार, यो तपाईंको सहकारीबाट गरिएको कल हो। कृपया यो सूचना अन्तिमसम्म सुन्नुहोस्। "
    + "{name} जी, तपाईंको बाँकी रकम {amount} छ। " * 5
    + "कृपया चाँडै कार्यालयमा आएर रकम बुझाउनुहोला। थप जानकारीको लागि हाम्रो शाखा कार्यालयमा सम्पर्क गर्नुहोला। धन्यवाद।"
)
TOLD_APART = {
    "name": ["राम बहादुर", "सीता"],
    "amount": ["हिसाब मिलेको छैन, कार्यालयमा आउनुहोस्", "रु. 77,77,77,777.77"],
}


@pytest.mark.parametrize("whole", [0, 200])
@pytest.mark.parametrize(
    ("message", "values"),
    [
        (BALANCE, TOLD_APART),
        ("रकम {v} " * 16, {"v": ["....................", "७७,७७,७७,७७७", "९९,९९,९९,९९९"]}),
    ],
)
def test_a_call_that_a_longer_looking_value_hides_is_held_and_paid(
    message: str, values: Mapping[str, Sequence[object]], whole: int, settings: Any
) -> None:
    settings.IRIS_WHOLE_SENTENCES = whole
    run = runs.begin(campaign=make(values), message=message)

    made = finish(run)

    assert max(delivery.credits for delivery in made) >= 4


@pytest.mark.parametrize("whole", [0, 200])
def test_a_survey_that_a_longer_looking_value_hides_is_held_and_paid(whole: int, settings: Any) -> None:
    settings.IRIS_WHOLE_SENTENCES = whole
    campaign = make({"a": ["10,00,000", "9,77,777"]}, service=Service.SURVEY)
    text = "पहिलो {a}, दोस्रो {a}, तेस्रो {a}, चौथो {a}, पाँचौँ {a}"
    steps.set_steps(campaign=campaign, steps=[asks(order, text) for order in range(3)])

    made = finish(runs.begin(campaign=campaign))

    assert max(delivery.credits for delivery in made) == 4
