"""Read the files that users write into checked models, each part knowing its file and line.

In:    the text of YAML files: ShardedCache of each protocol, the useful part of Kubernetes' kinds.
Out:   `reading.Resources`, or every mistake at once as `file:line: kind/name: field: what, remedy`.
Not:   deciding what should run; looking at the machine; following what a file names.
Next:  alongside.plan turns resources into processes and documents.
"""
