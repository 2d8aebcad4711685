"""The service with two more addresses, which tell the tests what a worker has loaded and routes to."""

import sys
from datetime import datetime

from flask import Flask

from recommender.serving.app import create_app as create_service
from tests.support.newsroom import NOW


def create_app() -> Flask:
    """Return the service at the tests' moment, with its routes and its modules under `/test/`."""

    def clock() -> datetime:
        return NOW

    app = create_service(clock=clock)
    app.add_url_rule("/test/modules", "modules", lambda: sorted(sys.modules))
    app.add_url_rule("/test/routes", "routes", lambda: [rule.rule for rule in app.url_map.iter_rules()])
    return app
