"""The slot cache: keys and values of the sequences in flight, one preallocated row each.

Letters: S slots, G key/value heads, L positions, D head size, T tokens of a pass.
"""

from torch import Tensor


class SlotCache:
    """Per layer (S, G, L, D) keys and values; a token's place in its row is its position in the sequence.

    What lies behind a sequence's own length is left from older passes and sequences; masks keep it unseen.
    """

    def __init__(self, num_slots: int, length: int) -> None:
        """Room for sequences of up to ``length`` tokens; memory is taken when a layer is first written."""
        self.num_slots, self.length = num_slots, length
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    def write(self, layer: int, key: Tensor, value: Tensor, row: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Put (T, G, D) keys and values at (T,) rows and positions; returns the layer's whole store."""
        for store, new in ((self._keys, key), (self._values, value)):
            if layer not in store:
                # Zeros, because a hidden place has weight 0 and 0 times an uninitialised NaN would still be NaN.
                store[layer] = new.new_zeros(self.num_slots, new.shape[1], self.length, new.shape[2])
            store[layer][row, :, position] = new
        return self._keys[layer], self._values[layer]

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot ``target`` the first ``length`` positions of slot ``source``."""
        for store in (self._keys, self._values):
            for own in store.values():
                own[target, :, :length] = own[source, :, :length]
