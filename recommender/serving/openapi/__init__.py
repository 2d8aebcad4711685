"""The HTTP API as an OpenAPI 3.1 document, and a page that displays it."""
