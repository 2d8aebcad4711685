"""HTML pages and scripts for people: the demo site and the widget."""
