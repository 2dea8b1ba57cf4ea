"""The viewer: one page over a run, from a file, a server or a notebook."""
