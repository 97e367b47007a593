"""What takes the place of the signal handlers of `cacheops.query`: the old and the new image of a saved object."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from cacheops import invalidation as upstream
from cacheops import query as upstream_query
from cacheops.conf import model_profile, settings
from cacheops.transaction import transaction_states
from django.db import connections
from django.db.models import CASCADE, DO_NOTHING, PROTECT, RESTRICT, SET_DEFAULT, SET_NULL, ManyToOneRel, Model
from django.db.models.query import MAX_GET_RESULTS

from . import fills, server, wire
from .conf import options
from .failure import degrades
from .invalidation import get_obj_dict, skip_on_no_invalidation, together


@skip_on_no_invalidation
def pre_save(manager: Any, sender: type[Model], instance: Model, using: str, **kwargs) -> None:
    """Keeps the old image until the save is over."""
    saving = upstream_query._old_objs.__dict__
    saving.pop((sender, "token", id(instance)), None)
    if _cached_field(instance, using):
        saving[sender, "token", id(instance)] = _take_token()
    saving.pop((sender, instance.pk), None)
    if instance.pk is None or instance._state.adding:
        return
    # Not the default manager, which may hide rows, and not what `local_get` has: that is never invalidated.
    rows = sender._base_manager.using(using)
    profile = model_profile(sender)
    if profile and profile["local_get"]:
        rows = rows.nocache()
    with contextlib.suppress(sender.DoesNotExist):
        saving[sender, instance.pk] = rows.get(pk=instance.pk)


def post_save(manager: Any, sender: type[Model], instance: Model, using: str, **kwargs) -> None:
    if not settings.CACHEOPS_ENABLED or upstream.no_invalidation.active:
        return
    saving = upstream_query._old_objs.__dict__
    old = saving.pop((sender, instance.pk), None)
    token = saving.pop((sender, "token", id(instance)), None)
    model = instance.__class__._meta.concrete_model

    images = [] if old is None else [get_obj_dict(model, old)]
    new = get_obj_dict(model, instance)
    if kwargs.get("update_fields") is not None:
        token = None
        new = _written(model, new, images[0] if images else {}, kwargs["update_fields"])
    images.append(new)
    if old is None and not kwargs.get("created"):
        # An object that was made with a key which was there before: of the old row only the key is known.
        images.append({name: new[name] for name in (model._meta.pk.attname,) if name in new})

    send = server.invalidate
    if token is not None:
        send = _invalidate_and_cache(sender, instance, using, token) or send
    with together(send):
        for image in images:
            upstream.invalidate_dict(model, image, using=using)
        upstream_query.invalidate_o2o(sender, old, instance, using=using)


def post_delete(manager: Any, sender: type[Model], instance: Model, using: str, **kwargs) -> None:
    with together():
        upstream.invalidate_obj(instance, using=using)
        # A deletion sends no m2m_changed, see ticket 17688 of Django.
        upstream_query.invalidate_m2o(sender, instance, using)
        for model, image in _set_by_deletion(sender):
            upstream.invalidate_dict(model, image, using=using)


def _set_by_deletion(sender: type[Model]) -> Iterator[tuple[type[Model], dict[str, Any]]]:
    """What becomes of rows that pointed to a deleted object and stay. Their old image is told by invalidate_m2o."""
    for relation in sender._meta.get_fields(include_hidden=True, include_parents=True):
        if not isinstance(relation, ManyToOneRel):
            continue
        field = relation.field
        if relation.on_delete is SET_NULL:
            yield relation.related_model, {field.attname: None}
        elif relation.on_delete is SET_DEFAULT:
            yield relation.related_model, {field.attname: field.get_default()}
        elif relation.on_delete not in (CASCADE, PROTECT, RESTRICT, DO_NOTHING):
            yield relation.related_model, {}


def _written(model: type[Model], new: dict, old: dict, update_fields: Any) -> dict:
    """The new image after save(update_fields=...): other attributes may have changed in memory, but not in the row."""
    fields = {
        name
        for field in model._meta.concrete_fields
        for name in (field.attname, field.name)
        if field.primary_key or field.name in update_fields or field.attname in update_fields
    }
    written = {name: value for name, value in new.items() if name in fields}
    return {**{name: value for name, value in old.items() if name not in fields}, **written}


# cache_on_save: the object that was saved becomes the entry of the query that would get it.
#
# There is no look-up, so the token is taken before the save. But the save's own invalidation is younger. So a script
# asks whether anybody else invalidated the object since the token, invalidates, and stores with a token of that
# moment, in one step. A write that came after ours in the database invalidates either before the script, which then
# does not store, or after it, and takes the entry away.

_SCRIPT = """
local arguments = function (first, count)
    local part = {}
    for i = first, first + count - 1 do part[#part + 1] = ARGV[i] end
    return part
end
local depends = arguments(5, ARGV[4])
local rows = arguments(5 + ARGV[4], #ARGV - 4 - ARGV[4])
local fresh = redis.call('CACHEOPS.CHECK', ARGV[1], 'ON', unpack(depends))
redis.call('CACHEOPS.INVALIDATE', 'ON', unpack(rows))
if fresh == 1 then
    local token = string.format('%.0f', redis.call('CACHEOPS.TOKEN'))
    redis.call('CACHEOPS.STORE', KEYS[1], ARGV[2], 'PX', ARGV[3], 'TOKEN', token, 'ON', unpack(depends))
end
return fresh
"""


def _cached_field(instance: Model, using: str) -> str | None:
    """The field by which the object will be found, if it is to be cached. Not in a transaction, as in cacheops."""
    profile = model_profile(instance.__class__)
    field = profile and profile.get("cache_on_save")
    if not field or transaction_states[using] or options().MOVING:
        return None
    return "pk" if field is True else field


@degrades
def _take_token() -> int | None:
    return server.token()


def _invalidate_and_cache(sender: type[Model], instance: Model, using: str, token: int) -> Callable | None:
    """What sends the changes of this save and caches the object in the same step."""
    field = _cached_field(instance, using)
    if field is None or not _is_what_the_row_is(instance):
        return None
    queryset = sender.objects.inplace().using(using).filter(**{field: getattr(instance, field)}).order_by()
    if MAX_GET_RESULTS and (
        not queryset.query.select_for_update or connections[queryset.db].features.supports_select_for_update_with_limit
    ):
        queryset.query.set_limits(high=MAX_GET_RESULTS)  # as get() does
    plain = copy.copy(instance)
    for name in [name for name in plain.__dict__ if name.startswith("_") and name.endswith("_cache")]:
        del plain.__dict__[name]
    data = settings.CACHEOPS_SERIALIZER.dumps([plain])
    key = fills.entry_key(queryset._prefix, queryset._cache_key())
    depends = wire.conditions(queryset._prefix, queryset._cond_dnfs)
    timeout_ms = queryset._cacheprofile["timeout"] * 1000

    def send(changes: Iterable[tuple[str, bytes]]) -> None:
        rows = server.row_arguments(changes)
        server.execute("EVAL", _SCRIPT, 1, key, token, data, timeout_ms, len(depends), *depends, *rows)

    return send


def _is_what_the_row_is(instance: Model) -> bool:
    """Does the object hold what the database holds? Not if the database computed something, or was sent a part."""
    return not instance.get_deferred_fields() and not any(
        getattr(field, "generated", False) or hasattr(instance.__dict__.get(field.attname), "resolve_expression")
        for field in instance._meta.concrete_fields
    )
