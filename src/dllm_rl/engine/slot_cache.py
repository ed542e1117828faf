"""The slot cache: keys and values of the sequences in flight, one row each.

Letters: S slots, G key/value heads, L positions, D head size, T tokens of a pass.
"""

import torch
from torch import Tensor


class SlotCache:
    """Per layer (S + 1, G, L, D) keys and values; a token's place in its row is its position in the sequence.

    What lies behind a sequence's own length is left from older passes and sequences; masks keep it unseen. The row behind
    the last slot takes what padded passes write for nobody.
    """

    def __init__(self, device: torch.device) -> None:
        """Nothing is kept; memory is taken when a layer is first written."""
        self.num_slots, self.length = 0, 0
        self.generation = 0
        """Changes whenever the tensors are replaced by others."""
        self._device = device
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    def resize(self, num_slots: int, length: int) -> None:
        """Take room for ``num_slots`` sequences of ``length`` tokens; what fits of the present content is kept."""
        kept = slice(min(num_slots, self.num_slots)), slice(None), slice(min(length, self.length))
        for store in (self._keys, self._values):
            for layer, old in store.items():
                store[layer] = old.new_zeros(num_slots + 1, old.shape[1], length, old.shape[3], device=self._device)
                store[layer][kept] = old[kept].to(self._device)
        self.num_slots, self.length, self.generation = num_slots, length, self.generation + 1

    def clear(self) -> None:
        """Give all memory back."""
        self._keys, self._values = {}, {}
        self.num_slots, self.length, self.generation = 0, 0, self.generation + 1

    def store_away(self, num_slots: int, length: int) -> None:
        """Keep the first ``length`` positions of the first ``num_slots`` rows in the host's memory, and nothing else."""
        self.resize(num_slots, length)
        for store in (self._keys, self._values):
            for layer, own in store.items():
                store[layer] = own.cpu()

    def bring_back(self) -> None:
        """Undo ``store_away``."""
        for store in (self._keys, self._values):
            for layer, own in store.items():
                store[layer] = own.to(self._device)
        self.generation += 1

    @property
    def num_bytes(self) -> int:
        """Memory of the tensors on the device."""
        stores = [*self._keys.values(), *self._values.values()]
        return sum(own.numel() * own.element_size() for own in stores if own.device.type == self._device.type)

    def write(self, layer: int, key: Tensor, value: Tensor, row: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Put (T, G, D) keys and values at (T,) rows and positions; returns the layer's whole store."""
        for store, new in ((self._keys, key), (self._values, value)):
            if layer not in store:
                # Zeros, because a hidden place has weight 0 and 0 times an uninitialised NaN would still be NaN.
                store[layer] = new.new_zeros(self.num_slots + 1, new.shape[1], self.length, new.shape[2])
            store[layer][row, :, position] = new
        return self._keys[layer], self._values[layer]

    def copy(self, source: int, target: int, length: int) -> None:
        """Give slot ``target`` the first ``length`` positions of slot ``source``."""
        for store in (self._keys, self._values):
            for own in store.values():
                own[target, :, :length] = own[source, :, :length]

    def swap(self, one: int, two: int, length: int) -> None:
        """Exchange the first ``length`` positions of two slots."""
        for store in (self._keys, self._values):
            for own in store.values():
                own[[one, two], :, :length] = own[[two, one], :, :length]
