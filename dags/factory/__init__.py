"""What the flow files are wired from: settings, command lines, and the operator that runs a task."""
