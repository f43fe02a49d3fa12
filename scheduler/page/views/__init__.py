"""The views of the page, in the order in which the navigation and a report show them."""

from collections.abc import Mapping

from scheduler.page.view import View
from scheduler.page.views import data, item, sweep, sweeps, trial, user

VIEWS: Mapping[str, View] = {
    view.name: view for view in (sweeps.VIEW, sweep.VIEW, trial.VIEW, user.VIEW, item.VIEW, data.VIEW)
}
