"""The calls that tell of all calls: the document, and a page to read it."""

from flask import Flask, Response


class Docs:
    """The document of the contract."""

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/openapi.json", endpoint="openapi", view_func=self.openapi)

    def openapi(self) -> Response:
        """Answer the document, which is made when somebody asks for it first."""
        from recommender.serving.contract.document import document  # noqa: PLC0415 most workers never need it

        return Response(document(), content_type="application/json")
