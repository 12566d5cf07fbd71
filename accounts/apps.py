from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core import checks
from django.db.backends.signals import connection_created


class AccountsConfig(AppConfig):
    name = "accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import actors, audit
        from accounts.checks import check_mail, check_rates
        from accounts.people import registry

        registry.register("accounts.request_log.people")
        checks.register(check_rates)
        checks.register(check_mail, deploy=True)
        connection_created.connect(actors.tell_new_connection, dispatch_uid="accounts.tell_new_connection")
        # Django sends these for sign-ins with a browser. The APIs have logins of their own.
        user_logged_in.connect(audit.note_browser_sign_in, dispatch_uid="accounts.note_browser_sign_in")
        user_logged_out.connect(audit.note_browser_sign_out, dispatch_uid="accounts.note_browser_sign_out")
