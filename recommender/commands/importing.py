"""What other programs hold, brought in."""

import click

from recommender.commands.sites import feed, wordpress
from recommender.commands.views import views

importing = click.Group(
    "import", commands=[feed, views, wordpress], help="Bring in what other programs hold."
)
