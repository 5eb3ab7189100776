"""Give every web page of ours one frame: style, tables, live updates, and a door that asks who.

In:    a title, and what stands in the page.
Out:   HTML whose styles and scripts come from `assets`; an application that lets in by a token.
Not:   what a page shows: that is its own server's.
Next:  `server/console.py`, the first page in it.
"""
