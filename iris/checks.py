"""System checks. Django runs them before every command, so iris reports a wrong setting at startup.

iris.E001: a carrier cannot be used.
iris.E002: a carrier's CPS or CHANNELS is not a positive number.
iris.E003: the routes cannot be used.
iris.E004: a voice cannot be used.
iris.E005: a trunk needs approved senders, but its carrier takes none.
iris.W001: the secret key is weak.
iris.W002: the engine of a voice is not installed, so another engine speaks for it.
iris.W003: a phone number or a sender does not fit the trunks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import ProgrammingError, connection

CHANNELS = ("call", "sms")
SECRET_KEY_LENGTH = 50
SECRET_KEY_LETTERS = 5


@register()
def carriers_can_be_used(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    from telephony.carriers import get_carrier

    problems: list[CheckMessage] = []
    for alias, config in settings.CARRIERS.items():
        try:
            get_carrier(alias)
        except Exception as error:  # the backend's own code runs here: report any exception to the operator
            problems.append(
                Error(
                    f"The carrier {alias!r} cannot be used: {error}",
                    hint="Correct its BACKEND and OPTIONS in the file that IRIS_CARRIERS_FILE names.",
                    id="iris.E001",
                )
            )
        problems += _pace_problems(alias, config)
    return problems


@register()
def trunks_that_need_senders_take_them(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    from telephony.senders.choosing import takes_senders

    problems: list[CheckMessage] = []
    for alias, config in settings.CARRIERS.items():
        needs = config.get("NEEDS_SENDER", False)
        if not isinstance(needs, bool):
            problem, hint = f"has NEEDS_SENDER = {needs!r}.", "Write true or false, without quotes."
        elif needs and alias == settings.TWIN_TRUNK:
            problem, hint = "needs senders, but it is the trunk of test twins.", "Remove NEEDS_SENDER."
        elif needs and not _is_usable(takes_senders, alias):
            problem, hint = "needs senders, but its carrier takes none.", "Remove NEEDS_SENDER."
        else:
            continue
        problems.append(Error(f"The carrier {alias!r} {problem}", hint=hint, id="iris.E005"))
    return problems


def _is_usable(takes_senders: Callable[[str], bool], alias: str) -> bool:
    try:
        return takes_senders(alias)
    except Exception:  # `carriers_can_be_used` reports it
        return True


def _pace_problems(alias: str, config: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name, kinds in {"CPS": (int, float), "CHANNELS": (int,)}.items():
        value = config.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or value <= 0):
            yield Error(
                f"The carrier {alias!r} has {name} = {value!r}.",
                hint=f"{name} is a number above 0, or is omitted if the carrier has no limit.",
                id="iris.E002",
            )


@register()
def routes_lead_to_carriers(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"ROUTES: {problem}",
            hint="Correct [routes] in the file that IRIS_CARRIERS_FILE names.",
            id="iris.E003",
        )
        for problem in _route_problems(settings.ROUTES)
    ]


def _route_problems(routes: Mapping[str, Any]) -> Iterator[str]:
    for channel in CHANNELS:
        if channel not in routes:
            yield f"{channel} is missing; write [] if there is no {channel}."
    for channel, choices in routes.items():
        if channel not in CHANNELS:
            yield f"{channel!r} is not a channel; the channels are {' and '.join(CHANNELS)}."
        elif not isinstance(choices, list):
            yield f"{channel} must be a list."
        else:
            for choice in choices:
                yield from _choice_problems(channel, choice)


def _choice_problems(channel: str, choice: object) -> Iterator[str]:
    if isinstance(choice, str):
        trunks: Sequence[object] = [choice]
    elif (
        isinstance(choice, dict)
        and set(choice) == {"prefix", "trunks"}
        and isinstance(choice["prefix"], str)
        and isinstance(choice["trunks"], list)
        and choice["trunks"]
    ):
        trunks = choice["trunks"]
        prefix = choice["prefix"]
        if not (prefix.startswith("+") and prefix[1:].isdecimal()):
            yield f"{channel} has the prefix {prefix!r}; it must be + and digits, such as +97798."
    else:
        yield f'{channel} has {choice!r}; it must be an alias or {{ prefix = "+97798", trunks = ["alias"] }}.'
        return
    for alias in trunks:
        if alias == settings.TWIN_TRUNK:
            yield f"{channel} names the carrier {alias!r}, which takes only the deliveries of test twins."
        elif alias not in settings.CARRIERS:
            yield f"{channel} names the carrier {alias!r}, which is not configured."


@register()
def voices_speak(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    from telephony import speech

    return [
        Error(fault, hint="Correct the file that IRIS_VOICES_FILE names.", id="iris.E004")
        for fault in speech.setting_errors()
    ]


@register()
def voices_have_their_engines(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    from telephony import speech

    return [
        Warning(sentence, hint="docs/voices.md says where models come from.", id="iris.W002")
        for sentence in speech.setting_warnings()
    ]


@register(Tags.database)
def voices_of_the_catalogue_speak(
    app_configs: object, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check the voices in the database, in `manage.py check`. Other commands check no database."""
    from telephony.models import Voice
    from telephony.speech import voices

    if not databases or Voice._meta.db_table not in connection.introspection.table_names():
        return []  # `migrate` runs the checks before the table exists
    hint = "Correct the voice in the admin pages."
    try:
        return [
            *(Error(fault, hint=hint, id="iris.E004") for fault in voices.database_errors()),
            *(Warning(sentence, hint=hint, id="iris.W002") for sentence in voices.database_warnings()),
        ]
    except ProgrammingError:  # the table lacks columns that `migrate` will add
        return []


@register(Tags.database)
def inventory_fits_the_trunks(
    app_configs: object, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Compare phone numbers and senders with the trunks, in `manage.py check`. Other commands check no database."""
    from telephony.inventory import consistency
    from telephony.models import Sender

    if not databases or Sender._meta.db_table not in connection.introspection.table_names():
        return []  # `migrate` runs the checks before the tables have all columns
    hint = "Correct it in the admin pages, or in the file that IRIS_CARRIERS_FILE names."
    try:
        return [Warning(sentence, hint=hint, id="iris.W003") for sentence in consistency.sentences()]
    except ProgrammingError:  # the tables lack columns that `migrate` will add
        return []


@register(Tags.security)
def secret_key_is_strong(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    key = settings.SECRET_KEY
    if len(key) >= SECRET_KEY_LENGTH and len(set(key)) >= SECRET_KEY_LETTERS:
        return []
    return [
        Warning(
            "IRIS_SECRET_KEY is easy to guess: anyone who guesses it can log in to any account.",
            hint="Generate one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
            id="iris.W001",
        )
    ]
