"""Many rows at once, in one statement that SQLAlchemy would spell out anew for each number of rows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from json import dumps
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql


@dataclass(frozen=True)
class Bulk:
    """Rows of a table, put and found by its key; a row holds all columns but a running number.

    `conflict` says what becomes of a row whose key is there already, such as `n = counts.n + excluded.n`;
    without it the row replaces that one.
    """

    table: Table
    conflict: str = ""

    def put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put the rows, each key at most once."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._row_by_row, rows)
        else:
            connection.exec_driver_sql(
                self._at_once, tuple(list(column) for column in zip(*rows, strict=True))
            )

    def find(self, connection: Connection, keys: Collection[Any]) -> Iterable[Sequence[Any]]:
        """Return the rows whose first column is one of the keys, in any order."""
        if not keys:
            return ()
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(self._among_json, (dumps(list(keys)),)).fetchall()
        return connection.exec_driver_sql(self._among_array, (list(keys),)).fetchall()

    @cached_property
    def _columns(self) -> list[Column[Any]]:
        running = self.table.autoincrement_column
        return [column for column in self.table.columns if column is not running]

    @cached_property
    def _names(self) -> list[str]:
        return [f'"{column.name}"' for column in self._columns]

    @cached_property
    def _insert(self) -> str:
        return f"INTO {self.table.name} ({', '.join(self._names)})"

    @cached_property
    def _row_by_row(self) -> str:
        values = f"VALUES ({', '.join('?' * len(self._names))})"
        if not self.conflict:
            return f"INSERT OR REPLACE {self._insert} {values}"
        return f"INSERT {self._insert} {values} {self._on_conflict(self.conflict)}"

    @cached_property
    def _at_once(self) -> str:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        kinds = (column.type.compile(dialect=dialect).split()[0] for column in self._columns)
        arrays = f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in kinds)})"  # noqa: S608 our own names
        replaced = [f"{name} = excluded.{name}" for name in self._names]
        if self.table.autoincrement_column is not None:
            replaced.append(f"{self.table.autoincrement_column.name} = DEFAULT")
        return f"INSERT {self._insert} {arrays} {self._on_conflict(self.conflict or ', '.join(replaced))}"

    def _on_conflict(self, conflict: str) -> str:
        key = [column for column in self._columns if column.primary_key or column.unique]
        return f"ON CONFLICT ({', '.join(column.name for column in key)}) DO UPDATE SET {conflict}"

    @cached_property
    def _among_json(self) -> str:
        return f"{self._found} IN (SELECT value FROM json_each(?))"  # noqa: S608 likewise

    @cached_property
    def _among_array(self) -> str:
        return f"{self._found} = ANY(%s)"

    @cached_property
    def _found(self) -> str:
        return f"SELECT {', '.join(self._names)} FROM {self.table.name} WHERE {self._names[0]}"  # noqa: S608 likewise
