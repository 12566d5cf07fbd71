"""The fixtures of the console's tests: an account with one of everything, made once for each file."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from tests.browser import axe, chromium, look, open_page, page, playwright
from tests.console.world import World, client_for, make_world

__all__ = ["axe", "chromium", "look", "open_page", "page", "playwright"]


@pytest.fixture(scope="module")
def _world_of_file(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Make the world in a transaction around those of the tests, and roll it back after the last one."""
    around = transaction.atomic()
    with django_db_blocker.unblock():
        around.__enter__()
        world = make_world()
    yield world
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


@pytest.fixture
def world(_world_of_file: World, db: None) -> World:
    return copy.deepcopy(_world_of_file)


@pytest.fixture(autouse=True)
def _log_api_requests(settings: Settings) -> None:
    """The world has every page of the console."""
    settings.IRIS_REQUEST_LOG = True


@pytest.fixture
def client(world: World) -> Client:
    """Return a browser in which the owner of the account has signed in."""
    return client_for(world.owner)
