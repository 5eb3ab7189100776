"""Parts for distributed systems that stand beside a program which stays as it is.

In:    files and flags that users write; what is observed of running processes.
Out:   the `alongside` command, and rooms that other Python may import.
Not:   the bytes of a request: those are the data plane's, in Rust.
Next:  ARCHITECTURE.md walks through the rooms; LEXICON.md has the words.
"""
