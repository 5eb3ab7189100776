"""Start one process, find all of its family, look whether it can be used, and end it.

In:    words, environments, descriptors; what /proc says.
Out:   processes in sessions of their own; their groups; results of looks; bounded logs.
Not:   what should run, in which order, or again; any plan's caches.
Next:  `pods` runs containers with it, `local` the data plane.
"""
