"""Many rows at once, in one statement: what SQLAlchemy would spell out row by row."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from json import dumps
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql


@dataclass(frozen=True)
class Bulk:
    """Rows put into a table by its key, in the order of its columns.

    `conflict` is what happens where the key is there already, such as `n = counts.n + excluded.n`; without it
    the other columns are replaced.
    """

    table: Table
    conflict: str = ""

    def put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put the rows, each key at most once."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._one_by_one, rows)
        else:
            connection.exec_driver_sql(
                self._at_once, tuple(list(column) for column in zip(*rows, strict=True))
            )

    def find(self, connection: Connection, keys: Collection[Any]) -> Iterable[Sequence[Any]]:
        """Return the rows whose first column is one of the keys, each key at most once, in any order."""
        if not keys:
            return ()
        first = self._columns[0]
        if connection.dialect.name == "sqlite":
            sql = f"SELECT * FROM {self.table.name} WHERE {first} IN (SELECT value FROM json_each(?))"  # noqa: S608
            return connection.exec_driver_sql(sql, (dumps(list(keys)),)).fetchall()
        sql = f"SELECT * FROM {self.table.name} WHERE {first} = ANY(%s)"  # noqa: S608
        return connection.exec_driver_sql(sql, (list(keys),)).fetchall()

    @cached_property
    def _columns(self) -> list[str]:
        return [f'"{column.name}"' for column in self.table.columns]

    @cached_property
    def _one_by_one(self) -> str:
        places = ", ".join("?" * len(self._columns))
        return f"INSERT INTO {self.table.name} ({', '.join(self._columns)}) VALUES ({places}) {self._upsert}"  # noqa: S608

    @cached_property
    def _at_once(self) -> str:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        kinds = [column.type.compile(dialect=dialect).split(" ")[0] for column in self.table.columns]
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        return (
            f"INSERT INTO {self.table.name} ({', '.join(self._columns)}) "  # noqa: S608
            f"SELECT * FROM unnest({arrays}) {self._upsert}"
        )

    @cached_property
    def _upsert(self) -> str:
        keys = [f'"{column.name}"' for column in self.table.primary_key]
        replaced = ", ".join(f"{name} = excluded.{name}" for name in self._columns if name not in keys)
        return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {self.conflict or replaced}"
