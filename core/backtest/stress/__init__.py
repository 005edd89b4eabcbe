"""The chosen positions under five kinds of trouble, and how much of each the edge survives (SPEC BT-3)."""
