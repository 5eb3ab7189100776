"""Hold what every other room stands on: errors, units, time, logs, files.

In:    nothing of ours; the standard library alone.
Out:   small values and functions; each file can be read by itself.
Not:   any knowledge of components, documents or networks; anything slow to import.
Next:  every room imports these modules; ARCHITECTURE.md shows the order of the rooms.
"""
