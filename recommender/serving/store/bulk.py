"""Bulk statements written by hand: SQLAlchemy would compile a new statement for each number of rows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from json import dumps
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql


@dataclass(frozen=True)
class Bulk:
    """Upserts and lookups of many rows of a table. A row has a value for each column except a serial number.

    `conflict` is the update for a row whose key exists, such as `n = counts.n + excluded.n`. Without it, the
    new row replaces the old one.
    """

    table: Table
    conflict: str = ""

    def put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert or update the rows; each key occurs at most once."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._sqlite_upsert, rows)
        else:
            connection.exec_driver_sql(
                self._postgresql_upsert, tuple(list(column) for column in zip(*rows, strict=True))
            )

    def find(self, connection: Connection, keys: Collection[Any]) -> Iterable[Sequence[Any]]:
        """Return the rows whose first column contains one of the keys, in any order."""
        if not keys:
            return ()
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(self._sqlite_lookup, (dumps(list(keys)),)).fetchall()
        return connection.exec_driver_sql(self._postgresql_lookup, (list(keys),)).fetchall()

    @cached_property
    def _columns(self) -> list[Column[Any]]:
        serial = self.table.autoincrement_column
        return [column for column in self.table.columns if column is not serial]

    @cached_property
    def _names(self) -> list[str]:
        return [f'"{column.name}"' for column in self._columns]

    @cached_property
    def _into(self) -> str:
        return f"INTO {self.table.name} ({', '.join(self._names)})"

    @cached_property
    def _sqlite_upsert(self) -> str:
        values = f"VALUES ({', '.join('?' * len(self._names))})"
        if not self.conflict:
            return f"INSERT OR REPLACE {self._into} {values}"
        return f"INSERT {self._into} {values} {self._on_conflict(self.conflict)}"

    @cached_property
    def _postgresql_upsert(self) -> str:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        kinds = (column.type.compile(dialect=dialect).split()[0] for column in self._columns)
        arrays = f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in kinds)})"  # noqa: S608 these are our own names
        replaced = [f"{name} = excluded.{name}" for name in self._names]
        if self.table.autoincrement_column is not None:
            replaced.append(f"{self.table.autoincrement_column.name} = DEFAULT")
        return f"INSERT {self._into} {arrays} {self._on_conflict(self.conflict or ', '.join(replaced))}"

    def _on_conflict(self, conflict: str) -> str:
        key = [column for column in self._columns if column.primary_key or column.unique]
        return f"ON CONFLICT ({', '.join(column.name for column in key)}) DO UPDATE SET {conflict}"

    @cached_property
    def _sqlite_lookup(self) -> str:
        return f"{self._select} IN (SELECT value FROM json_each(?))"  # noqa: S608 as above

    @cached_property
    def _postgresql_lookup(self) -> str:
        return f"{self._select} = ANY(%s)"

    @cached_property
    def _select(self) -> str:
        return f"SELECT {', '.join(self._names)} FROM {self.table.name} WHERE {self._names[0]}"  # noqa: S608 as above
