with source as (
    select * from fhir.observation
),

final as (
    select
        resource_key,
        id as resource_id,
        patient_id,
        encounter_id,
        status,
        category_code,
        code,
        code_system,
        coalesce(code_display, code_text) as code_name,
        effective_datetime,
        value_quantity,
        coalesce(value_unit_code, value_unit) as value_unit,
        value_code,
        value_code_display as value_name,
        value_string,
        value_boolean,
        component_count,
        version_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
