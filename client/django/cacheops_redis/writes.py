"""Writes of the ORM, seen where Django executes them: in the compilers of INSERT, UPDATE and DELETE.

Signals tell of some writes only: not of `update()`, not of what `add()`, `set()` and `clear()` of a related manager do,
not of the rows of a many-to-many relation. Every one of them passes through one of three compilers, which know the
table and, as far as the statement tells, the rows:

* an INSERT has them;
* an UPDATE concerns the rows that satisfy its condition, before and after. What the condition and the values do not
  tell of them is left out, and so stands for any value: no row is fetched;
* a DELETE the same, before.

`save()` and `delete()` name one row by its key, so its other fields would be unknown, and every save would invalidate
most of the table. There the old row is read, from the database; for `delete()` it is the one that the collector has
fetched. The old rows of an operation are kept while it lasts, and follow what its statements do to them.

A statement of raw SQL concerns each table of a model that its text names.

A statement that has been run is sent, also if an exception follows.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cacheops import invalidation as upstream
from cacheops.conf import settings
from cacheops.utils import family_has_profile
from django.apps import apps
from django.db import router
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import Field, Model, QuerySet
from django.db.models.constants import OnConflict
from django.db.models.deletion import Collector
from django.db.models.lookups import Exact, In
from django.db.models.sql import AND
from django.db.models.sql.compiler import SQLCompiler, SQLDeleteCompiler, SQLInsertCompiler, SQLUpdateCompiler
from django.db.models.sql.constants import NO_RESULTS
from django.db.models.sql.query import Query

from . import conditions, invalidation, statements, tables
from .conf import options

logger = logging.getLogger("cacheops_redis")

Image = dict  # attname -> prepared value, of what is known of a row
ANY_ROW: Image = {}
MAX_ROWS = 10_000  # of one statement, each with an image of its own; beyond, it concerns the table
UNKNOWN = object()

_insert = SQLInsertCompiler.execute_sql
_update = SQLUpdateCompiler.execute_sql
_update_returning = getattr(SQLUpdateCompiler, "execute_returning_sql", None)  # since Django 6.0


class _Thread(threading.local):
    def __init__(self) -> None:
        self.operations: list[_Operation] = []
        self.unseen = False
        self.compiled = False  # a compiler is executing, whose statement is no raw SQL


_thread = _Thread()


class _Operation:
    """A `save()` or `delete()` that is under way, and the old rows that it knows."""

    def __init__(self, using: str, saving: Model | None = None):
        self.using = using
        self.saving = saving
        self.rows: dict[tuple[type[Model], Any], Image | None] = {}

    def row(self, model: type[Model], key: Any) -> Image | None:
        if self.saving is not None and (model, key) not in self.rows:
            self._read(model, key)
        return self.rows.get((model, key))

    def _read(self, model: type[Model], key: Any) -> None:
        """The row of the instance that is saved, before its first UPDATE, with those of its parents."""
        instance, self.saving = self.saving, None
        child = instance._meta.concrete_model
        if not (issubclass(child, model) and family_has_profile(child)):
            return
        for row in read_rows(child, self.using, pk=instance.pk):
            self.remember(child, row)

    def remember(self, model: type[Model], row: Image) -> None:
        """A row, as one of the model's own table and of those of its parents."""
        for each in [model, *tables.concrete_parents(model)]:
            image = own_part(each, row)
            key = image.get(each._meta.pk.attname) if not _is_composite(each) else None
            if key is None:
                key = _composite_key(each, image)
            if key is not None:
                self.rows[each, key] = image


def install() -> None:
    SQLInsertCompiler.execute_sql = _compiling(insert)
    SQLUpdateCompiler.execute_sql = _compiling(update)
    SQLDeleteCompiler.execute_sql = _compiling(delete)
    if _update_returning is not None:
        SQLUpdateCompiler.execute_returning_sql = _compiling(update_returning)
    BaseDatabaseOperations.execute_sql_flush = flushing(BaseDatabaseOperations.execute_sql_flush)
    Model.save_base = saving(Model.save_base)
    Collector.collect = collecting(Collector.collect)
    Collector.delete = deleting(Collector.delete)


@contextmanager
def _compiled() -> Iterator[None]:
    before, _thread.compiled = _thread.compiled, True
    try:
        yield
    finally:
        _thread.compiled = before


@contextmanager
def raw(sql: Any, cursor: Any) -> Iterator[None]:
    """Around a statement that a cursor executes."""
    if _thread.compiled or not _is_seen_raw():
        yield
        return
    try:
        yield
    finally:
        models = statements.written(sql, cursor.db.vendor, cursor.cursor)
        if models:
            invalidation.invalidate_any_rows(models, cursor.db.alias)


