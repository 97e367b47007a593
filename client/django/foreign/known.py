"""Which modules of Django's suite are run, and what is known of them.

`KNOWN` is `(test, what, versions) -> why`: `what` is "failures" or "differences", no versions are all of them, and a
test may be a class or a module. A difference may stand here only if it is made by the test itself: by what it replaces
while it runs, or by a write that nobody beside the database can see.
"""

MODULES = [
    "aggregation",
    "aggregation_regress",
    "annotations",
    "async",
    "basic",
    "bulk_create",
    "composite_pk",
    "contenttypes_tests",
    "custom_columns",
    "custom_lookups",
    "custom_managers",
    "custom_methods",
    "custom_pk",
    "dates",
    "datetimes",
    "db_functions",
    "defer",
    "defer_regress",
    "delete",
    "delete_regress",
    "empty",
    "expressions",
    "expressions_case",
    "expressions_window",
    "extra_regress",
    "filtered_relation",
    "fixtures",
    "force_insert_update",
    "foreign_object",
    "from_db_value",
    "generic_relations",
    "generic_relations_regress",
    "get_earliest_or_latest",
    "get_object_or_404",
    "get_or_create",
    "known_related_objects",
    "lookup",
    "m2m_and_m2o",
    "m2m_intermediary",
    "m2m_multiple",
    "m2m_recursive",
    "m2m_regress",
    "m2m_signals",
    "m2m_through",
    "m2m_through_regress",
    "m2o_recursive",
    "managers_regress",
    "many_to_many",
    "many_to_one",
    "many_to_one_null",
    "model_fields",
    "model_formsets",
    "model_forms",
    "model_inheritance",
    "model_inheritance_regress",
    "multiple_database",
    "mutually_referential",
    "nested_foreign_keys",
    "null_fk",
    "null_fk_ordering",
    "null_queries",
    "one_to_one",
    "or_lookups",
    "order_with_respect_to",
    "ordering",
    "pagination",
    "prefetch_related",
    "properties",
    "proxy_model_inheritance",
    "proxy_models",
    "queries",
    "queryset_pickle",
    "raw_query",
    "reverse_lookup",
    "save_delete_hooks",
    "select_for_update",
    "select_related",
    "select_related_onetoone",
    "select_related_regress",
    "sessions_tests",
    "signals",
    "sites_tests",
    "string_lookup",
    "timezones",
    "transaction_hooks",
    "transactions",
    "unmanaged_models",
    "update",
    "update_only_fields",
    "xor_lookups",
    "auth_tests",
]

OLD_ROW = "counts the statements of a save(), which reads the old row of a model with a profile"
DELETION = (
    "counts the statements of a deletion, or expects a fast one: cacheops listens to post_delete, so rows are read, "
    "and invalidate by what they hold"
)
M2M = "counts the statements of add(), which reads what is there where m2m_changed has a receiver, as cacheops is one"
SIGNALS = "expects that nobody listens to the signals of models; cacheops does"
METHODS = "lists the methods of QuerySet, and cacheops adds some"
REPLACED = "replaces apps.get_model(), by which pickle finds the class of an instance, while the view runs"

KNOWN = {
    **{
        (test, "failures", ()): OLD_ROW
        for test in [
            "basic.tests.SelectOnSaveTests.test_select_on_save",
            "basic.tests.SelectOnSaveTests.test_select_on_save_lying_update",
            "composite_pk.test_update.CompositePKUpdateTests.test_save_user",
            "composite_pk.test_update.CompositePKUpdateTests.test_update_fields_deferred",
            "generic_relations.tests.GenericRelationsTests.test_add_bulk_false",
            "many_to_one_null.tests.ManyToOneNullTests.test_set_clear_non_bulk",
            "model_inheritance.tests.ModelInheritanceDataTests.test_update_query_counts",
            "model_inheritance.tests.ModelInheritanceTests.test_create_diamond_mti_default_pk",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_num_queries_inheritance",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_select_related_only_interaction",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_update_fields_deferred",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_update_fields_fk_defer",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_update_fields_inheritance",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_update_fields_inheritance_defer",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_update_fields_only_1",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_update_fields_only_2",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_update_fields_only_repeated",
        ]
    },
    **{
        (test, "failures", ()): DELETION
        for test in [
            "delete.tests.DeletionTests.test_bulk",
            "delete.tests.DeletionTests.test_db_cascade",
            "delete.tests.DeletionTests.test_can_defer_constraint_checks",
            "delete.tests.DeletionTests.test_large_delete_related",
            "delete.tests.DeletionTests.test_only_referenced_fields_selected",
            "delete.tests.DeletionTests.test_proxied_model_duplicate_queries",
            "delete.tests.FastDeleteTests.test_fast_delete_aggregation",
            "delete.tests.FastDeleteTests.test_fast_delete_all",
            "delete.tests.FastDeleteTests.test_fast_delete_combined_relationships",
            "delete.tests.FastDeleteTests.test_fast_delete_fk",
            "delete.tests.FastDeleteTests.test_fast_delete_full_match",
            "delete.tests.FastDeleteTests.test_fast_delete_inheritance",
            "delete.tests.FastDeleteTests.test_fast_delete_instance_set_pk_none",
            "delete.tests.FastDeleteTests.test_fast_delete_joined_qs",
            "delete.tests.FastDeleteTests.test_fast_delete_large_batch",
            "delete.tests.FastDeleteTests.test_fast_delete_m2m",
            "delete.tests.FastDeleteTests.test_fast_delete_qs",
            "delete.tests.FastDeleteTests.test_fast_delete_revm2m",
            "delete.tests.OnDeleteTests.test_do_nothing_qscount",
            "delete_regress.tests.DeleteTests.test_self_reference_with_through_m2m_at_second_level",
            "delete_regress.tests.SetQueryCountTests.test_set_querycount",
            "delete_regress.tests.Ticket19102Tests.test_ticket_19102_annotate",
            "delete_regress.tests.Ticket19102Tests.test_ticket_19102_defer",
            "delete_regress.tests.Ticket19102Tests.test_ticket_19102_extra",
            "delete_regress.tests.Ticket19102Tests.test_ticket_19102_select_related",
        ]
    },
    **{
        (test, "failures", ()): SIGNALS
        for test in [
            "signals.tests.LazyModelRefTests.test_disconnect_registered_model",
            "signals.tests.LazyModelRefTests.test_disconnect_unregistered_model",
            "signals.tests.LazyModelRefTests.test_not_loaded_model",
            "signals.tests.SignalTests.test_disconnect_in_dispatch",
            "signals.tests.SignalTests.test_disconnect_model",
        ]
    },
    ("basic.tests.ManagerTest.test_manager_methods", "failures", ()): METHODS,
    ("many_to_many.tests.ManyToManyTests.test_fast_add_ignore_conflicts", "failures", ()): M2M,
    **{
        (f"contenttypes_tests.test_views.ContentTypesViewsSiteRelTests.{test}", what, ()): REPLACED
        for test in ("test_shortcut_view_with_site_m2m", "test_shortcut_view_with_null_site_fk")
        for what in ("failures", "differences")
    },
}

# What must differ where UPDATEs are not seen: else the checks would see nothing.
BLIND_MODULES = ["update", "many_to_one"]
