"""The backbone: find, fetch, convert, identify and freeze the one GPT that all tasks share."""

from promptbank.model.backbone.catalog import CATALOG, DEFAULT_BACKBONE
from promptbank.model.backbone.frozen import Backbone, freeze
from promptbank.model.backbone.identity import Identity, identify
from promptbank.model.backbone.loading import (
    BackboneInfo,
    list_backbones,
    load_backbone,
    local_folder,
    local_sizes,
    open_backbone,
    pull_backbone,
)

__all__ = [
    "CATALOG",
    "DEFAULT_BACKBONE",
    "Backbone",
    "BackboneInfo",
    "Identity",
    "freeze",
    "identify",
    "list_backbones",
    "load_backbone",
    "local_folder",
    "local_sizes",
    "open_backbone",
    "pull_backbone",
]
