"""Signals that telephony sends. Telephony does not know their receivers."""

from django.dispatch import Signal

# Sent in the transaction that changed deliveries, with `changed`: a list of `lifecycle.Changed`. Receivers write their own
# rows in sets. A receiver may get any number of intermediate changes of a delivery, but gets its end exactly once.
deliveries_changed = Signal()

# Sent in the transaction that applies the reports, with `answered`: a list of `survey_responses.MatchedResponse`. The same
# response may come again with more keys, because each report on a call contains all keys that were pressed so far.
answers_given = Signal()
