"""Records: labelled texts as neutral data, the marks around their spans, and what must survive letter by letter."""
