with source as (
    select * from fhir.encounter
),

final as (
    select
        resource_key,
        id as resource_id,
        patient_id,
        status,
        class_code,
        type_code,
        type_system,
        type_display as type_name,
        period_start,
        period_end,
        reason_code,
        discharge_disposition_code,
        practitioner_id,
        organization_id,
        version_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
