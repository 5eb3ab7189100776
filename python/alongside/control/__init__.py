"""Decide over time what happens to what already runs: now restarts, one after the other.

In:    what was decided so far; what is observed; the time.
Out:   the next state and the actions to begin now. Pure: no process, socket or clock.
Not:   which processes should exist (plan); carrying an action out (engines).
Next:  alongside.server takes the steps; tests/unit/control simulates them under seeds.
"""
