"""One module per container task: read, call core, write."""
