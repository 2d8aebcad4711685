"""The command group `import`."""

import click

from recommender.commands.sites import feed, wordpress
from recommender.commands.views import views

importing = click.Group(
    "import", commands=[feed, views, wordpress], help="Import articles and view counts from other systems."
)