def _is_seen_raw() -> bool:
    return (
        settings.CACHEOPS_ENABLED
        and options().SEE_UPDATES
        and not upstream.no_invalidation.active
        and not _thread.unseen
    )


@contextmanager
def unseen() -> Iterator[None]:
    """Statements inside are not sent: who calls knows more of their rows than they tell."""
    before, _thread.unseen = _thread.unseen, True
    try:
        yield
    finally:
        _thread.unseen = before


# The three statements


def _compiling(execute: Callable) -> Callable:
    @functools.wraps(execute)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _compiled():
            return execute(*args, **kwargs)

    return wrapper


def insert(self: SQLInsertCompiler, *args: Any, **kwargs: Any) -> Any:
    if not _is_seen(self.query, always=True):
        return _insert(self, *args, **kwargs)
    query, written = self.query, {}
    pre_save_val = self.pre_save_val

    def noting(field: Field, obj: Any) -> Any:
        value = pre_save_val(field, obj)
        written.setdefault(id(obj), {})[field] = value
        return value

    self.pre_save_val = noting
    result: Any = None
    with _sent(self, lambda: _inserted(query, written, getattr(self, "returning_fields", None), result)):
        result = _insert(self, *args, **kwargs)
    return result


def update(self: SQLUpdateCompiler, result_type: Any, *args: Any, **kwargs: Any) -> Any:
    if not self.query.values or not _is_seen(self.query, always=bool(_thread.operations)):
        return _update(self, result_type, *args, **kwargs)
    before = _before(self.query, _alias(self))
    with _sent(self, lambda: _updated(self.query, before), before):
        result = _update(self, result_type, *args, **kwargs)
        before.count = _count(result, result_type)
    return result


def update_returning(self: SQLUpdateCompiler, *args: Any, **kwargs: Any) -> Any:
    if not self.query.values or not _is_seen(self.query, always=bool(_thread.operations)):
        return _update_returning(self, *args, **kwargs)
    before = _before(self.query, _alias(self))
    with _sent(self, lambda: _updated(self.query, before), before):
        with unseen():  # it may call `execute_sql`
            rows = _update_returning(self, *args, **kwargs)
        before.count = len(rows) if hasattr(rows, "__len__") else None
    return rows


def delete(self: SQLDeleteCompiler, *args: Any, **kwargs: Any) -> Any:
    run = functools.partial(super(SQLDeleteCompiler, self).execute_sql, *args, **kwargs)
    if not _is_seen(self.query, always=True):
        return run()
    before = _before(self.query, _alias(self))
    with _sent(self, lambda: _deleted(self.query, before), before):
        result = run()
        before.count = _count(result, args[0] if args else kwargs.get("result_type"))
    return result


class _Before:
    """The rows that a statement concerns, as far as they are known before it runs."""

    def __init__(self, using: str, images: list[Image], keys: list[Any] | None = None):
        self.using = using
        self.images = images
        self.keys = keys
        self.count: int | None = None  # of the rows that it concerned in fact


@contextmanager
def _sent(compiler: SQLCompiler, images: Callable[[], list[Image]], before: _Before | None = None) -> Iterator[None]:
    model, using = compiler.query.get_meta().concrete_model, _alias(compiler)
    try:
        yield
    except BaseException:
        # It may have been run: an instrumentation of the application's may fail after it.
        try:
            _send(model, images(), using)
        except Exception:
            logger.exception("an invalidation of %s could not be sent, behind another failure", model._meta.label)
        raise
    if before is None or before.count != 0:
        found = images()
        _send(model, found or [ANY_ROW], using)


def _send(model: type[Model], images: list[Image], using: str) -> None:
    if model._meta.apps is not apps:
        images = [ANY_ROW]  # a model of a migration: its fields are those of another day
    if len(images) > MAX_ROWS or not all(images):
        images = [ANY_ROW]
    if images:
        invalidation.invalidate_rows(model, images, using=using)


def _is_seen(query: Query, always: bool) -> bool:
    if not settings.CACHEOPS_ENABLED or upstream.no_invalidation.active or _thread.unseen:
        return False
    if options().SEE_UPDATES:
        return True
    return always and has_profile(query.get_meta().concrete_model)


def has_profile(model: type[Model]) -> bool:
    return model._meta.apps is apps and family_has_profile(model)


def _alias(compiler: SQLCompiler) -> str:
    return compiler.using or compiler.connection.alias


def _count(result: Any, result_type: Any) -> int | None:
    if result_type == NO_RESULTS:
        return None
    return getattr(result, "rowcount", result) if result is not None else 0


