"""What ``voluptuous`` is inside Home Assistant: its own engine under the old name."""

from probatio import *
