"""The tables as SQLAlchemy sees them; the migrations in `sql/migrations` create them.

Ids from outside (`user_id`, `item_id`) are text, so that any data set fits; integers are written
canonically ("2000"). They are compared byte by byte (collation "C"): the same order on every server, and
faster to index than a language's order. Ids of our own are integers.

The two large tables are partitioned by sweep, so that pruning a sweep drops a file instead of deleting
millions of rows. Their link to `trials` is kept by the statement triggers of the first migration, not by a
foreign key: checking a key row by row made a COPY 2.4 times slower, checking it once a statement 1.2 times.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _id() -> Text:
    return Text(collation="C")


def _required(
    name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]], comment: str, *parts: SchemaItem
) -> Column[Any]:
    return Column(name, type_, *parts, nullable=False, comment=comment)


def _optional(name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]], comment: str) -> Column[Any]:
    return Column(name, type_, nullable=True, comment=comment)


def _identity(name: str, comment: str) -> Column[Any]:
    return Column(name, Integer, Identity(always=True), primary_key=True, comment=comment)


def _event(name: str, comment: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now(), comment=comment)


def _later(name: str, comment: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=True, comment=comment)


def _trial_key() -> Column[Any]:
    reference = ForeignKey("trials.trial_id", ondelete="CASCADE")
    return Column("trial_id", Integer, reference, nullable=False, comment="the trial it belongs to")


datasets = Table(
    "datasets",
    metadata,
    _identity("dataset_id", "key"),
    _required("name", Text, "name in the registry, such as ml-1m"),
    _required("fingerprint", Text, "32 hex digits of the SHA-256 over every array of the data"),
    _required("is_synthetic", Boolean, "true for generated ratings, which say nothing about real people"),
    _required("n_users", Integer, "users with at least one rating"),
    _required("n_items", Integer, "items of the catalogue, rated or not"),
    _required("n_ratings", BigInteger, "ratings, training and validation together"),
    _required("rating_min", Double, "smallest rating observed: lower end of the scale"),
    _required("rating_max", Double, "largest rating observed: upper end of the scale"),
    _event("prepared_at", "when it was first stored here"),
    UniqueConstraint("fingerprint"),
    CheckConstraint("rating_min <= rating_max", name="rating_scale"),
    CheckConstraint("n_users >= 0 and n_items >= 0 and n_ratings >= 0", name="counts"),
    comment="Data sets, each version of the ratings once, told apart by fingerprint.",
)

items = Table(
    "items",
    metadata,
    _required(
        "dataset_id",
        Integer,
        "the data set it belongs to",
        ForeignKey("datasets.dataset_id", ondelete="CASCADE"),
    ),
    _required("item_id", _id(), "id in the data, as text"),
    _required("item_index", Integer, "row from 0 in the order of ids: the order in which ties are broken"),
    _required("title", Text, "title, empty where unknown"),
    _required("genres", ARRAY(Text), "genres, empty for none"),
    _required("n_ratings", Integer, "ratings in the whole data set: how well supported a prediction is"),
    PrimaryKeyConstraint("dataset_id", "item_id"),
    UniqueConstraint("dataset_id", "item_index"),
    CheckConstraint("item_index >= 0", name="item_index"),
    CheckConstraint("n_ratings >= 0", name="n_ratings"),
    comment="The catalogue of each data set.",
)

sweeps = Table(
    "sweeps",
    metadata,
    _identity("sweep_id", "key; the newest sweep of a name, data set and protocol is the current one"),
    _required("name", Text, "name of the sweep file"),
    _required("dataset_id", Integer, "the data set of all its trials", ForeignKey("datasets.dataset_id")),
    _required("spec", JSONB, "the sweep file as read"),
    _required("spec_hash", Text, "16 hex digits of the SHA-256 of spec"),
    _required("protocol", JSONB, "what makes its trials comparable: split, k, candidates, thresholds"),
    _required("protocol_hash", Text, "16 hex digits of the SHA-256 of protocol"),
    _required("code_version", Text, "version of recsweep that created it"),
    _event("created_at", "when it was created"),
    Index(None, "name", "dataset_id", "protocol_hash"),
    Index(None, "dataset_id"),
    comment="Sweep files run over a data set.",
)

trials = Table(
    "trials",
    metadata,
    _identity("trial_id", "key"),
    _required(
        "sweep_id", Integer, "the sweep it belongs to", ForeignKey("sweeps.sweep_id", ondelete="CASCADE")
    ),
    _required("label", Text, "readable name, unique in the sweep, such as concatenate_50_64_32_1"),
    _required("config", JSONB, "the whole configuration in canonical form"),
    _required("config_hash", Text, "16 hex digits of the SHA-256 of config"),
    _required("is_baseline", Boolean, "true for a baseline that architectures have to beat"),
    _optional("merge", Text, "how the two embeddings combine; null for baselines"),
    _optional("embedding_size", Integer, "length of an embedding; null for baselines"),
    _optional("dense_layers", ARRAY(Integer), "sizes of the dense layers; null for baselines"),
    _optional("random_seed", BigInteger, "seed of initial weights and shuffles; null for baselines"),
    _required("status", Text, "queued, running, succeeded, failed or cancelled"),
    Column(
        "attempt", Integer, nullable=False, server_default="0", comment="latest attempt, 0 before the first"
    ),
    _required("max_attempts", Integer, "attempts that one queueing grants"),
    _required("attempts_allowed", Integer, "the last attempt that may start before the trial fails"),
    _later("lease_expires_at", "until when the running attempt holds the trial, by the clock of this server"),
    _optional("worker", Text, "worker of the latest attempt"),
    _optional("n_parameters", BigInteger, "trainable weights of the model"),
    _optional("best_epoch", Integer, "epoch whose weights were kept, from 1; null for baselines"),
    _optional("val_loss", Double, "Keras loss on the validation split at the best epoch; null for baselines"),
    _optional("val_rmse", Double, "RMSE of the served prediction on the validation split"),
    _optional("model_url", Text, "where the model file is; null for baselines"),
    _optional("log_url", Text, "where the log of the trial is"),
    _optional("error_reason", Text, "why it failed, in a word"),
    _optional("error_message", Text, "why it failed, for a person"),
    _event("queued_at", "when it was last queued"),
    _later("published_at", "when its message was last sent to the broker; null: not since it was queued"),
    _later("cancel_requested_at", "when a running trial was asked to stop"),
    _later("started_at", "when the latest attempt started"),
    _later("finished_at", "when it succeeded, failed or was cancelled"),
    _optional("train_seconds", Double, "time of training, all epochs"),
    _optional("peak_memory_bytes", BigInteger, "largest resident memory of the task process"),
    UniqueConstraint("sweep_id", "config_hash"),
    UniqueConstraint("sweep_id", "label"),
    CheckConstraint("status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
    CheckConstraint("attempt >= 0 and max_attempts >= 1 and attempts_allowed >= 1", name="attempts"),
    CheckConstraint("(status = 'running') = (lease_expires_at is not null)", name="running_has_lease"),
    CheckConstraint("status <> 'succeeded' or val_rmse is not null", name="succeeded_has_result"),
    CheckConstraint("(status = 'failed') = (error_reason is not null)", name="failed_has_reason"),
    CheckConstraint(
        "is_baseline = (num_nulls(merge, embedding_size, dense_layers, random_seed) = 4)"
        " and num_nulls(merge, embedding_size, dense_layers, random_seed) in (0, 4)",
        name="baseline_or_architecture",
    ),
    comment="One architecture with one training configuration and one random seed: one task of the queue.",
)

attempts = Table(
    "attempts",
    metadata,
    _trial_key(),
    _required("attempt", Integer, "counted from 1"),
    _required("worker", Text, "who ran it"),
    _required("code_version", Text, "version of recsweep that ran it"),
    _event("started_at", "when it was claimed"),
    _later("ended_at", "when its end was noticed; null while it runs"),
    _optional("end_reason", Text, "succeeded, released, cancelled, lost_worker or another reason of failure"),
    _optional("error_message", Text, "what went wrong, for a person"),
    _optional("peak_memory_bytes", BigInteger, "largest resident memory of the task process, where known"),
    PrimaryKeyConstraint("trial_id", "attempt"),
    CheckConstraint("attempt >= 1", name="attempt"),
    CheckConstraint("(ended_at is null) = (end_reason is null)", name="end_has_reason"),
    comment="Every execution of a trial and how it ended.",
)

epochs = Table(
    "epochs",
    metadata,
    _trial_key(),
    _required("epoch", Integer, "counted from 1"),
    _required("attempt", Integer, "the attempt that computed it"),
    _required("loss", Double, "Keras loss on the training ratings"),
    _required("val_loss", Double, "Keras loss on the validation split"),
    _required("val_rmse", Double, "RMSE of the served prediction on the validation split"),
    _required("seconds", Double, "duration"),
    _event("recorded_at", "when it was stored"),
    PrimaryKeyConstraint("trial_id", "epoch"),
    CheckConstraint("epoch >= 1", name="epoch"),
    comment="The history of each training, written as it goes and once more, whole, at its end.",
)

metrics = Table(
    "metrics",
    metadata,
    _trial_key(),
    _required("split", Text, "train, validation or test"),
    _required("name", Text, "rmse, mae, ndcg@20, …; formulas in worker/metrics.py"),
    _required("value", Double, "value"),
    PrimaryKeyConstraint("trial_id", "split", "name"),
    CheckConstraint("split in ('train', 'validation', 'test')", name="split"),
    comment="The measures of each succeeded trial.",
)

recommendations = Table(
    "recommendations",
    metadata,
    _required("sweep_id", Integer, "the sweep of the trial: partition key"),
    _required("trial_id", Integer, "the trial that made it; checked by trigger against trials"),
    _required("user_id", _id(), "id in the data, as text"),
    _required("rank", SmallInteger, "from 1, by score descending, then by item_index"),
    _required("item_id", _id(), "an item the user has not rated"),
    _required("score", REAL, "the model's prediction, not clipped to the scale"),
    PrimaryKeyConstraint("trial_id", "user_id", "rank", "sweep_id"),
    CheckConstraint("rank >= 1", name="rank"),
    CheckConstraint("score > '-infinity' and score < 'infinity'", name="score_is_finite"),
    comment="The top k of every user of every succeeded trial; one partition a sweep.",
    postgresql_partition_by="list (sweep_id)",
)

rating_predictions = Table(
    "rating_predictions",
    metadata,
    _required("sweep_id", Integer, "the sweep of the trial: partition key"),
    _required("trial_id", Integer, "the trial that predicted; checked by trigger against trials"),
    _required("user_id", _id(), "id in the data, as text"),
    _required("rank", SmallInteger, "from 1, by rating descending, then by item_index"),
    _required("item_id", _id(), "an item the user has rated"),
    _required("rating", REAL, "the user's rating"),
    _required("prediction", REAL, "the model's prediction, not clipped to the scale"),
    PrimaryKeyConstraint("trial_id", "user_id", "rank", "sweep_id"),
    CheckConstraint("rank >= 1", name="rank"),
    CheckConstraint("prediction > '-infinity' and prediction < 'infinity'", name="prediction_is_finite"),
    comment="The k top-rated items of every user with rating and prediction; one partition a sweep.",
    postgresql_partition_by="list (sweep_id)",
)

promotions = Table(
    "promotions",
    metadata,
    _identity("promotion_id", "key; the newest row of a data set is the one in force"),
    _required("dataset_id", Integer, "the data set it serves", ForeignKey("datasets.dataset_id")),
    Column(
        "trial_id",
        Integer,
        ForeignKey("trials.trial_id", ondelete="SET NULL"),
        nullable=True,
        comment="the trial that best_recommendations serves; null: the best of the latest sweep",
    ),
    Column(
        "fallback_id",
        Integer,
        ForeignKey("promotions.promotion_id"),
        nullable=True,
        comment="the promotion that a rollback of this one returns to; null: none before it",
    ),
    _event("promoted_at", "when it took force"),
    _required("note", Text, "why, in the words of who did it, with the name of the trial"),
    Index(None, "dataset_id"),
    comment="Which trial is served for each data set: history of promotions and rollbacks, one row each.",
)

installed_views = Table(
    "installed_views",
    metadata,
    _required("fingerprint", Text, "32 hex digits of the SHA-256 over the files of sql/views"),
    _event("installed_at", "when the views were made"),
    comment="One row: which version of sql/views the views of this database were made from.",
)
