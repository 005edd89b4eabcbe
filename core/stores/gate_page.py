"""Great Expectations' page of a validation as one file that needs no network.

As it is made, the page takes its styles, icons and scripts from seven addresses, and its index is drawn by them:
without a network the one is bare and the other empty.
"""

from __future__ import annotations

import re
from typing import Final

_SCRIPT: Final = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
_OUTSIDE: Final = re.compile(r"<(?:link|img)\b[^>]*>", re.DOTALL | re.IGNORECASE)
_STYLE: Final = re.compile(r"<style\b.*?</style\s*>", re.DOTALL | re.IGNORECASE)
_NAVIGATION: Final = re.compile(r"(<body[^>]*>).*?(?=<div class=\"container-fluid)", re.DOTALL)
_ACTIONS: Final = re.compile(
    r'<div class="card mb-3">\s*<div class="card-header p-2">\s*<strong>Actions</strong>.*?'
    r'(?=<div class="card d-md-block)',
    re.DOTALL,
)
_HANDLER: Final = re.compile(r'\s(?:onclick|onload|data-toggle|data-spy)="[^"]*"')
_FOOTER: Final = re.compile(r"<footer\b.*?</footer>", re.DOTALL)
_ELSEWHERE: Final = re.compile(r'<a\b[^>]*href="(?!#)[^"]*"[^>]*>')
_TITLE: Final = re.compile(r"<title>.*?</title>", re.DOTALL)

_CSS: Final = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f7f9; color: #1d2733;
  font: 15px/1.5 "Inter", system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; }
body > .container-fluid { max-width: 1240px; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1, h2, h3, h4, h5, h6 { margin: 0 0 .4rem; line-height: 1.3; font-size: 1.0625rem; }
h6 { margin: .8rem 0 0; font-size: .875rem; color: #52606d; }
a:not([href]) { color: inherit; }
h4 { font-size: 1.375rem; }
p { margin: 0 0 .5rem; }
a { color: #0072b2; text-decoration: none; }
ul { margin: .2rem 0; padding-left: 1.1rem; }
.ge-section { margin-bottom: 1rem; padding: 1rem; background: #fff; border: 1px solid #e4e8ec; border-radius: 12px; }
.alert { margin-bottom: .5rem; font-size: 1.0625rem; font-weight: 600; overflow-wrap: anywhere; }
.card { font-size: .875rem; }
.card ul { list-style: none; padding: 0; }
.card-header { color: #7b8794; }
.card .nav-link { display: block; padding: .1rem 0; color: #52606d; }
.table-responsive, .row > [class*="col"] { overflow-x: auto; min-width: 0; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; margin-bottom: .5rem; }
th, td { padding: .4rem .75rem .4rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e4e8ec; }
th { color: #7b8794; font-weight: 560; }
td * { max-height: none !important; max-width: none !important; }
.badge { display: inline-block; padding: 0 .4em; border-radius: 4px; background: #eef1f4; font-size: .8125rem; }
.fas { font-style: normal; font-weight: 700; }
.fa-check-circle::before { content: "\\2713"; }
.fa-times::before { content: "\\2717"; }
.fa-exclamation-triangle::before { content: "!"; }
.text-success { color: #00664a; }
.text-danger { color: #a33f00; }
.text-warning { color: #8a6100; }
.cooltip .top { display: none; }
@media (max-width: 899px) { .card { display: none; } }
@media (min-width: 900px) {
  body > .container-fluid > .row { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: 2rem; }
}
@media print { .card { display: none; } .ge-section { break-inside: avoid; } }
"""


def standalone(page: str, title: str) -> str:
    """The page without scripts and addresses it would load, in styles of its own.

    Args:
        page: HTML of a validation result.
        title: what the browser's tab says.
    """
    for pattern in (_SCRIPT, _OUTSIDE, _STYLE, _ACTIONS, _FOOTER):
        page = pattern.sub("", page)
    page = _ELSEWHERE.sub("<a>", _HANDLER.sub("", _NAVIGATION.sub(r"\1", page)))
    head = f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>{_CSS}</style>'
    return _TITLE.sub("", page).replace("</head>", f"{head}\n</head>", 1)
