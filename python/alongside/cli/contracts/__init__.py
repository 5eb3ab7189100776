"""Hold the subcommands of `alongside contract`, one file each.

In:    the words after the subcommand's name; contracts by name or file.
Out:   text, JSON or Markdown on stdout; an exit code.
Not:   deciding anything: that is `alongside.contract`.
Next:  a new one is a file here and a line in `cli/contract.py`.
"""
