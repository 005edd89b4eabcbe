"""A model's report: what it was judged on, as a page and as a PDF (pure: frames in, text and bytes out)."""
