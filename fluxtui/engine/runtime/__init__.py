"""controller-runtime in miniature: queue, controller, reconciliation, outcomes, conditions, events, leases, artifacts.

Knows no kind of object in particular.
"""
