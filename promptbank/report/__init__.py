"""Reports: tables, figures and words as a Markdown file and as one self-contained page."""
