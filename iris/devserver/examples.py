"""Give the demo account of a sandbox something to look at: campaigns in several states, a saved list and templates.

The campaigns are begun by the verbs that the APIs call, and the sandbox's own worker carries them out. So figures,
recordings and credits agree by themselves. Nothing happens if the demo account has ever had a campaign.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import Account
from campaigns import runs, services, text_templates
from campaigns.models import Answer, Campaign, Service, StepKind
from campaigns.recipients import editing, lists
from campaigns.surveys.steps import StepPlan, set_steps
from iris.devserver.seed import DEMO_EMAIL

NAMES = (
    "सीता श्रेष्ठ",
    "राम थापा",
    "माया गुरुङ",
    "हरि अधिकारी",
    "गीता तामाङ",
    "विष्णु के.सी.",
    "सरिता राई",
    "कमल मगर",
)
VOICE = "np_rija"
# The last four digits of these numbers decide what becomes of a call (`telephony.carriers.sandbox`).
BUSY, NO_ANSWER, HANGS_UP, INVALID = "984{:03}9901", "985{:03}9902", "980{:03}9903", "986{:03}9904"


def add_examples() -> bool:
    """Add the campaigns. Return whether the demo account had none."""
    account = Account.objects.get(members__user__email=DEMO_EMAIL, members__is_owner=True)
    if Campaign.objects.filter(owner=account).exists():
        return False
    _water(account)
    _survey(account)
    _vaccination(account)
    _draft(account)
    _list_and_templates(account)
    return True


def _water(account: Account) -> None:
    """Calls with every outcome, which end within seconds."""
    campaign = _create(
        account,
        "खानेपानी: भोलि पानी आउँदैन",
        Service.CALL,
        "नमस्कार {name}। मर्मतका कारण भोलि बिहान ६ बजेदेखि साँझ ५ बजेसम्म वडा {ward} मा खानेपानी आउने छैन। "
        "असुविधाका लागि क्षमा चाहन्छौं।",
    )
    numbers = [f"98410{place:05}" for place in range(1, 39)]
    for place in range(1, 5):
        numbers += [pattern.format(place) for pattern in (BUSY, NO_ANSWER, HANGS_UP)]
    numbers += [INVALID.format(1), INVALID.format(2)]
    _add(campaign, numbers)
    runs.begin(campaign=campaign)


def _survey(account: Account) -> None:
    """A survey. The digits of each number are the keys that its owner presses."""
    campaign = services.create_campaign(
        account=account, name="सरसफाइ सेवाको सर्वेक्षण", service=Service.SURVEY, voice=VOICE
    ).campaign
    steps = [
        ("नमस्कार। वडा कार्यालयबाट सरसफाइ सेवाका बारेमा दुई प्रश्न सोध्दै छौं।", Answer.NONE, ""),
        ("के तपाईंको टोलमा फोहोर नियमित उठ्छ? उठ्छ भने १, उठ्दैन भने २ थिच्नुहोस्।", Answer.KEYS, "फोहोर उठ्छ"),
        ("सेवा कस्तो लाग्यो? राम्रो भए १, ठीकै भए २, नराम्रो भए ३ थिच्नुहोस्।", Answer.KEYS, "सेवा"),
    ]
    set_steps(
        campaign=campaign,
        steps=[
            StepPlan(order=place, kind=StepKind.SAY, text=text, answer=answer, input_name=name)
            for place, (text, answer, name) in enumerate(steps, start=1)
        ],
    )
    # The first step takes the last digit, which answers nothing, the next steps those before it.
    answers = [(1 if place % 4 else 2, (1, 1, 2, 1, 3, 2)[place % 6]) for place in range(24)]
    _add(campaign, [f"98510{place:02}{second}{first}0" for place, (first, second) in enumerate(answers)])
    runs.begin(campaign=campaign)


def _vaccination(account: Account) -> None:
    """Text messages that go out in a week, at ten o'clock."""
    campaign = _create(
        account,
        "खोप कार्यक्रमको सम्झना",
        Service.SMS,
        "{name} ज्यू, तपाईंको बच्चाको खोप लगाउने दिन आयो। बिहान १० बजे स्वास्थ्य चौकीमा ल्याउनुहोस्।",
    )
    _add(campaign, [f"98030{place:05}" for place in range(1, 25)])
    day = timezone.localdate() + timedelta(days=7)
    at = timezone.make_aware(datetime(day.year, day.month, day.day, 10))
    runs.begin(campaign=campaign, starts_at=at)


def _draft(account: Account) -> None:
    _create(account, "विद्यालय: अभिभावक भेला", Service.BOTH, "नमस्कार {name}, शनिबार अभिभावक भेला छ।", draft=True)


def _list_and_templates(account: Account) -> None:
    """A saved list and two templates with two versions each. A second draft uses the list and one of the templates."""
    numbers = [f"98420{place:05}" for place in range(1, 33)]
    parents = lists.create_list(
        account=account,
        name="अभिभावक, कक्षा ५",
        description="विद्यालय व्यवस्थापन समितिले हरेक वैशाखमा मिलाउँछ।",
        rows=_rows(numbers),
    ).contact_list
    water = text_templates.create_template(
        account=account,
        name="खानेपानी बन्द",
        message="नमस्कार {name}, भोलि पानी आउँदैन।",
        voice=VOICE,
    )
    text_templates.update_template(
        template=water,
        message="नमस्कार {name}। भोलि बिहान ६ बजेदेखि वडा {ward} मा पानी आउने छैन। असुविधाका लागि क्षमा चाहन्छौं।",
    )
    meeting = text_templates.create_template(
        account=account,
        name="अभिभावक भेला",
        message="नमस्कार {name} ज्यू, शनिबार दिउँसो १ बजे विद्यालयमा अभिभावक भेला छ। कृपया आइदिनुहोला।",
        sms_message="{name} ज्यू, शनिबार १ बजे विद्यालयमा अभिभावक भेला छ।",
        voice=VOICE,
    )
    text_templates.update_template(
        template=meeting, sms_message="{name} ज्यू, शनिबार १ बजे अभिभावक भेला छ। कृपया आइदिनुहोला।"
    )
    draft = _create(account, "अभिभावक भेला, कक्षा ५", Service.BOTH, "", draft=True)
    lists.add_list(campaign=draft, contact_list=parents)
    text_templates.use_template(campaign=draft, version=text_templates.find_version(meeting))


def _create(account: Account, name: str, service: Service, message: str, *, draft: bool = False) -> Campaign:
    return services.create_campaign(
        account=account, name=name, service=service, message=message, voice=VOICE, draft=draft
    ).campaign


def _add(campaign: Campaign, numbers: list[str]) -> None:
    editing.add_recipients(campaign=campaign, rows=_rows(numbers))


def _rows(numbers: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the numbers with names and wards."""
    return [
        (number, {"tags_name": NAMES[place % len(NAMES)], "tags_ward": 1 + place % 9})
        for place, number in enumerate(numbers)
    ]
