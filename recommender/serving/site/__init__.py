"""The demo news site and the widget script."""
