"""One file a flow: what runs after what, with which retries and limits. No domain code."""
