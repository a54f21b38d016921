"""All ways in, by name."""

from .devices import DEVICES
from .files import FILES
from .users import USERS

TARGETS = DEVICES | FILES | USERS
