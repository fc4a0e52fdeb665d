"""Where dropout acts in a model, and how to make it act while the model predicts.

Claim    Inside `sampling`, the sites that are named multiply by the masks that they are given,
         and nothing else is random. *Every* site can be named, including the one on attention
         probabilities, which a fused kernel never computes. Afterwards the model is as found.
Proof    tests/active/test_mc_dropout.py
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from minift.bert.dropout import Dropout
from minift.bert.encoder import Attention, encoder_of
from minift.bert.names import part_of
from minift.errors import MiniftError


@dataclass(frozen=True)
class Site:
    """A place where dropout acts."""

    name: str  # the module's name in the model
    number: int  # its place among all sites; it selects the site's masks
    depth: int  # 0 for the embeddings, 1 for the lowest layer, ..., layers + 1 for the head
    dropout: Dropout
    attention: Attention | None  # whose probabilities it thins


def dropout_sites(model: nn.Module) -> list[Site]:
    """List the dropout sites of a model; MiniftError if one is torch's, whose masks are its own."""
    modules = dict(model.named_modules())
    found: list[Site] = []
    for name, module in modules.items():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            raise MiniftError(
                f"{name} is torch.nn.{type(module).__name__}, whose masks cannot be tied to a "
                "text; use minift.bert.dropout.Dropout there"
            )
        if isinstance(module, Dropout):
            parent = modules[name.rpartition(".")[0]]
            attention = parent if isinstance(parent, Attention) else None
            part = part_of(name)
            head = 0 if part == "embeddings" else len(encoder_of(model).layers) + 1
            depth = part + 1 if isinstance(part, int) else head
            found.append(Site(name, len(found), depth, module, attention))
    return found


@contextlib.contextmanager
def sampling(
    model: nn.Module, sites: Iterable[Site], draw: Callable[[Site, Tensor], Tensor]
) -> Iterator[None]:
    """Let `sites` multiply by the masks that `draw` gives them, and nothing else be random.

    `draw` is (site, values) -> mask in the shape of the values. Inside, the model is in evaluation
    mode, except for attentions that sample; afterwards all modes are as before.
    """
    modes = [(module, module.training) for module in model.modules()]
    hooks = []
    try:
        model.eval()
        for site in sites:
            if site.attention is not None:
                site.attention.training = True  # so that it computes its probabilities
            thin = partial(lambda site, _, __, values: values * draw(site, values), site)
            hooks.append(site.dropout.register_forward_hook(thin))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
