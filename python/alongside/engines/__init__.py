"""Make plans true: one room for each way to run what a plan names.

In:    the processes of a plan, one by one.
Out:   running processes, what is seen of them, and their logs.
Not:   deciding what should run or in which order; that is alongside.plan.
Next:  alongside.server calls an engine until plan and observation agree.
"""
