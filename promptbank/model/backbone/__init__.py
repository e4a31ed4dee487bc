"""The backbone: loading, converting, freezing and identifying the one GPT that all tasks share."""

from promptbank.errors import (
    BackboneError,
    BackboneStorageError,
    FetchError,
    HubUnreachableError,
    UnknownBackboneError,
    UnusableBackboneError,
)
from promptbank.model.backbone.catalog import CATALOG, DEFAULT_BACKBONE, BuiltIn
from promptbank.model.backbone.frozen import Backbone, freeze
from promptbank.model.backbone.identity import Identity, identify
from promptbank.model.backbone.loading import (
    BackboneInfo,
    PulledBackbone,
    list_backbones,
    load_backbone,
    local_folder,
    open_backbone,
    pull_backbone,
)

__all__ = [
    "CATALOG",
    "DEFAULT_BACKBONE",
    "Backbone",
    "BackboneError",
    "BackboneInfo",
    "BackboneStorageError",
    "BuiltIn",
    "FetchError",
    "HubUnreachableError",
    "Identity",
    "PulledBackbone",
    "UnknownBackboneError",
    "UnusableBackboneError",
    "freeze",
    "identify",
    "list_backbones",
    "load_backbone",
    "local_folder",
    "open_backbone",
    "pull_backbone",
]
