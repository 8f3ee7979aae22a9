"""The messages of many events as columns.

Here: looking up message keys once per message instead of once per event.
"""

from functools import cached_property

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.columns import texts
from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Column, Ints
from klaviyo_assets.sandbox.fivetran.shop.messages import Message, Messages


class MessageColumns:
    """One row per event; null if the event has no message."""

    def __init__(self, messages: Messages, keys: Ints) -> None:
        unique, inverse = np.unique(keys, return_inverse=True)
        self._messages: list[Message | None] = [messages.message(int(k)) if k >= 0 else None for k in unique]
        self._rows = pa.array(inverse)

    def __getattr__(self, name: str) -> Column:
        """Any attribute of `Message`, as a column of texts."""
        return texts([None if m is None else getattr(m, name) for m in self._messages]).take(self._rows)

    @cached_property
    def is_flow(self) -> Bools:
        """Whether a flow sent it."""
        by_message = np.array([message is not None and message.flow_id is not None for message in self._messages])
        return np.asarray(by_message[self._rows.to_numpy()], dtype=np.bool_)

    @cached_property
    def flow_message_id(self) -> Column:
        """The message's id where a flow sent it."""
        ids = [m.message_id if m is not None and m.flow_id is not None else None for m in self._messages]
        return texts(ids).take(self._rows)
