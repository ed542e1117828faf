"""A tokenizer made here: 256 bytes and a few special tokens, for tiny models trained from scratch."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT, TURN_START, TURN_END, MASK = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|MASK|>"


def byte_tokenizer(special_tokens: Sequence[str] = (END_OF_TEXT, TURN_START, TURN_END, MASK)
                   ) -> PreTrainedTokenizerFast:
    """A lossless byte-level tokenizer: ids 0..255 are bytes, then the special tokens in order.

    Example:
        >>> tokenizer = byte_tokenizer()
        >>> tokenizer.decode(tokenizer("é+1")["input_ids"])
        'é+1'
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: number for number, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special_tokens))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT,
                                   mask_token=MASK, clean_up_tokenization_spaces=False)
