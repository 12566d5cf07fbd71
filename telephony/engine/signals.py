"""What telephony announces. It does not know who listens."""

from django.dispatch import Signal

# Sent inside the transaction that changed them, with `changed`: a list of `lifecycle.Changed`. A receiver writes
# its own rows in sets, and may be told of a delivery's every step, but of its end exactly once.
deliveries_changed = Signal()

# Sent inside the transaction that records them, with `answered`: a list of `answers.Answered`. The same answer may come
# again, and longer: each report on a call has all keys that were pressed so far.
answers_given = Signal()
