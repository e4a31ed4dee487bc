"""How a page looks: one column, light or dark as the reader's system is, readable from a phone to paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """\
:root {
  --text: #1b1f24; --quiet: #57606a; --paper: #ffffff; --line: #d0d7de; --stripe: #f6f8fa; --link: #0550ae;
  --short: #fff4e5; --short-line: #b45f06;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3; --quiet: #9da7b3; --paper: #0d1117; --line: #3d444d; --stripe: #161b22; --link: #79b8ff;
    --short: #2d2008; --short-line: #e0a030;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2rem 0 0.5rem; }
a { color: var(--link); }
p, ul { margin: 0.5rem 0; max-width: 44rem; }
ul { padding-left: 1.25rem; }
nav { margin: 1rem 0; padding: 0.25rem 0; border-block: 1px solid var(--line); }
nav ul { columns: 2 16rem; list-style: none; padding: 0; }
nav a { display: inline-block; padding: 0.25rem 0; }
.short { background: var(--short); border-left: 4px solid var(--short-line); padding: 0.5rem 1rem; border-radius: 4px; }
.short h2 { margin: 0; font-size: 1rem; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.925rem; overflow-wrap: normal; }
th, td { padding: 0.35rem 0.75rem; border-bottom: 1px solid var(--line); text-align: start; vertical-align: top; }
td, tbody th { max-width: 28rem; overflow-wrap: break-word; }
thead th { border-bottom-width: 2px; vertical-align: bottom; }
tbody th { font-weight: 500; }
tbody tr:nth-child(even) { background: var(--stripe); }
.number { text-align: right; white-space: nowrap; }
.about { font-size: 0.9rem; }
.about td { overflow-wrap: anywhere; }
.note { color: var(--quiet); font-size: 0.9rem; }
figure { margin: 0.5rem 0; }
img { display: block; width: 100%; min-width: 34rem; max-width: 50rem; height: auto; border-radius: 4px; }
@media (prefers-color-scheme: dark) { img { padding: 0.5rem; background: #fff; } }
@media print { .scroll { overflow: visible; } img { min-width: 0; } section { break-inside: avoid; } }
"""
