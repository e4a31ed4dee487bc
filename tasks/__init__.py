"""What a task is: cards and templates, examples, splits, metrics. Knows neither torch nor the other rooms."""

from tasks.answers import ANSWER_FORMATS, FORMAT_SCORES, check_answer
from tasks.builtin import DEFAULT_LANG, builtin_card, builtin_cards, pick_card, read_cards, sample_path, variant_names
from tasks.card import TaskCard, parse_card
from tasks.converters import CONVERTERS, Conversion
from tasks.data import (
    FILE_ENDINGS,
    parse_columns,
    read_data,
    read_file,
    read_parts,
    records_by_task,
    rename_columns,
    tasks_named,
    without_records,
)
from tasks.dataset_report import DatasetReport, check_labels, is_blank, report_on
from tasks.draft import CardDraft, draft_card
from tasks.equivalence import canonical
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
from tasks.examples import Example, data_sha256, example_from, gather_examples, read_examples
from tasks.metrics import calibration_error, classification_report, collapse_of, exact_match, reliability
from tasks.reading import open_records, read_records
from tasks.records import InputRecord, check_record, parse_json, raise_faults, read_jsonl, value_of
from tasks.slot_metrics import intent_slot_report
from tasks.slots import IntentSlots, Slot, locate, parse_intent_slots, render_intent_slots
from tasks.spec import TaskRef, is_lang, parse_spec
from tasks.splits import (
    BY_HASH,
    DEV_SALT,
    FOLD_RULES,
    FOLD_SALT,
    Split,
    SplitRules,
    crossval_split,
    divided,
    fold_of,
    fold_split,
    given_dev,
    given_split,
    label_shares,
    split_dev,
)
from tasks.strata import label_of
from tasks.template import Field, Text, VirtualBlock, scan_template
from tasks.wording import counted

__all__ = [
    "ANSWER_FORMATS",
    "BY_HASH",
    "CONVERTERS",
    "DEFAULT_LANG",
    "DEV_SALT",
    "FILE_ENDINGS",
    "FOLD_RULES",
    "FOLD_SALT",
    "FORMAT_SCORES",
    "CardDraft",
    "CardError",
    "Conversion",
    "DataError",
    "DatasetReport",
    "Example",
    "Fault",
    "Field",
    "InputRecord",
    "IntentSlots",
    "Slot",
    "SpecError",
    "Split",
    "SplitError",
    "SplitRules",
    "TaskCard",
    "TaskError",
    "TaskRef",
    "Text",
    "UnknownCardError",
    "UnknownLabelError",
    "VirtualBlock",
    "builtin_card",
    "builtin_cards",
    "calibration_error",
    "canonical",
    "check_answer",
    "check_labels",
    "check_record",
    "classification_report",
    "collapse_of",
    "counted",
    "crossval_split",
    "data_sha256",
    "divided",
    "draft_card",
    "exact_match",
    "example_from",
    "fold_of",
    "fold_split",
    "gather_examples",
    "given_dev",
    "given_split",
    "intent_slot_report",
    "is_blank",
    "is_lang",
    "label_of",
    "label_shares",
    "locate",
    "open_records",
    "parse_card",
    "parse_columns",
    "parse_intent_slots",
    "parse_json",
    "parse_spec",
    "pick_card",
    "raise_faults",
    "read_cards",
    "read_data",
    "read_examples",
    "read_file",
    "read_jsonl",
    "read_parts",
    "read_records",
    "records_by_task",
    "reliability",
    "rename_columns",
    "render_intent_slots",
    "report_on",
    "sample_path",
    "scan_template",
    "split_dev",
    "tasks_named",
    "value_of",
    "variant_names",
    "without_records",
]