def flushing(execute_sql_flush: Callable) -> Callable:
    """`manage.py flush`, and what ends each TransactionTestCase: all tables."""

    @functools.wraps(execute_sql_flush)
    def wrapper(self: BaseDatabaseOperations, *args: Any, **kwargs: Any) -> Any:
        try:
            return execute_sql_flush(self, *args, **kwargs)
        finally:
            if settings.CACHEOPS_ENABLED and not upstream.no_invalidation.active:
                invalidation.invalidate_tables(self.connection.alias)

    return wrapper


# What a statement tells of its rows


def _inserted(query: Query, written: dict, returning: Any, result: Any) -> list[Image]:
    returned = list(result or ())
    if not returning or len(returned) != len(query.objs):
        returned = [()] * len(query.objs)
    images = []
    for obj, row in zip(query.objs, returned):
        image = dict(_prepared(written.get(id(obj), {}).items()))
        for field, value in zip(returning or (), row):
            if field.attname not in image:
                image.update(_prepared([(field, value)]))
        images.append(image)
    if query.on_conflict == OnConflict.UPDATE:
        # A row that was there: known are the fields by which it was found.
        names = {getattr(field, "attname", field) for field in query.unique_fields}
        images = [{name: value for name, value in image.items() if name in names} for image in images]
    return images


def _updated(query: Query, before: _Before) -> list[Image]:
    assigned = {field.attname: UNKNOWN for field, _model, _value in query.values}
    assigned.update(_prepared((field, value) for field, _model, value in query.values))
    images = []
    for index, old in enumerate(before.images):
        new = {name: value for name, value in {**old, **assigned}.items() if value is not UNKNOWN}
        images += [old, new]
        if before.keys is not None:
            _follow(query, before, before.keys[index], new)
    return images


def _deleted(query: Query, before: _Before) -> list[Image]:
    for key in before.keys or ():
        _follow(query, before, key, None)
    return before.images


def _follow(query: Query, before: _Before, key: Any, row: Image | None) -> None:
    model = query.get_meta().concrete_model
    for operation in _thread.operations:
        if operation.using == before.using and operation.rows.get((model, key)) is not None:
            operation.rows[model, key] = row


def _prepared(values: Iterable[tuple[Field, Any]]) -> Iterator[tuple[str, Any]]:
    """The values that are known, as `get_prep_value` makes them."""
    for field, value in values:
        if field is None:
            continue
        prepared = prepared_value(field, value)
        if prepared is not UNKNOWN:
            yield field.attname, prepared


def prepared_value(field: Field, value: Any) -> Any:
    if getattr(field, "generated", False):
        return UNKNOWN
    try:
        if hasattr(value, "prepare_database_save"):
            value = value.prepare_database_save(field)
        if hasattr(value, "resolve_expression"):
            return UNKNOWN
        if value is None:
            return UNKNOWN if field.primary_key else None  # a key that the database gives
        return field.get_prep_value(value)
    except Exception:  # code of fields: whatever it does not like has no form that could be compared
        return UNKNOWN


def _before(query: Query, using: str) -> _Before:
    """The rows of the table that satisfy the condition."""
    try:
        model = query.get_meta().concrete_model
        keys = _keys(query, model)
        if keys is not None:
            rows = [_old_row(model, key, using) for key in keys]
            if len(keys) > 1 or any(row is not None for row in rows):
                images = [row or _key_image(model, key) for row, key in zip(rows, keys)]
                return _Before(using, images, keys)
        plain = QuerySet(query.model, query=query.chain(klass=Query), using=using)
        return _Before(using, list(conditions.dnfs(plain).get(model._meta.db_table, [])))
    except Exception:
        logger.exception("the condition of a statement on %s is not understood, it concerns the table", query.model)
        return _Before(using, [ANY_ROW])


def _old_row(model: type[Model], key: Any, using: str) -> Image | None:
    for operation in reversed(_thread.operations):
        if operation.using == using:
            row = operation.row(model, key)
            if row is not None:
                return row
    return None


def _keys(query: Query, model: type[Model]) -> list[Any] | None:
    """The primary keys of the rows, if the condition names them. It may name other things besides."""
    table = model._meta.db_table
    waiting = [query.where]
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if hasattr(node, "children"):
            if not node.negated and (node.connector == AND or len(node.children) == 1):
                waiting += node.children
            continue
        if not isinstance(node, (Exact, In)) or not type(node).__module__.startswith("django.db.models."):
            continue
        keys = [node.rhs] if isinstance(node, Exact) else node.rhs
        if _is_key(node.lhs, model, table) and isinstance(keys, (list, tuple, set)):
            keys = list(keys)
            if not any(hasattr(key, "resolve_expression") or key is None for key in keys):
                return _hashable(keys)
    return None


