"""Measurements of stored rows: kept beside the rows, never in them, and never changed."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import insert, select

from store.database import Repository, insert_one
from store.errors import LISTED, UnknownRowError
from store.records import Evaluation, NewEvaluation
from store.schema import evaluation, prompt_row
from store.sealing import LARGEST, json_faults, refuse, text_faults


class EvaluationRepository(Repository):
    """Add and read evaluations."""

    def add(self, row_id: int, new: NewEvaluation) -> Evaluation:
        """Store one measurement of a row.

        Raises:
            UnknownRowError: there is no row with this id.
            InvalidRecordError: a field is no JSON or cannot be stored.
        """
        texts = {"data_sha256": new.data_sha256, "split": new.split, "dtype": new.dtype}
        documents = {"metrics_json": new.metrics_json, "details_json": new.details_json}
        refuse("the evaluation", [*text_faults(texts, required=True), *json_faults(documents)])
        values = asdict(new) | {"row_id": row_id, "created_at": datetime.now(UTC)}
        with self._database.write(f"evaluation {row_id}") as connection:
            exists = select(prompt_row.c.row_id).where(prompt_row.c.row_id == row_id)
            if not 1 <= row_id <= LARGEST or connection.execute(exists).first() is None:
                raise UnknownRowError(f"there is no row with id {row_id} to evaluate", cli=LISTED)
            key = insert_one(connection, insert(evaluation).values(**values))
        return Evaluation(**values, evaluation_id=key)

    def of(self, row_id: int) -> list[Evaluation]:
        """Return a row's measurements, oldest first; empty when there are none."""
        if not 1 <= row_id <= LARGEST:
            return []
        wanted = select(evaluation).where(evaluation.c.row_id == row_id).order_by(evaluation.c.evaluation_id)
        with self._database.read() as connection:
            return [Evaluation(**row) for row in connection.execute(wanted).mappings()]
