with source as (
    select * from fhir.immunization
),

final as (
    select
        resource_key,
        id as resource_id,
        patient_id,
        encounter_id,
        status,
        code,
        code_system,
        coalesce(code_display, code_text) as code_name,
        occurrence_datetime,
        primary_source,
        lot_number,
        version_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
