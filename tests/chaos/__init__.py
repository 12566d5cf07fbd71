"""`make chaos`: run campaigns while parts of iris and of its surroundings fail (docs/reliability.md).

`kills` has the oldest scenario: calls with retries while processes are killed, and the drills. All other scenarios send SMS
through a phone network outside of iris (`far_end`), which counts what arrives. `scenarios` lists them.
"""
