"""The service with two more addresses, which show the tests the loaded modules and the routes of a worker."""

import sys
from datetime import datetime

from flask import Flask

from recommender.serving.app import create_app as create_service
from tests.support.newsroom import NOW


def create_app() -> Flask:
    """Return the service with the tests' clock, and its routes and modules under `/test/`."""

    def clock() -> datetime:
        return NOW

    app = create_service(clock=clock)
    app.add_url_rule("/test/modules", "modules", lambda: sorted(sys.modules))
    app.add_url_rule("/test/routes", "routes", lambda: [rule.rule for rule in app.url_map.iter_rules()])
    return app
