from django.apps import AppConfig
from django.core import checks


class AccountsConfig(AppConfig):
    name = "accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.checks import check_mail, check_rates

        checks.register(check_rates)
        checks.register(check_mail, deploy=True)
