"""What a task is: cards and templates, examples, splits, metrics. Knows neither torch nor the other rooms."""

from tasks.annotated import parse_annotation
from tasks.answers import ANSWER_FORMATS, AnswerFormat, check_answer
from tasks.builtin import DEFAULT_LANG, builtin_card, builtin_cards, pick_card, read_cards, sample_path, variant_names
from tasks.card import TaskCard, parse_card
from tasks.convert import Conversion, convert_fiqa
from tasks.converters import CONVERTERS
from tasks.errors import (
    CardError,
    DataError,
    Fault,
    SpecError,
    SplitError,
    TaskError,
    UnknownCardError,
    UnknownLabelError,
)
from tasks.examples import (
    Example,
    InputRecord,
    check_record,
    data_sha256,
    example_from,
    gather_examples,
    raise_faults,
    read_examples,
    read_jsonl,
)
from tasks.hub import dataset_parts, dataset_records
from tasks.metrics import ClassificationReport, LabelScore, classification_report, collapse_of, exact_match
from tasks.slot_metrics import IntentSlotReport, intent_slot_report
from tasks.slots import IntentSlots, Slot, is_identifier, locate, parse_intent_slots, render_intent_slots
from tasks.spec import TaskRef, is_lang, is_taskname, parse_spec
from tasks.splits import (
    DEV_SALT,
    FOLD_SALT,
    Split,
    check_parts,
    crossval_split,
    fold_of,
    fold_split,
    given_split,
    in_dev,
    label_shares,
    split_dev,
)
from tasks.template import Field, Segment, Text, VirtualBlock, scan_template

__all__ = [
    "ANSWER_FORMATS",
    "CONVERTERS",
    "DEFAULT_LANG",
    "DEV_SALT",
    "FOLD_SALT",
    "AnswerFormat",
    "CardError",
    "ClassificationReport",
    "Conversion",
    "DataError",
    "Example",
    "Fault",
    "Field",
    "InputRecord",
    "IntentSlotReport",
    "IntentSlots",
    "LabelScore",
    "Segment",
    "Slot",
    "SpecError",
    "Split",
    "SplitError",
    "TaskCard",
    "TaskError",
    "TaskRef",
    "Text",
    "UnknownCardError",
    "UnknownLabelError",
    "VirtualBlock",
    "builtin_card",
    "builtin_cards",
    "check_answer",
    "check_parts",
    "check_record",
    "classification_report",
    "collapse_of",
    "convert_fiqa",
    "crossval_split",
    "data_sha256",
    "dataset_parts",
    "dataset_records",
    "exact_match",
    "example_from",
    "fold_of",
    "fold_split",
    "gather_examples",
    "given_split",
    "in_dev",
    "intent_slot_report",
    "is_identifier",
    "is_lang",
    "is_taskname",
    "label_shares",
    "locate",
    "parse_annotation",
    "parse_card",
    "parse_intent_slots",
    "parse_spec",
    "pick_card",
    "raise_faults",
    "read_cards",
    "read_examples",
    "read_jsonl",
    "render_intent_slots",
    "sample_path",
    "scan_template",
    "split_dev",
    "variant_names",
]