def _is_key(column: Any, model: type[Model], table: str) -> bool:
    if _is_composite(model):
        targets = getattr(column, "targets", ())
        return [field.attname for field in targets] == [field.attname for field in model._meta.pk_fields]
    return getattr(column, "target", None) is model._meta.pk and column.alias == table


def _hashable(keys: list[Any]) -> list[Any] | None:
    keys = [tuple(key) if isinstance(key, list) else key for key in keys]
    try:
        hash(tuple(keys))
    except TypeError:
        return None
    return keys


def _key_image(model: type[Model], key: Any) -> Image:
    if _is_composite(model):
        return {field.attname: value for field, value in zip(model._meta.pk_fields, key)}
    return {model._meta.pk.attname: key}


def _is_composite(model: type[Model]) -> bool:
    return getattr(model._meta, "is_composite_pk", False)


def _composite_key(model: type[Model], image: Image) -> tuple | None:
    if not _is_composite(model):
        return None
    names = [field.attname for field in model._meta.pk_fields]
    return tuple(image[name] for name in names) if all(name in image for name in names) else None


# Old rows


def own_part(model: type[Model], row: Image) -> Image:
    """What a row of a child holds of the table of this model."""
    names = {field.attname for field in model._meta.local_concrete_fields}
    image = {name: value for name, value in row.items() if name in names}
    pk = model._meta.pk
    if pk is not None and not _is_composite(model) and pk.attname in row:
        image[pk.attname] = row[pk.attname]
    return image


def read_rows(model: type[Model], using: str, **filters: Any) -> Iterator[Image]:
    """Rows of the database, without an instance of the model: that would run code of the application."""
    fields = [field for field in model._meta.concrete_fields if field in upstream.serializable_fields(model)]
    names = [field.attname for field in fields]
    try:
        rows = QuerySet(model, using=using).nocache().filter(**filters).order_by()
    except (TypeError, ValueError):
        return  # what is no key names no row
    for values in rows.values_list(*names):
        yield dict(_prepared(zip(fields, values)))


def saving(save_base: Callable) -> Callable:
    @functools.wraps(save_base)
    def wrapper(self: Model, *args: Any, **kwargs: Any) -> Any:
        using = kwargs.get("using") or (args[3] if len(args) > 3 else None)
        using = using or router.db_for_write(self.__class__, instance=self)
        operation = _Operation(using, self if not self._state.adding and self.pk is not None else None)
        with _under_way(operation), invalidation.together():
            return save_base(self, *args, **kwargs)

    return wrapper


def collecting(collect: Callable) -> Callable:
    """Notes which instances the application has given. What they hold may not be what the row holds."""

    @functools.wraps(collect)
    def wrapper(self: Collector, objs: Any, source: Any = None, *args: Any, **kwargs: Any) -> Any:
        given = self.__dict__.setdefault("_cacheops_given", set())
        read_here = isinstance(objs, QuerySet) and objs._result_cache is None
        if not read_here and not hasattr(objs, "_raw_delete") and (source is None or source in given):
            given.update(type(obj) for obj in objs)
        return collect(self, objs, source, *args, **kwargs)

    return wrapper


def deleting(delete: Callable) -> Callable:
    @functools.wraps(delete)
    def wrapper(self: Collector, *args: Any, **kwargs: Any) -> Any:
        operation = _Operation(self.using)
        if settings.CACHEOPS_ENABLED and not upstream.no_invalidation.active:
            for model, instances in self.data.items():
                if has_profile(model):
                    given = model in self.__dict__.get("_cacheops_given", ())
                    _remember_instances(operation, model, list(instances), given)
            for instances_list in self.field_updates.values():
                for instances in instances_list:
                    if not isinstance(instances, QuerySet) or instances._result_cache is not None:
                        for obj in instances:
                            operation.remember(obj._meta.concrete_model, invalidation.get_obj_dict(type(obj), obj))
        with _under_way(operation):
            return delete(self, *args, **kwargs)

    return wrapper


def _remember_instances(operation: _Operation, model: type[Model], instances: list[Model], given: bool) -> None:
    concrete = model._meta.concrete_model
    if not given:
        for obj in instances:
            operation.remember(concrete, invalidation.get_obj_dict(model, obj))
        return
    keys = [obj.pk for obj in instances if obj.pk is not None]
    for start in range(0, len(keys), 100):
        for row in read_rows(concrete, operation.using, pk__in=keys[start : start + 100]):
            operation.remember(concrete, row)


@contextmanager
def _under_way(operation: _Operation) -> Iterator[None]:
    _thread.operations.append(operation)
    try:
        yield
    finally:
        _thread.operations.remove(operation)
