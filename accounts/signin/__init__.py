"""Sign-in of people in the browser, with django-allauth: password, two-step sign-in, passkeys, recovery codes and sessions.

The pages call the same functions as the APIs, and the limits of the API's login apply to them (`accounts.login_limits`). The
admin pages have no login of their own.
"""
