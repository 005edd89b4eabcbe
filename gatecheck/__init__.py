"""Error rates of the gate, measured on simulated markets whose truth is known."""
