"""One machine's whole stack: what `make run` installs, starts, follows and stops."""
