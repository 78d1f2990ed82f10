"""What the tabs of the detail pane say: pure functions from facts to paragraphs; no widget and no waiting."""
